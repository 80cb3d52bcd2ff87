// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"

#include <string>

#include "apiserver/field_errors.h"

namespace knarr::apiserver {
namespace {

std::string qualified(std::string_view group, std::string_view resource) {
  std::string text(resource);
  if (!group.empty()) text.append(".").append(group);
  return text;
}

// details.kind holds the plural resource here, as upstream has it.
Status about(int code, std::string_view reason, std::string_view group, std::string_view resource, std::string_view name, std::string message) {
  StatusInfo info;
  info.code = code;
  info.reason = reason;
  info.message = std::move(message);
  info.group = group;
  info.kind = resource;
  info.name = name;
  return Status::from(std::move(info));
}

}  // namespace

Status not_found(std::string_view group, std::string_view resource, std::string_view name) {
  return about(404, "NotFound", group, resource, name, qualified(group, resource) + " " + quoted(name) + " not found");
}

Status already_exists(std::string_view group, std::string_view resource, std::string_view name) {
  return about(409, "AlreadyExists", group, resource, name, qualified(group, resource) + " " + quoted(name) + " already exists");
}

Status conflict(std::string_view group, std::string_view resource, std::string_view name, std::string_view detail) {
  return about(409, "Conflict", group, resource, name,
               "Operation cannot be fulfilled on " + qualified(group, resource) + " " + quoted(name) + ": " + std::string(detail));
}

Status forbidden(std::string_view group, std::string_view resource, std::string_view name, std::string_view detail) {
  std::string message;
  if (!group.empty() || !resource.empty()) {
    message = qualified(group, resource) + " ";
    if (!name.empty()) message += quoted(name) + " ";
    message += "is ";
  }
  message.append("forbidden: ").append(detail);
  return about(403, "Forbidden", group, resource, name, std::move(message));
}

Status bad_request(std::string_view message) { return Status::make(400, "BadRequest", message); }
Status unauthorized(std::string_view message) { return Status::make(401, "Unauthorized", message); }

Status method_not_supported(std::string_view group, std::string_view resource, std::string_view verb) {
  return about(405, "MethodNotAllowed", group, resource, {},
               std::string(verb) + " is not supported on resources of kind " + quoted(qualified(group, resource)));
}

Status gone(std::string_view message) { return Status::make(410, "Expired", message); }

Status internal_error(std::string_view message) {
  return Status::make(500, "InternalError", "Internal error occurred: " + std::string(message))
      .with_cause({"", std::string(message), ""});
}

Status too_many_requests(std::string_view message, int retry_after_seconds) {
  return Status::make(429, "TooManyRequests", message).with_retry_after(retry_after_seconds);
}

Status request_entity_too_large(std::string_view message) {
  return Status::make(413, "RequestEntityTooLarge", "Request entity too large: " + std::string(message));
}

Status not_acceptable(std::string_view message) { return Status::make(406, "NotAcceptable", message); }
Status unsupported_media_type(std::string_view message) { return Status::make(415, "UnsupportedMediaType", message); }
Status service_unavailable(std::string_view message) { return Status::make(503, "ServiceUnavailable", message); }

Status timeout(std::string_view message, int retry_after_seconds) {
  return Status::make(504, "Timeout", "Timeout: " + std::string(message)).with_retry_after(retry_after_seconds);
}

Status generic_not_found() { return Status::make(404, "NotFound", "the server could not find the requested resource"); }

}  // namespace knarr::apiserver
