// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <charconv>

#include "api/meta_v1.h"
#include "client/metadata.h"
#include "client/wire.h"
#include "schema/json.h"

namespace knarr::client {
namespace {

using api::meta_v1::PartialObjectMetadata;

constexpr int kMaxAttempts = 10;

bool is_builtin(const schema::Type& type) { return type.set == &schema::kBuiltin; }

// What answers about `resource` decode into. A resource known by discovery only is read as metadata.
const schema::Type& answer_type(const schema::Resource& resource, const schema::Type* type) {
  if (type != nullptr) return *type;
  if (resource.type != nullptr) return *resource.type;
  return PartialObjectMetadata::table();
}

std::string accept_of(const schema::Resource& resource, const schema::Type& type, bool list) {
  if (&type == &PartialObjectMetadata::table() && resource.type != &type) {
    std::string as = list ? ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" : ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    return std::string(kProtobufType) + as + "," + std::string(kJsonType) + as;
  }
  if (!is_builtin(type)) return std::string(kJsonType);
  return std::string(kProtobufType) + "," + std::string(kJsonType);
}

// apiVersion and kind under which `type` travels to this resource or subresource.
const schema::KindInfo* kind_of(const schema::Resource& resource, const schema::Type& type, std::string_view subresource) {
  for (const schema::Subresource& sub : resource.subresources)
    if (sub.name == subresource && sub.kind != nullptr && sub.kind->type == &type) return sub.kind;
  if (resource.type == &type) {
    if (const schema::KindInfo* found = schema::find_kind(resource.api_version, resource.kind)) return found;
  }
  for (const schema::KindInfo& kind : schema::builtin_kinds())
    if (kind.type == &type) return &kind;
  return nullptr;
}

void encode_body(ApiRequest& request, const schema::Resource& resource, const schema::Object& object,
                 std::string_view subresource) {
  const schema::KindInfo* kind = kind_of(resource, object.type(), subresource);
  if (is_builtin(object.type()) && kind != nullptr) {
    request.content_type = kProtobufType;
    schema::encode_envelope(request.body, *kind, object.data());
    return;
  }
  request.content_type = kJsonType;
  schema::KindInfo own{resource.group, resource.version, resource.kind, resource.api_version, &object.type()};
  schema::encode_json(request.body, object.type(), object.data(), kind != nullptr ? kind : &own);
}

class Query {
 public:
  explicit Query(std::string& target) : target_(target) {}
  void add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    target_ += first_ ? '?' : '&';
    first_ = false;
    target_.append(name).append("=").append(net::percent_encode(value));
  }
  void add(std::string_view name, int64_t value) {
    if (value != 0) add(name, std::to_string(value));
  }

 private:
  std::string& target_;
  bool first_ = true;
};

void add_list_options(Query& query, const ListOptions& options) {
  query.add("labelSelector", options.label_selector);
  query.add("fieldSelector", options.field_selector);
  query.add("resourceVersion", options.resource_version);
  query.add("resourceVersionMatch", options.resource_version_match);
  query.add("continue", options.continue_token);
  query.add("limit", options.limit);
  query.add("timeoutSeconds", options.timeout_seconds);
}

std::string delete_body(const DeleteOptions& options) {
  json::Value body = json::Value::object();
  body["kind"] = "DeleteOptions";
  body["apiVersion"] = "v1";
  if (options.grace_period_seconds >= 0) body["gracePeriodSeconds"] = options.grace_period_seconds;
  if (!options.propagation_policy.empty()) body["propagationPolicy"] = options.propagation_policy;
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) body["preconditions"]["resourceVersion"] = options.resource_version;
  return json::to_string(body);
}

std::string_view patch_content_type(PatchType type) {
  switch (type) {
    case PatchType::kJson: return "application/json-patch+json";
    case PatchType::kMerge: return "application/merge-patch+json";
    case PatchType::kStrategic: return "application/strategic-merge-patch+json";
    case PatchType::kApply: return "application/apply-patch+yaml";
  }
  return {};
}

// Seconds to wait when the server asks for another try, -1 when it does not.
int retry_after(const ApiResponse& response) {
  if (response.status != 429 && response.status < 500) return -1;
  std::string_view text = response.headers.get("Retry-After");
  int seconds = -1;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds < 0 ? -1 : std::min(seconds, 30);
}

// As client-go: a 429 or 5xx that carries Retry-After is tried again, ten times in all.
Task<Result<ApiResponse>> exchange(std::shared_ptr<Transport> transport, ApiRequest request) {
  for (int attempt = 1;; ++attempt) {
    ApiRequest copy = request;
    auto result = co_await transport->send(std::move(copy));
    if (!result.ok()) co_return result.status();
    int wait = retry_after(*result);
    if (wait < 0 || attempt >= kMaxAttempts) co_return std::move(*result);
    Duration pause = std::chrono::seconds(wait);
    co_await sleep_for(pause);
  }
}

