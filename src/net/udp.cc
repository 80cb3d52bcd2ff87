// SPDX-License-Identifier: Apache-2.0
#include "net/udp.h"

#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>

#include "net/socket.h"
#include "net/text.h"

namespace knarr::net {
namespace asio = boost::asio;

namespace {

using Descriptor = asio::posix::stream_descriptor;
constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr size_t kBatch = 32, kMaxDatagram = 4096, kMaxAnswer = 65535;
constexpr int kReceiveBuffer = 4 << 20;
// Batches taken before others on the executor get their turn.
constexpr int kBatchesInTurn = 8;

Result<int> open_socket(const std::string& address, bool server) {
  std::string host, port;
  if (!split_host_port(address, &host, &port)) return Status::error("invalid address " + address);
  bool any = server && (host.empty() || host == "::");
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  if (int error = ::getaddrinfo(any ? "::" : host.c_str(), port.c_str(), &hints, &found); error != 0)
    return Status::error("address " + address + ": " + ::gai_strerror(error));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Status::from_errno("socket", errno);
  int failed = 0;
  if (server) {
    int on = 1, off = 0;
    if (found->ai_family == AF_INET6) {
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof off);
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    } else {
      ::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    }
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    failed = ::bind(fd, found->ai_addr, found->ai_addrlen);
  } else {
    failed = ::connect(fd, found->ai_addr, found->ai_addrlen);
  }
  if (failed == 0) return fd;
  Status status = Status::from_errno((server ? "listen udp " : "dial udp ") + address, errno);
  ::close(fd);
  return status;
}

union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
};

void read_local_address(msghdr& message, DatagramPeer* peer) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      peer->local_family = AF_INET;
      std::memcpy(peer->local, &info.ipi_addr, sizeof info.ipi_addr);
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      peer->local_family = AF_INET6;
      std::memcpy(peer->local, &info.ipi6_addr, sizeof info.ipi6_addr);
    }
  }
}

// The route still picks the interface: only the source address is set.
void write_local_address(const DatagramPeer& peer, Control* control, msghdr* message) {
  if (peer.local_family == 0) return;
  std::memset(control, 0, sizeof *control);
  message->msg_control = control->bytes;
  message->msg_controllen = sizeof control->bytes;
  cmsghdr* header = CMSG_FIRSTHDR(message);
  if (peer.local_family == AF_INET) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, peer.local, sizeof info.ipi_spec_dst);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message->msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, peer.local, sizeof info.ipi6_addr);
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message->msg_controllen = CMSG_SPACE(sizeof info);
  }
}

// What recvmmsg fills and sendmmsg empties. One of each a server: 130 kB, whatever the load.
struct Incoming {
  std::array<std::array<char, kMaxDatagram>, kBatch> buffers;
  std::array<DatagramPeer, kBatch> peers;
  std::array<Control, kBatch> controls;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> messages;

  int receive(int fd) {
    for (size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {buffers[i].data(), kMaxDatagram};
      messages[i] = {};
      msghdr& message = messages[i].msg_hdr;
      message.msg_name = &peers[i].address;
      message.msg_namelen = sizeof peers[i].address;
      message.msg_iov = &vectors[i];
      message.msg_iovlen = 1;
      message.msg_control = controls[i].bytes;
      message.msg_controllen = sizeof controls[i].bytes;
    }
    int count = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
      peers[i].address_size = messages[i].msg_hdr.msg_namelen;
      peers[i].local_family = 0;
      read_local_address(messages[i].msg_hdr, &peers[i]);
    }
    return count;
  }
};

struct Outgoing {
  std::array<std::string, kBatch> bytes;
  std::array<DatagramPeer, kBatch> peers;
  size_t count = 0;

