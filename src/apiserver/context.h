// SPDX-License-Identifier: Apache-2.0
// One request on its way: made by the server after routing, handed to handlers and subresources. Lives until the handler returns;
// used by one executor at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/negotiate.h"
#include "apiserver/request_info.h"
#include "apiserver/server.h"
#include "apiserver/user.h"
#include "net/http.h"
#include "schema/codec.h"
#include "schema/resource.h"

namespace knarr::apiserver {

class Core;      // core.h: the server's inside (watch caches, registry); colleagues normally need only `server`

// Where the events of an in-process watch go, as objects instead of bytes. Without managedFields, as client::WatchEvent.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(std::string_view type, std::shared_ptr<const schema::Object> object) = 0;
  // Waits while the reader is far behind; fails once it has gone.
  virtual Task<Status> flush() = 0;
};

struct RequestContext {
  ApiServer& server;
  Core& core;
  net::Request& request;
  net::ResponseWriter& writer;
  User user;
  RequestInfo info;
  net::QueryParams query;
  // Of resource requests: what the path names (in the version of the path). Subresource null when there is none.
  const schema::Resource* resource = nullptr;
  const schema::Subresource* subresource = nullptr;
  std::vector<std::string> warnings;  // become Warning headers
  std::string audit_id;
  EventSink* events = nullptr;        // null: events are written
  WallTime arrived{};

  std::string_view param(std::string_view name) const { return query_value(query, name); }
};

// Sends an object in the encoding the client accepts (as Table or PartialObjectMetadata where asked). `object` is of kind.type.
Task<Status> respond_object(RequestContext& context, int code, const schema::KindInfo& kind, const void* object);
template <class T>
Task<Status> respond_object(RequestContext& context, int code, const T& object) {
  return respond_object(context, code, T::kind_info(), &object);
}
// Sends a failure (or, for an OK status, a Status of success with this HTTP code) as a Status object.
Task<Status> respond_status(RequestContext& context, Status status, int success_code = 200);
// Sends raw text or bytes.
Task<Status> respond_raw(RequestContext& context, int code, std::string_view content_type, Body body);
// Headers that every answer carries (Audit-Id, Cache-Control, Warning); for handlers that write the head themselves.
net::Headers response_headers(const RequestContext& context);

// Reads the body (3 MiB at most) and decodes it into `object` (zeroed, of kind.type), in whatever encoding it came. apiVersion and kind may be
// absent from JSON or YAML, and must match `kind` otherwise. Field validation (strict, warn) by the fieldValidation parameter.
Task<Status> read_object(RequestContext& context, const schema::KindInfo& kind, void* object);
template <class T>
Task<Result<T>> read_object(RequestContext& context) {
  T value;
  Status status = co_await read_object(context, T::kind_info(), &value);
  if (!status.ok()) co_return status;
  co_return std::move(value);
}
Task<Result<std::string>> read_body(RequestContext& context);

// dryRun=All given in the query? 422 for other values.
Result<bool> query_dry_run(const RequestContext& context);

}  // namespace knarr::apiserver
