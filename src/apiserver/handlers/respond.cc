// SPDX-License-Identifier: Apache-2.0
#include "apiserver/handlers/respond.h"

#include "apiserver/conversion.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/handlers/options.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::apiserver {
namespace {

using schema::Encoding;

constexpr size_t kMaxBodyBytes = size_t{3} << 20;
constexpr std::string_view kPartialApiVersion = "meta.k8s.io/v1";

// Upstream cuts warnings once they fill more than this many characters.
constexpr size_t kMaxWarningBytes = 4096, kCutWarningBytes = 256;

std::string warning_value(std::string_view text) {
  std::string value = "299 - \"";
  for (char c : text) {
    if (c == '"' || c == '\\') value += '\\';
    value += static_cast<uint8_t>(c) < 0x20 || c == 0x7F ? ' ' : c;
  }
  return value + "\"";
}

void add_warnings(const std::vector<std::string>& warnings, net::Headers& headers) {
  std::vector<std::string_view> sent;
  size_t total = 0;
  for (const std::string& warning : warnings) total += warning.size();
  for (const std::string& warning : warnings) {
    if (std::find(sent.begin(), sent.end(), warning) != sent.end()) continue;
    sent.push_back(warning);
    headers.add("Warning", warning_value(std::string_view(warning).substr(0, total > kMaxWarningBytes ? kCutWarningBytes : std::string::npos)));
  }
}

std::string json_head(std::string_view kind, std::string_view api_version) {
  return R"({"kind":")" + std::string(kind) + R"(","apiVersion":")" + std::string(api_version) + R"(",)";
}

// The heads of documents are the same for all objects of a resource: made once a thread.
const Bytes& resource_head(const schema::Resource& resource) {
  thread_local absl::flat_hash_map<const schema::Resource*, Bytes> heads;
  Bytes& head = heads[&resource];
  if (head.is_null()) head = Bytes::copy(json_head(resource.kind, resource.api_version));
  return head;
}

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

Slice static_slice(std::string_view text) { return Slice::of_static(text); }

std::string list_meta_json(const ListPage& page) {
  std::string text = R"({"resourceVersion":")" + std::to_string(page.revision) + '"';
  if (!page.continue_token.empty()) text += R"(,"continue":")" + page.continue_token + '"';
  if (page.remaining.has_value()) text += R"(,"remainingItemCount":)" + std::to_string(*page.remaining);
  return text + "}";
}

// {"kind":"PodList",...,"items":[...]}, a chain of the objects' own bytes.
Body list_json(const schema::Resource& resource, const ListPage& page, bool partial) {
  Body body;
  std::string head = partial ? json_head("PartialObjectMetadataList", kPartialApiVersion) : json_head(resource.list_kind, resource.api_version);
  head += R"("metadata":)" + list_meta_json(page) + R"(,"items":[)";
  body.append(Slice::copy(head));
  bool first = true;
  Bytes partial_head = partial ? Bytes::copy("," + json_head("PartialObjectMetadata", kPartialApiVersion) + R"("metadata":)") : Bytes();
  for (const CachedPtr& stored : page.objects) {
    CachedPtr object = stored->in_version(stored, resource);
    if (partial) {
      body.append(Slice(partial_head).sub(first ? 1 : 0));
      body.append(object->json_metadata());
      body.append(static_slice("}"));
    } else {
      body.append(first ? object->json() : object->json_item());
    }
    first = false;
  }
  body.append(static_slice("]}"));
  return body;
}

Body list_proto(const schema::Resource& resource, const ListPage& page, bool partial) {
  api::meta_v1::ListMeta meta;
  meta.resource_version = std::to_string(page.revision);
  meta.continue_ = page.continue_token;
  if (page.remaining.has_value()) meta.remaining_item_count = *page.remaining;
  std::string encoded = schema::to_proto(meta), head = "\x0a";
  put_varint(head, encoded.size());
  head += encoded;
  Body items;
  items.append(Slice::copy(head));
  for (const CachedPtr& stored : page.objects) {
    CachedPtr object = stored->in_version(stored, resource);
    if (!partial) {
      items.append(object->proto_item());
      continue;
    }
    std::string_view part = object->proto_metadata();
    std::string item_head = "\x12";
    put_varint(item_head, part.size());
    items.append(Slice::copy(item_head));
    items.append(object->proto().sub(0, part.size()));
  }
  Body body;
  body.append(Slice::copy(partial ? schema::envelope_head(kPartialApiVersion, "PartialObjectMetadataList", items.size())
                                  : schema::envelope_head(resource.api_version, resource.list_kind, items.size())));
  body.append(std::move(items));
  body.append(static_slice(schema::kEnvelopeTail));
  return body;
}


}  // namespace

bool wants_pretty(const RequestContext& context, const OutputFormat& format) {
  if (format.encoding != Encoding::kJson) return false;
  if (has_query(context.query, "pretty")) {
    std::string_view value = context.param("pretty");
    return value != "0" && value != "false";
  }
  if (format.pretty) return true;
  std::string_view agent = context.request.headers.get("User-Agent");
  return agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0");
}

