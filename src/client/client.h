// SPDX-License-Identifier: Apache-2.0
// The API as controllers, scheduler, kubelet and tools use it: typed calls over one of two transports.
//
// HttpTransport speaks HTTPS (HTTP/2, protobuf) to any API server; the in-process transport (made by the API server) enters the same request
// path as a socket would, without the socket. Nothing above can tell the two apart. One executor per Client; calls may overlap.
// Errors are the Status objects that the server sent; transport failures have reason "ServiceUnavailable" or "Timeout".
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "base/task.h"
#include "net/http.h"
#include "schema/codec.h"
#include "schema/resource.h"

namespace knarr::client {

struct ApiRequest {
  std::string method = "GET";
  std::string target;        // path and query
  std::string content_type;  // of the body
  std::string accept = "application/vnd.kubernetes.protobuf,application/json";
  std::string body;
  std::string bearer_token;  // in place of the transport's own credentials; "" = those
  std::string user_agent;    // User-Agent; what stands before '/' is the default field manager
  Duration timeout{};        // until the head of the answer; 0 = the transport's
};

struct ApiResponse {
  int status = 0;
  net::Headers headers;
  std::string body;
};

using SharedObject = std::shared_ptr<const schema::Object>;

// `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
struct WatchEvent {
  std::string type;
  // Of the watched type, for ERROR a meta_v1.Status. Without managedFields: no reader of events looks at them, and they are often half of an
  // object. The server keeps them when an update has none.
  SharedObject object;
};

class WatchStream {
 public:
  virtual ~WatchStream() = default;
  // The next event; "Closed" status (reason "Closed") at an orderly end.
  virtual Task<Result<WatchEvent>> next() = 0;
  virtual void cancel() {}  // a blocked next() ends with an error
};

class Transport {
 public:
  virtual ~Transport() = default;
  // A whole exchange. Any HTTP status is a success here.
  virtual Task<Result<ApiResponse>> send(ApiRequest request) = 0;
  // The head, and a body that is read as it comes (watch, log).
  struct Streaming {
    int status = 0;
    net::Headers headers;
    std::unique_ptr<net::BodyReader> body;
  };
  virtual Task<Result<Streaming>> open(ApiRequest request) = 0;
  // The events of a watch, objects being of `type`. By default open()'s, decoded; in-process, the objects that the server shares.
  virtual Task<Result<std::unique_ptr<WatchStream>>> watch(ApiRequest request, const schema::Type& type);
  // Closes the connections, watches among them; the next calls make new ones, with the credentials of then.
  virtual void reconnect() {}
};

struct ListOptions {
  std::string label_selector, field_selector;
  std::string resource_version, resource_version_match;
  std::string continue_token;
  int64_t limit = 0;
  int64_t timeout_seconds = 0;  // of a watch; 0: the server's choice
};

struct DeleteOptions {
  int64_t grace_period_seconds = -1;   // -1: not sent
  std::string propagation_policy;      // "Background", "Foreground", "Orphan" or ""
  std::string uid, resource_version;   // preconditions
};

enum class PatchType { kJson, kMerge, kStrategic, kApply };

template <class T>
struct ListResult {
  std::vector<T> items;
  std::string resource_version;
  std::string continue_token;
};

// Names an object: namespace "" for cluster-scoped ones.
struct ObjectRef {
  std::string namespace_, name;
  std::string key() const { return namespace_.empty() ? name : namespace_ + "/" + name; }
};

class Client {
 public:
  // user_agent names the field manager too: "kube-controller-manager".
  Client(std::shared_ptr<Transport> transport, std::string user_agent);

  // Untyped calls; the resource may be any, also one found by discovery. `type` is what answers decode into; for metadata-only reads pass
  // meta_v1::PartialObjectMetadata's and the server is asked for that form.
  Task<Result<schema::Object>> get_object(const schema::Resource& resource, ObjectRef ref, const schema::Type* type = nullptr);
  // (The short forms are plain functions: g++ 12 destroys default arguments of a co_await twice.)
  Task<Result<schema::Object>> create_object(const schema::Resource& resource, std::string ns, schema::Object object, std::string subresource,
                                             std::string parent_name);
  Task<Result<schema::Object>> create_object(const schema::Resource& resource, std::string ns, schema::Object object);
  Task<Result<schema::Object>> update_object(const schema::Resource& resource, ObjectRef ref, schema::Object object, std::string subresource);
  Task<Result<schema::Object>> update_object(const schema::Resource& resource, ObjectRef ref, schema::Object object);
  Task<Result<schema::Object>> patch_object(const schema::Resource& resource, ObjectRef ref, PatchType patch_type, std::string patch,
                                            std::string subresource);
  Task<Result<schema::Object>> patch_object(const schema::Resource& resource, ObjectRef ref, PatchType patch_type, std::string patch);
  // Server-side apply, forced, by a field manager of this name.
  Task<Result<schema::Object>> apply_object(const schema::Resource& resource, ObjectRef ref, std::string body, std::string field_manager);
  Task<Status> delete_object(const schema::Resource& resource, ObjectRef ref, DeleteOptions options);
  Task<Status> delete_object(const schema::Resource& resource, ObjectRef ref);
  Task<Status> delete_collection(const schema::Resource& resource, std::string ns, DeleteOptions options, ListOptions list);
  Task<Status> delete_collection(const schema::Resource& resource, std::string ns);
  // The list object's items, decoded one by one into `type` (the resource's own when null).
  struct Objects {
    std::vector<schema::Object> items;
    std::string resource_version, continue_token;
  };
  Task<Result<Objects>> list_objects(const schema::Resource& resource, std::string ns, ListOptions options, const schema::Type* type = nullptr);
  Task<Result<Objects>> list_objects(const schema::Resource& resource, std::string ns);
  // Events after options.resource_version; bookmarks are asked for.
  Task<Result<std::unique_ptr<WatchStream>>> watch_objects(const schema::Resource& resource, std::string ns, ListOptions options,
                                                           const schema::Type* type = nullptr);

