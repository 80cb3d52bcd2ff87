// SPDX-License-Identifier: Apache-2.0
// Datagrams: a server's socket that takes and answers them in batches, and a client's that is connected to one peer.
// Everything on the executor they were made for.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/task.h"

namespace knarr::net {

// Where a datagram came from and which of our addresses it was sent to, so that the answer goes out from that one.
struct DatagramPeer {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  // The local address, as an IPv6 one (IPv4 mapped); family 0 when unknown.
  int local_family = 0;
  unsigned char local[16] = {};
  bool is_ipv4() const;  // also when mapped
};

class UdpServer {
 public:
  virtual ~UdpServer() = default;
  virtual uint16_t port() const = 0;
  // Calls `handler` for each datagram (its bytes are valid only in the call; longer than 4096 bytes are cut) until close().
  virtual Task<void> serve(std::function<void(std::string_view bytes, const DatagramPeer& from)> handler) = 0;
  // From within the handler: sent with its batch. From elsewhere: at once. Dropped when the kernel's buffer is full, as datagrams are.
  virtual void send(const DatagramPeer& to, std::string_view bytes) = 0;
  virtual void close() = 0;
};

// "0.0.0.0:53", ":53" and "[::]:53" (both families), "127.0.0.1:0".
Result<std::unique_ptr<UdpServer>> make_udp_server(Executor executor, const std::string& address);

class UdpClient {
 public:
  virtual ~UdpClient() = default;
  virtual Status send(std::string_view bytes) = 0;
  // The peer's next datagram; an error when it refused (ICMP), after close().
  virtual Task<Result<std::string>> receive() = 0;
  virtual void close() = 0;
};

// From a port that the kernel picks at random. The address is numeric: "10.0.0.1:53", "[fd00::1]:53".
Result<std::unique_ptr<UdpClient>> make_udp_client(Executor executor, const std::string& address);

}  // namespace knarr::net
