// SPDX-License-Identifier: Apache-2.0
// gRPC methods behind an HTTP handler (device plugins, CSI registration, a stand-in for etcd in
// tests): HTTP/2 only. A method answers with an encoded message or a Status, whose reason names the
// gRPC code ("NotFound", ...), else its HTTP code decides. Methods run on the connection's
// executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "net/http.h"

namespace knarr::net {

class GrpcServerStream {
 public:
  virtual ~GrpcServerStream() = default;
  // The next message, nullopt when the client will send no more.
  virtual Task<Result<std::optional<std::string>>> next() = 0;
  virtual Task<Status> send(std::string message) = 0;
  virtual bool closed() const = 0;
  virtual void on_close(std::function<void()> callback) = 0;
};

class GrpcService {
 public:
  using Unary = std::function<Task<Result<std::string>>(std::string message)>;
  using Streaming = std::function<Task<Status>(GrpcServerStream& stream)>;
  // method: "/etcdserverpb.KV/Range". All before handler().
  void add_unary(std::string method, Unary unary);
  void add_streaming(std::string method, Streaming streaming);
  Handler handler() const;  // shares the table as it is now
 private:
  struct Method {
    Unary unary;
    Streaming streaming;
  };
  absl::flat_hash_map<std::string, Method> methods_;
};

}  // namespace knarr::net