  void flush(int fd) {
    std::array<Control, kBatch> controls;
    std::array<iovec, kBatch> vectors;
    std::array<mmsghdr, kBatch> messages;
    for (size_t i = 0; i < count; ++i) {
      vectors[i] = {bytes[i].data(), bytes[i].size()};
      messages[i] = {};
      msghdr& message = messages[i].msg_hdr;
      message.msg_name = &peers[i].address;
      message.msg_namelen = peers[i].address_size;
      message.msg_iov = &vectors[i];
      message.msg_iovlen = 1;
      write_local_address(peers[i], &controls[i], &message);
    }
    for (size_t sent = 0; sent < count;) {
      int done = ::sendmmsg(fd, messages.data() + sent, static_cast<unsigned>(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
      // One that cannot be sent (its peer is unreachable, the buffer is full) must not hold back the others.
      sent += done > 0 ? static_cast<size_t>(done) : 1;
    }
    count = 0;
  }
};

class Server final : public UdpServer {
 public:
  Server(Executor executor, int fd) : state_(std::make_shared<State>(std::move(executor), fd)) {}
  ~Server() override { state_->close(); }
  uint16_t port() const override { return local_port(state_->fd); }
  void close() override { state_->close(); }

  void send(const DatagramPeer& to, std::string_view bytes) override {
    Outgoing& outgoing = state_->outgoing;
    outgoing.peers[outgoing.count] = to;
    outgoing.bytes[outgoing.count].assign(bytes);
    ++outgoing.count;
    if (!state_->in_batch || outgoing.count == kBatch) outgoing.flush(state_->fd);
  }

  Task<void> serve(std::function<void(std::string_view, const DatagramPeer&)> handler) override {
    std::shared_ptr<State> state = state_;
    while (state->open) {
      auto [error] = co_await state->descriptor.async_wait(Descriptor::wait_read, kToken);
      if (error || !state->open) co_return;
      for (int turn = 0; turn < kBatchesInTurn && state->open; ++turn) {
        int count = state->incoming.receive(state->fd);
        if (count <= 0) break;
        state->in_batch = true;
        for (int i = 0; i < count; ++i)
          handler({state->incoming.buffers[i].data(), state->incoming.messages[i].msg_len}, state->incoming.peers[i]);
        state->in_batch = false;
        state->outgoing.flush(state->fd);
        if (count < static_cast<int>(kBatch)) break;
      }
    }
  }

 private:
  struct State {
    State(Executor executor, int socket) : descriptor(std::move(executor), socket), fd(socket) {}
    Descriptor descriptor;
    int fd;
    bool open = true, in_batch = false;
    Incoming incoming;
    Outgoing outgoing;
    void close() {
      if (!open) return;
      open = false;
      boost::system::error_code ignored;
      descriptor.close(ignored);
    }
  };
  std::shared_ptr<State> state_;
};

class ConnectedClient final : public UdpClient {
 public:
  ConnectedClient(Executor executor, int fd) : state_(std::make_shared<State>(std::move(executor), fd)) {}
  ~ConnectedClient() override { close(); }
  Status send(std::string_view bytes) override {
    if (::send(state_->descriptor.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    return Status::from_errno("write udp", errno);
  }
  Task<Result<std::string>> receive() override {
    std::shared_ptr<State> state = state_;
    while (state->open) {
      auto [error] = co_await state->descriptor.async_wait(Descriptor::wait_read, kToken);
      if (error || !state->open) break;
      std::string bytes(kMaxAnswer, '\0');
      ssize_t size = ::recv(state->descriptor.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (size < 0) co_return Status::from_errno("read udp", errno);
      bytes.resize(static_cast<size_t>(size));
      co_return bytes;
    }
    co_return Status::error("use of closed network connection");
  }
  void close() override {
    if (!std::exchange(state_->open, false)) return;
    boost::system::error_code ignored;
    state_->descriptor.close(ignored);
  }

 private:
  struct State {
    State(Executor executor, int socket) : descriptor(std::move(executor), socket) {}
    Descriptor descriptor;
    bool open = true;
  };
  std::shared_ptr<State> state_;
};

}  // namespace

bool DatagramPeer::is_ipv4() const {
  if (address.ss_family == AF_INET) return true;
  return IN6_IS_ADDR_V4MAPPED(&reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr);
}

Result<std::unique_ptr<UdpServer>> make_udp_server(Executor executor, const std::string& address) {
  TRY_ASSIGN(int fd, open_socket(address, true));
  return std::unique_ptr<UdpServer>(std::make_unique<Server>(std::move(executor), fd));
}

Result<std::unique_ptr<UdpClient>> make_udp_client(Executor executor, const std::string& address) {
  TRY_ASSIGN(int fd, open_socket(address, false));
  return std::unique_ptr<UdpClient>(std::make_unique<ConnectedClient>(std::move(executor), fd));
}

}  // namespace knarr::net