Task<Result<ApiResponse>> successful(std::shared_ptr<Transport> transport, ApiRequest request) {
  auto result = co_await exchange(std::move(transport), std::move(request));
  if (!result.ok()) co_return result.status();
  if (result->status >= 200 && result->status <= 299) co_return std::move(*result);
  co_return status_of_response(result->status, result->headers.get("Content-Type"), result->body);
}

class ClientWatchStream final : public WatchStream {
 public:
  ClientWatchStream(Transport::Streaming stream, const schema::Type& type)
      : stream_(std::move(stream)),
        type_(type),
        protobuf_(is_protobuf(stream_.headers.get("Content-Type"))),
        splitter_(protobuf_) {}

  Task<Result<WatchEvent>> next() override {
    while (true) {
      auto frame = splitter_.next();
      if (!frame.ok()) co_return frame.status();
      if (!frame->empty()) co_return decode_watch_event(protobuf_, *frame, type_);
      auto piece = co_await stream_.body->read();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) {
        if (!splitter_.empty()) co_return Status::make(503, "ServiceUnavailable", "unexpected EOF in the middle of a watch event");
        co_return Status::make(200, "Closed", "watch closed");
      }
      splitter_.append(*piece);
    }
  }
  void cancel() override { stream_.body->cancel(); }

 private:
  Transport::Streaming stream_;
  const schema::Type& type_;
  bool protobuf_;
  FrameSplitter splitter_;
};

}  // namespace

Task<Result<std::unique_ptr<WatchStream>>> Transport::watch(ApiRequest request, const schema::Type& type) {
  auto stream = co_await open(std::move(request));
  if (!stream.ok()) co_return stream.status();
  if (stream->status != 200) {
    std::string body;
    while (body.size() < size_t{1} << 20) {
      auto piece = co_await stream->body->read();
      if (!piece.ok() || piece->empty()) break;
      body += *piece;
    }
    co_return status_of_response(stream->status, stream->headers.get("Content-Type"), body);
  }
  std::unique_ptr<WatchStream> watch = std::make_unique<ClientWatchStream>(std::move(*stream), type);
  co_return std::move(watch);
}

Client::Client(std::shared_ptr<Transport> transport, std::string user_agent)
    : transport_(std::move(transport)), user_agent_(std::move(user_agent)) {}

ApiRequest Client::make_request(std::string method, std::string target, std::string accept) const {
  ApiRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.accept = std::move(accept);
  request.user_agent = user_agent_ + "/v1.28.4 (linux/amd64) knarr";
  return request;
}

Task<Result<schema::Object>> Client::get_object(const schema::Resource& resource, ObjectRef ref, const schema::Type* type) {
  const schema::Type& answer = answer_type(resource, type);
  ApiRequest request = make_request("GET", resource_path(resource, ref.namespace_, ref.name), accept_of(resource, answer, false));
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  if (!response.ok()) co_return response.status();
  co_return decode_object(response->headers.get("Content-Type"), response->body, answer);
}

namespace {

// Sends a written object and decodes what the server made of it. Subresources such as binding answer with a plain Status: then the object
// comes back as it was sent.
Task<Result<schema::Object>> write_object(std::shared_ptr<Transport> transport, ApiRequest request, schema::Object object) {
  auto response = co_await successful(std::move(transport), std::move(request));
  if (!response.ok()) co_return response.status();
  bool is_status = false;
  auto decoded = decode_object(response->headers.get("Content-Type"), response->body, object.type(), &is_status);
  if (decoded.ok() && is_status) co_return object;
  co_return decoded;
}

}  // namespace

Task<Result<schema::Object>> Client::create_object(const schema::Resource& resource, std::string ns, schema::Object object,
                                                   std::string subresource, std::string parent_name) {
  ApiRequest request =
      make_request("POST", resource_path(resource, ns, parent_name, subresource), accept_of(resource, object.type(), false));
  encode_body(request, resource, object, subresource);
  std::shared_ptr<Transport> transport = transport_;
  auto result = co_await write_object(std::move(transport), std::move(request), std::move(object));
  co_return result;
}

Task<Result<schema::Object>> Client::update_object(const schema::Resource& resource, ObjectRef ref, schema::Object object,
                                                   std::string subresource) {
  ApiRequest request =
      make_request("PUT", resource_path(resource, ref.namespace_, ref.name, subresource), accept_of(resource, object.type(), false));
  encode_body(request, resource, object, subresource);
  std::shared_ptr<Transport> transport = transport_;
  auto result = co_await write_object(std::move(transport), std::move(request), std::move(object));
  co_return result;
}

