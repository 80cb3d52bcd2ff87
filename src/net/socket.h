// SPDX-License-Identifier: Apache-2.0
// TCP and Unix sockets as byte streams, for this module and for servers that do not speak HTTP (DNS); with udp.h the only place that knows Asio's
// sockets.
#pragma once

#include <memory>
#include <string>

#include "base/task.h"
#include "net/http.h"
#include "net/stream.h"

namespace knarr::net {

// Takes over `fd` (connected, non-blocking). Writes go straight to the kernel and suspend only when
// it is full; a writer that is never blocked still yields every half megabyte so that its
// neighbours run.
std::unique_ptr<ByteStream> make_socket_stream(Executor executor, int fd);

// A listening, non-blocking socket. Addresses as in Server::listen. A stale Unix socket file is
// replaced.
Result<int> listen_socket(const std::string& address);
uint16_t local_port(int fd);
std::shared_ptr<Peer> peer_of(int fd);

// True while an idle connection has neither data nor an end waiting: fit for another request.
bool socket_is_quiet(int fd);

// Accepts until close(). Created, used and destroyed on one executor.
class Acceptor {
 public:
  Acceptor(Executor executor, int fd);
  ~Acceptor();
  Task<Result<int>>
  accept();  // non-blocking fd, TCP_NODELAY set; waits by itself when out of descriptors
  void close();
  int fd() const { return fd_; }

 private:
  struct Impl;
  int fd_;
  std::shared_ptr<Impl> impl_;
};

struct Connected {
  std::unique_ptr<ByteStream> stream;
  int fd = -1;  // the stream's; for socket_is_quiet
};
// "host:port" (every address in turn) or "unix:/path".
Task<Result<Connected>> connect_socket(std::string address, Duration timeout);

}  // namespace knarr::net