Body finish_json(const RequestContext& context, const OutputFormat& format, std::string text) {
  if (format.encoding == Encoding::kYaml) {
    auto yaml = schema::json_to_yaml(text);
    return Body(yaml.ok() ? *yaml : text);
  }
  if (wants_pretty(context, format)) {
    auto value = json::parse(text);
    if (value.ok()) return Body(json::to_pretty(*value));
  }
  text += '\n';
  return Body(text);
}

Body object_body(const OutputFormat& format, const schema::Resource& resource, const CachedPtr& stored) {
  CachedPtr object = stored->in_version(stored, resource);
  bool partial = format.as == OutputFormat::As::kPartial;
  Body body;
  if (format.encoding == Encoding::kProtobuf) {
    Slice raw = object->proto();
    if (partial) raw = raw.sub(0, object->proto_metadata().size());
    body.append(Slice::copy(partial ? schema::envelope_head(kPartialApiVersion, "PartialObjectMetadata", raw.view.size())
                                    : schema::envelope_head(resource.api_version, resource.kind, raw.view.size())));
    body.append(std::move(raw));
    body.append(static_slice(schema::kEnvelopeTail));
    return body;
  }
  if (partial) {
    body.append(Slice::copy(json_head("PartialObjectMetadata", kPartialApiVersion) + R"("metadata":)"));
    body.append(object->json_metadata());
    body.append(static_slice("}"));
  } else {
    body.append(Slice(resource_head(resource)));
    body.append(object->json().sub(1));
  }
  return body;
}

net::Headers response_headers(const RequestContext& context) {
  net::Headers headers;
  headers.add("Audit-Id", context.audit_id);
  headers.add("Cache-Control", "no-cache, private");
  add_warnings(context.warnings, headers);
  return headers;
}

Task<Status> respond_raw(RequestContext& context, int code, std::string_view content_type, Body body) {
  net::Headers headers = response_headers(context);
  headers.add("Content-Type", content_type);
  Status status = co_await context.writer.respond(code, std::move(headers), std::move(body));
  co_return status;
}

OutputFormat plain_format(const RequestContext& context) {
  auto format = negotiate_output(context.request.headers.get("Accept"), Offers{});
  if (format.ok()) return *format;
  return OutputFormat{};
}

Task<Status> respond_object(RequestContext& context, int code, const schema::KindInfo& kind, const void* object) {
  OutputFormat format = plain_format(context);
  Body body;
  if (format.encoding == Encoding::kProtobuf) {
    body = Body(schema::encode(format.encoding, kind, object));
  } else {
    std::string text;
    schema::encode_json(text, *kind.type, object, &kind);
    body = finish_json(context, format, std::move(text));
  }
  Status status = co_await respond_raw(context, code, media_type(format.encoding), std::move(body));
  co_return status;
}

api::meta_v1::Status status_object(const Status& status, int success_code) {
  api::meta_v1::Status object;
  if (status.ok()) {
    object.status = "Success";
    object.code = success_code;
    return object;
  }
  const StatusInfo& info = *status.info();
  object.status = "Failure";
  object.message = info.message;
  object.reason = info.reason;
  object.code = info.code;
  object.metadata.continue_ = info.continue_token;
  bool details = !info.name.empty() || !info.group.empty() || !info.kind.empty() || !info.uid.empty() || !info.causes.empty() ||
                 info.retry_after_seconds != 0 || (info.code == 404 && info.reason == "NotFound") || info.code == 405 || info.message.starts_with("406: ") ||
                 info.message.starts_with("415: ");
  if (!details) return object;
  api::meta_v1::StatusDetails& out = object.details.ensure();
  out.name = info.name;
  out.group = info.group;
  out.kind = info.kind;
  out.uid = info.uid;
  out.retry_after_seconds = info.retry_after_seconds;
  for (const Cause& cause : info.causes) {
    auto& made = out.causes.emplace_back();
    made.reason = cause.type;
    made.message = cause.message;
    made.field = cause.field;
  }
  return object;
}

Task<Status> respond_status(RequestContext& context, Status status, int success_code) {
  api::meta_v1::Status object = status_object(status, success_code);
  int code = status.ok() ? success_code : status.code();
  OutputFormat format = plain_format(context);
  Body body;
  if (format.encoding == Encoding::kProtobuf) {
    body = Body(schema::encode(format.encoding, api::meta_v1::Status::kind_info(), &object));
  } else {
    std::string text;
    schema::encode_json(text, api::meta_v1::Status::table(), &object, &api::meta_v1::Status::kind_info());
    body = finish_json(context, format, std::move(text));
  }
  net::Headers headers = response_headers(context);
  headers.add("Content-Type", media_type(format.encoding));
  if (!status.ok() && status.info()->retry_after_seconds > 0) headers.add("Retry-After", std::to_string(status.info()->retry_after_seconds));
  if (code == 403) headers.add("X-Content-Type-Options", "nosniff");
  Status sent = co_await context.writer.respond(code, std::move(headers), std::move(body));
  co_return sent;
}