Task<Result<schema::Object>> Client::patch_object(const schema::Resource& resource, ObjectRef ref, PatchType patch_type,
                                                  std::string patch, std::string subresource) {
  const schema::Type& answer = answer_type(resource, nullptr);
  ApiRequest request =
      make_request("PATCH", resource_path(resource, ref.namespace_, ref.name, subresource), accept_of(resource, answer, false));
  if (patch_type == PatchType::kApply) {
    Query query(request.target);
    query.add("fieldManager", user_agent_);
    query.add("force", "true");
  }
  request.content_type = patch_content_type(patch_type);
  request.body = std::move(patch);
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  if (!response.ok()) co_return response.status();
  co_return decode_object(response->headers.get("Content-Type"), response->body, answer);
}

Task<Result<schema::Object>> Client::apply_object(const schema::Resource& resource, ObjectRef ref, std::string body, std::string field_manager) {
  const schema::Type& answer = answer_type(resource, nullptr);
  ApiRequest request = make_request("PATCH", resource_path(resource, ref.namespace_, ref.name), accept_of(resource, answer, false));
  Query query(request.target);
  query.add("fieldManager", field_manager);
  query.add("force", "true");
  request.content_type = patch_content_type(PatchType::kApply);
  request.body = std::move(body);
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  if (!response.ok()) co_return response.status();
  co_return decode_object(response->headers.get("Content-Type"), response->body, answer);
}

Task<Status> Client::delete_object(const schema::Resource& resource, ObjectRef ref, DeleteOptions options) {
  ApiRequest request = make_request("DELETE", resource_path(resource, ref.namespace_, ref.name), std::string(kJsonType));
  request.content_type = kJsonType;
  request.body = delete_body(options);
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  co_return response.status();
}

Task<Status> Client::delete_collection(const schema::Resource& resource, std::string ns, DeleteOptions options, ListOptions list) {
  ApiRequest request = make_request("DELETE", resource_path(resource, ns, ""), std::string(kJsonType));
  Query query(request.target);
  add_list_options(query, list);
  request.content_type = kJsonType;
  request.body = delete_body(options);
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  co_return response.status();
}

Task<Result<Client::Objects>> Client::list_objects(const schema::Resource& resource, std::string ns, ListOptions options,
                                                   const schema::Type* type) {
  const schema::Type& answer = answer_type(resource, type);
  ApiRequest request = make_request("GET", resource_path(resource, ns, ""), accept_of(resource, answer, true));
  Query query(request.target);
  add_list_options(query, options);
  std::shared_ptr<Transport> transport = transport_;
  auto response = co_await successful(std::move(transport), std::move(request));
  if (!response.ok()) co_return response.status();
  co_return decode_list(response->headers.get("Content-Type"), response->body, answer);
}

Task<Result<std::unique_ptr<WatchStream>>> Client::watch_objects(const schema::Resource& resource, std::string ns,
                                                                 ListOptions options, const schema::Type* type) {
  const schema::Type& answer = answer_type(resource, type);
  ApiRequest request = make_request("GET", resource_path(resource, ns, ""), accept_of(resource, answer, false));
  Query query(request.target);
  query.add("watch", "true");
  query.add("allowWatchBookmarks", "true");
  add_list_options(query, options);
  std::shared_ptr<Transport> transport = transport_;
  auto stream = co_await transport->watch(std::move(request), answer);
  co_return stream;
}

Task<Result<schema::Object>> Client::create_object(const schema::Resource& resource, std::string ns, schema::Object object) {
  return create_object(resource, std::move(ns), std::move(object), std::string(), std::string());
}
Task<Result<schema::Object>> Client::update_object(const schema::Resource& resource, ObjectRef ref, schema::Object object) {
  return update_object(resource, std::move(ref), std::move(object), std::string());
}
Task<Result<schema::Object>> Client::patch_object(const schema::Resource& resource, ObjectRef ref, PatchType patch_type,
                                                  std::string patch) {
  return patch_object(resource, std::move(ref), patch_type, std::move(patch), std::string());
}
Task<Status> Client::delete_object(const schema::Resource& resource, ObjectRef ref) {
  return delete_object(resource, std::move(ref), DeleteOptions());
}
Task<Status> Client::delete_collection(const schema::Resource& resource, std::string ns) {
  return delete_collection(resource, std::move(ns), DeleteOptions(), ListOptions());
}
Task<Result<Client::Objects>> Client::list_objects(const schema::Resource& resource, std::string ns) {
  return list_objects(resource, std::move(ns), ListOptions());
}

std::string resource_path(const schema::Resource& resource, std::string_view ns, std::string_view name,
                          std::string_view subresource) {
  std::string path = resource.group.empty() ? "/api/" : "/apis/";
  path += resource.api_version;
  if (!ns.empty() && resource.namespaced) path.append("/namespaces/").append(net::percent_encode(ns));
  path.append("/").append(resource.plural);
  if (!name.empty()) path.append("/").append(net::percent_encode(name));
  if (!subresource.empty()) path.append("/").append(subresource);
  return path;
}

}  // namespace knarr::client