  template <class T>
  Task<Result<T>> get(std::string ns, std::string name) {
    ObjectRef ref{std::move(ns), std::move(name)};
    auto result = co_await get_object(T::resource(), std::move(ref));
    co_return unwrap<T>(std::move(result));
  }
  // Namespace and name come from the object's metadata.
  template <class T>
  Task<Result<T>> create(T value) {
    std::string ns = value.metadata.namespace_.str();
    schema::Object object = schema::Object::of(std::move(value));
    std::string subresource, parent;
    auto result = co_await create_object(T::resource(), std::move(ns), std::move(object), std::move(subresource), std::move(parent));
    co_return unwrap<T>(std::move(result));
  }
  template <class T>
  Task<Result<T>> update(T value) {
    return update(std::move(value), std::string());
  }
  template <class T>
  Task<Result<T>> update(T value, std::string subresource) {
    ObjectRef ref{value.metadata.namespace_.str(), value.metadata.name.str()};
    schema::Object object = schema::Object::of(std::move(value));
    auto result = co_await update_object(T::resource(), std::move(ref), std::move(object), std::move(subresource));
    co_return unwrap<T>(std::move(result));
  }
  template <class T>
  Task<Result<T>> update_status(T value) {
    std::string subresource = "status";
    auto result = co_await update(std::move(value), std::move(subresource));
    co_return result;
  }
  template <class T>
  Task<Result<T>> patch(std::string ns, std::string name, PatchType type, std::string body) {
    return patch<T>(std::move(ns), std::move(name), type, std::move(body), std::string());
  }
  template <class T>
  Task<Result<T>> patch(std::string ns, std::string name, PatchType type, std::string body, std::string subresource) {
    ObjectRef ref{std::move(ns), std::move(name)};
    auto result = co_await patch_object(T::resource(), std::move(ref), type, std::move(body), std::move(subresource));
    co_return unwrap<T>(std::move(result));
  }
  template <class T>
  Task<Status> remove(std::string ns, std::string name) {
    return remove<T>(std::move(ns), std::move(name), DeleteOptions());
  }
  template <class T>
  Task<Status> remove(std::string ns, std::string name, DeleteOptions options) {
    ObjectRef ref{std::move(ns), std::move(name)};
    Status status = co_await delete_object(T::resource(), std::move(ref), std::move(options));
    co_return status;
  }
  template <class T>
  Task<Result<ListResult<T>>> list(std::string ns) {
    return list<T>(std::move(ns), ListOptions());
  }
  template <class T>
  Task<Result<ListResult<T>>> list(std::string ns, ListOptions options) {
    auto result = co_await list_objects(T::resource(), std::move(ns), std::move(options));
    if (!result.ok()) co_return result.status();
    ListResult<T> typed;
    typed.resource_version = std::move(result->resource_version);
    typed.continue_token = std::move(result->continue_token);
    for (schema::Object& item : result->items) typed.items.push_back(std::move(*item.as<T>()));
    co_return typed;
  }

  Transport& transport() { return *transport_; }
  const std::string& user_agent() const { return user_agent_; }

 private:
  ApiRequest make_request(std::string method, std::string target, std::string accept) const;
  template <class T>
  static Result<T> unwrap(Result<schema::Object> result) {
    if (!result.ok()) return result.status();
    return std::move(*result->template as<T>());
  }
  std::shared_ptr<Transport> transport_;
  std::string user_agent_;
};

// Path of a resource: /apis/apps/v1/namespaces/NS/deployments/NAME/scale. ns "" = all namespaces or cluster scope; name "" = the collection.
std::string resource_path(const schema::Resource& resource, std::string_view ns, std::string_view name, std::string_view subresource = {});

// The Status that a non-2xx answer carries (JSON or protobuf), or one made from the HTTP code.
Status status_of_response(int code, std::string_view content_type, std::string_view body);
// The failure that an ERROR event of a watch carries.
Status status_of_object(const schema::Object& object);

}  // namespace knarr::client
