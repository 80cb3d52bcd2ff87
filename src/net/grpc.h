// SPDX-License-Identifier: Apache-2.0
// gRPC over our HTTP/2: five bytes of framing and the trailers. Messages are encoded protobuf; the
// caller owns the codec. A non-zero grpc-status becomes a Status whose reason is the gRPC code's
// name ("NotFound", "Unavailable", "Unimplemented", ...), whose code is its HTTP equivalent, and
// whose message is the percent-decoded grpc-message.
#pragma once

#include <memory>
#include <string>

#include "base/task.h"
#include "net/client.h"

namespace knarr::net {

class GrpcChannel {
 public:
  virtual ~GrpcChannel() = default;
  // method: "/runtime.v1.RuntimeService/Version". timeout 0 = none.
  virtual Task<Result<std::string>> call(std::string method, std::string message,
                                         Duration timeout) = 0;
  // Server streaming: next() gives one message; at the end a Result holding nullopt, or the status.
  class Stream {
   public:
    virtual ~Stream() = default;
    virtual Task<Result<std::optional<std::string>>> next() = 0;
    virtual Task<Status> send(std::string message) = 0;  // bidirectional
    virtual Task<Status> finish_sending() = 0;
    virtual void cancel() = 0;
  };
  virtual Task<Result<std::unique_ptr<Stream>>> stream(std::string method,
                                                       std::string first_message) = 0;
};

// `client` speaks HTTP/2 (HttpVersion::kHttp2 for a plain-text Unix socket).
std::unique_ptr<GrpcChannel> make_grpc_channel(std::shared_ptr<Client> client);

}  // namespace knarr::net
