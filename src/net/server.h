// SPDX-License-Identifier: Apache-2.0
// HTTP server: HTTP/1.1 and HTTP/2 on the same port (ALPN over TLS; prior knowledge on plain text),
// any number of listeners.
//
// A connection lives on one executor of the given set (round robin) and never moves. A handler that
// throws or returns without responding gives 500. Limits are part of the contract: header block 1
// MB (431), idle timeout, at most 250 concurrent streams a connection, reset and CONTINUATION
// floods close the connection, a TLS handshake has 10 s.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/http.h"
#include "net/tls.h"

namespace knarr::net {

struct ServerOptions {
  std::shared_ptr<TlsServerContext> tls;  // null = plain text
  Duration idle_timeout = std::chrono::minutes(3);
  size_t max_header_bytes = 1 << 20;
  uint32_t max_concurrent_streams = 250;
};

class Server {
 public:
  virtual ~Server() = default;
  // "127.0.0.1:6443", "[::]:6443", "0.0.0.0:0" or "unix:/path". Returns the port (0 for Unix).
  virtual Result<uint16_t> listen(std::string address) = 0;
  // Takes over an already listening socket.
  virtual Status adopt(int fd) = 0;
  virtual std::vector<int> listening_fds() const = 0;
  // Stops accepting, says GOAWAY, waits up to `grace` for running exchanges, then closes
  // everything.
  virtual Task<void> shutdown(Duration grace) = 0;
};

std::unique_ptr<Server> make_server(std::vector<Executor> executors, ServerOptions options,
                                    Handler handler);

}  // namespace knarr::net
