// SPDX-License-Identifier: Apache-2.0
// Failures as the server words them, and as client-go words those that come without a Status.
#include "api/meta_v1.h"
#include "client/client.h"
#include "client/wire.h"
#include "net/http.h"

namespace knarr::client {
namespace {

struct Generic {
  int code;
  std::string_view reason, message;
};
constexpr Generic kGeneric[] = {
    {400, "BadRequest", "the server rejected our request for an unknown reason"},
    {401, "Unauthorized", "the server has asked for the client to provide credentials"},
    {403, "Forbidden", "unknown"},
    {404, "NotFound", "the server could not find the requested resource"},
    {405, "MethodNotAllowed", "the server does not allow this method on the requested resource"},
    {406, "NotAcceptable", "the server was unable to respond with a content type that the client supports"},
    {409, "Conflict", "the server reported a conflict"},
    {410, "Gone", "the requested resource is gone"},
    {415, "UnsupportedMediaType", "the server was unable to understand the content type of the request"},
    {422, "Invalid", "the server rejected our request due to an error in our request"},
    {429, "TooManyRequests", "the server has received too many requests and has asked us to try again later"},
    {500, "InternalError", "an error on the server has prevented the request from succeeding"},
    {503, "ServiceUnavailable", "the server is currently unable to handle the request"},
    {504, "Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request"},
};

Status of_api_status(const api::meta_v1::Status& from, int code) {
  StatusInfo info;
  info.code = from.code != 0 ? from.code : code;
  info.reason = from.reason.str();
  info.message = from.message.str();
  info.continue_token = from.metadata.continue_.str();
  if (const auto* details = from.details.get()) {
    info.name = details->name.str();
    info.group = details->group.str();
    info.kind = details->kind.str();
    info.uid = details->uid.str();
    info.retry_after_seconds = details->retry_after_seconds;
    for (const auto& cause : details->causes)
      info.causes.push_back({cause.reason.str(), cause.message.str(), cause.field.str()});
  }
  return Status::from(std::move(info));
}

}  // namespace

Status status_of_object(const schema::Object& object) {
  const auto* status = object.as<api::meta_v1::Status>();
  if (status == nullptr) return Status::error("unknown error event");
  return of_api_status(*status, 500);
}

Status status_of_response(int code, std::string_view content_type, std::string_view body) {
  bool protobuf = is_protobuf(content_type);
  if (protobuf || media_type(content_type) == kJsonType) {
    bool other = false;
    auto decoded = decode_object(content_type, body, api::meta_v1::Status::table(), &other);
    const auto* status = decoded.ok() ? decoded->as<api::meta_v1::Status>() : nullptr;
    if (status != nullptr && status->status == "Failure") return of_api_status(*status, code);
  }
  for (const Generic& generic : kGeneric) {
    if (generic.code != code) continue;
    std::string message(generic.message);
    // Text that a proxy or an old handler sent is worth more than our guess.
    if (!body.empty() && body.size() < 2048 && media_type(content_type) == "text/plain") message = body;
    return Status::make(code, generic.reason, message);
  }
  return Status::make(code, code >= 500 ? "InternalError" : "", std::string(net::status_text(code)));
}

}  // namespace knarr::client
