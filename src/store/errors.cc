// SPDX-License-Identifier: Apache-2.0
#include "store/errors.h"

#include <string>

namespace knarr::store {

Status list_expired() {
  return Status::make(410, "Expired", "The resourceVersion for the provided list is too old.");
}

Status watch_expired() {
  return Status::make(410, "Expired", "The resourceVersion for the provided watch is too old.");
}

Status revision_too_large(int64_t wanted, int64_t current) {
  std::string message = "Too large resource version: " + std::to_string(wanted) +
                        ", current: " + std::to_string(current);
  return Status::make(504, "Timeout", message)
      .with_cause({"ResourceVersionTooLarge", "Too large resource version", ""})
      .with_retry_after(1);
}

Status store_closing() { return Status::make(503, "ServiceUnavailable", "the store is closing"); }

Status out_of_space() {
  return Status::make(507, "InsufficientStorage", "store: database space exceeded");
}

Status bad_request(std::string_view message) { return Status::make(400, "BadRequest", message); }

}  // namespace knarr::store
