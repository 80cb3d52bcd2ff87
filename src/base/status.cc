// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace knarr {

Status Status::make(int code, std::string_view reason, std::string_view message) {
  StatusInfo info;
  info.code = code;
  info.reason = reason;
  info.message = message;
  return from(std::move(info));
}

Status Status::from(StatusInfo info) {
  Status status;
  status.info_ = std::make_shared<const StatusInfo>(std::move(info));
  return status;
}

Status Status::from_errno(std::string_view what, int error) {
  // Go's texts are the C library's with a small first letter, and its words end up in events and conditions.
  std::string text = std::strerror(error);
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1]))) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return Status::error(std::string(what) + ": " + text);
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return *this;
  StatusInfo info = *info_;
  info.message = std::string(context) + ": " + info.message;
  return from(std::move(info));
}

Status Status::with_cause(Cause cause) const {
  if (ok()) return *this;
  StatusInfo info = *info_;
  info.causes.push_back(std::move(cause));
  return from(std::move(info));
}

Status Status::with_retry_after(int seconds) const {
  if (ok()) return *this;
  StatusInfo info = *info_;
  info.retry_after_seconds = seconds;
  return from(std::move(info));
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", file, line, expression);
  std::abort();
}

}  // namespace knarr