Task<Result<std::string>> read_body(RequestContext& context) {
  auto body = co_await context.request.body->read_all(kMaxBodyBytes);
  if (!body.ok() && body.status().code() == 413) co_return request_entity_too_large("limit is " + std::to_string(kMaxBodyBytes));
  co_return body;
}

Task<Status> respond_cached(RequestContext& context, int code, const OutputFormat& format, CachedPtr object) {
  const schema::Resource& resource = *context.resource;
  Body body;
  if (format.as == OutputFormat::As::kTable) {
    auto include = parse_include_object(context);
    if (!include.ok()) co_return include.status();
    std::vector<CachedPtr> objects{object};
    std::string meta = R"({"resourceVersion":")" + std::to_string(object->revision()) + R"("})";
    body = finish_json(context, format, table_json(resource, objects, *include, context.core.clock().now(), true, meta));
  } else {
    body = object_body(format, resource, object);
    if (format.encoding == Encoding::kYaml || wants_pretty(context, format)) {
      body = finish_json(context, format, body.flatten());
    } else if (format.encoding == Encoding::kJson) {
      body.append(static_slice("\n"));
    }
  }
  object->end_loan();
  Status status = co_await respond_raw(context, code, media_type(format.encoding), std::move(body));
  co_return status;
}

Task<Status> respond_list(RequestContext& context, const OutputFormat& format, const ListPage& page) {
  const schema::Resource& resource = *context.resource;
  bool partial = format.as == OutputFormat::As::kPartial;
  Body body;
  if (format.as == OutputFormat::As::kTable) {
    auto include = parse_include_object(context);
    if (!include.ok()) co_return include.status();
    body = finish_json(context, format, table_json(resource, page.objects, *include, context.core.clock().now(), true, list_meta_json(page)));
  } else if (format.encoding == Encoding::kProtobuf) {
    body = list_proto(resource, page, partial);
  } else {
    body = list_json(resource, page, partial);
    if (format.encoding == Encoding::kYaml || wants_pretty(context, format)) {
      body = finish_json(context, format, body.flatten());
    } else {
      body.append(static_slice("\n"));
    }
  }
  Status status = co_await respond_raw(context, 200, media_type(format.encoding), std::move(body));
  co_return status;
}

// ---- tables -----------------------------------------------------------------------------------------------------------------

Result<IncludeObject> parse_include_object(const RequestContext& context) {
  std::string_view value = context.param("includeObject");
  if (value.empty() || value == "Metadata") return IncludeObject::kMetadata;
  if (value == "None") return IncludeObject::kNone;
  if (value == "Object") return IncludeObject::kObject;
  FieldErrors errors;
  errors.invalid(Path("includeObject"), quoted(value), "must be 'Metadata', 'Object', 'None', or empty");
  return invalid_status("meta.k8s.io", "TableOptions", "", errors);
}

std::string table_json(const schema::Resource& resource, const std::vector<CachedPtr>& stored, IncludeObject include, WallTime now, bool with_columns,
                       std::string_view list_meta) {
  // Cells are made of the stored version, whichever was asked for: upstream prints its internal one.
  std::vector<CachedPtr> objects;
  std::vector<std::shared_ptr<const schema::Object>> decoded;
  std::vector<const void*> pointers;
  for (const CachedPtr& object : stored) {
    objects.push_back(object->in_version(object, resource));
    decoded.push_back(object->object());
    pointers.push_back(decoded.back()->data());
  }
  RenderedTable table = render_table(TableInput{storage_resource(resource), pointers, now});
  std::string text = json_head("Table", kPartialApiVersion) + R"("metadata":)" + std::string(list_meta) + R"(,"columnDefinitions":)";
  if (with_columns) {
    text += '[';
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const schema::Column& column = table.columns[i];
      json::Value value = json::Value::object();
      value["name"] = column.name;
      value["type"] = column.type;
      value["format"] = column.format;
      value["description"] = column.description;
      value["priority"] = static_cast<int64_t>(column.priority);
      if (i > 0) text += ',';
      json::write(text, value);
    }
    text += ']';
  } else {
    text += "null";
  }
  text += R"(,"rows":[)";
  OutputFormat part;
  part.as = include == IncludeObject::kObject ? OutputFormat::As::kObject : OutputFormat::As::kPartial;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    text += i > 0 ? R"(,{"cells":[)" : R"({"cells":[)";
    for (size_t j = 0; j < table.rows[i].size(); ++j) {
      if (j > 0) text += ',';
      json::write(text, table.rows[i][j]);
    }
    text += R"(],"object":)";
    text += include == IncludeObject::kNone ? std::string("null") : object_body(part, resource, objects[i]).flatten();
    text += '}';
  }
  return text + "]}";
}

}  // namespace knarr::apiserver
