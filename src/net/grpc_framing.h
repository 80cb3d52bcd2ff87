// SPDX-License-Identifier: Apache-2.0
// gRPC's wire form, shared by its client and server: five bytes before each message, and the
// statuses. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace knarr::net {

// One message with its prefix.
Body grpc_frame(std::string message);

// Reassembles messages from the pieces of a body.
class GrpcReader {
 public:
  explicit GrpcReader(size_t max_message) : max_(max_message) {}
  void feed(std::string piece);
  // The next whole message, or nullopt when more is needed. ResourceExhausted, Unimplemented
  // (compression) or Internal.
  Result<std::optional<std::string>> take();
  bool empty() const { return buffered_.size() == taken_; }

 private:
  size_t max_;
  std::string buffered_;
  size_t taken_ = 0;
};

inline constexpr size_t kGrpcMaxMessage = 128 << 20;

Status grpc_status(int code, std::string_view message);
// OK when the fields say 0; Unknown when they say nothing.
Status grpc_status_of(const Headers& trailers);
// The gRPC code of any Status: by its reason, else by its HTTP code.
int grpc_code_of(const Status& status);
std::string grpc_encode_message(std::string_view message);

}  // namespace knarr::net
