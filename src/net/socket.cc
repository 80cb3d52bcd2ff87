// SPDX-License-Identifier: Apache-2.0
#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/event.h"
#include "net/text.h"

namespace knarr::net {
namespace asio = boost::asio;

namespace {

using Descriptor = asio::posix::stream_descriptor;
constexpr auto kToken = asio::as_tuple(asio::use_awaitable);
constexpr size_t kYieldBytes = 512 << 10;
constexpr int kMaxVectors = 64;

Status closed_error() { return Status::error("use of closed network connection"); }

// Shared by the stream and its running operations, so that dropping the stream in the middle of one
// is harmless.
struct SocketState {
  SocketState(Executor executor, int socket) : descriptor(std::move(executor)), fd(socket) {
    boost::system::error_code error;
    descriptor.assign(socket, error);
    if (!error) return;
    // The reactor is full: a connection less, but not the end of the process.
    ::close(socket);
    open = false;
  }
  Descriptor descriptor;
  int fd;
  bool open = true;
  size_t since_yield = 0;

  void close() {
    if (!open) return;
    open = false;
    boost::system::error_code ignored;
    descriptor.close(ignored);
  }

  // Bytes taken by the kernel; 0 when it is full.
  Result<size_t> send_now(iovec* vectors, size_t count) const {
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    while (true) {
      ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) return static_cast<size_t>(sent);
      if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
      if (errno != EINTR) return Status::from_errno("write", errno);
    }
  }
};

// After a send: waits for room, or lets others run now and then.
Task<Status> after_send(std::shared_ptr<SocketState> state, size_t sent) {
  if (sent == 0) {
    auto [error] = co_await state->descriptor.async_wait(Descriptor::wait_write, kToken);
    state->since_yield = 0;
    if (error || !state->open) co_return closed_error();
  } else if ((state->since_yield += sent) >= kYieldBytes) {
    state->since_yield = 0;
    co_await yield_now();
    if (!state->open) co_return closed_error();
  }
  co_return Status();
}

class SocketStream final : public ByteStream {
 public:
  SocketStream(Executor executor, int fd)
      : state_(std::make_shared<SocketState>(std::move(executor), fd)) {}
  ~SocketStream() override { state_->close(); }

  Task<Result<size_t>> read(char* buffer, size_t size) override {
    std::shared_ptr<SocketState> state = state_;
    if (!state->open) co_return closed_error();
    auto target = asio::buffer(buffer, size);
    auto [error, count] = co_await state->descriptor.async_read_some(target, kToken);
    if (error == asio::error::eof) co_return size_t{0};
    if (error) co_return Status::from_errno("read", error.value());
    co_return count;
  }

  Task<Status> write(std::string_view bytes) override {
    std::shared_ptr<SocketState> state = state_;
    while (!bytes.empty()) {
      if (!state->open) co_return closed_error();
      iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
      Result<size_t> sent = state->send_now(&vector, 1);
      if (!sent.ok()) co_return sent.status();
      bytes.remove_prefix(*sent);
      if (*sent != 0 && state->since_yield + *sent < kYieldBytes) {
        state->since_yield += *sent;
        continue;
      }
      Status status = co_await after_send(state, *sent);
      if (!status.ok()) co_return status;
    }
    co_return Status();
  }

  Task<Status> write(const Body& body) override {
    std::shared_ptr<SocketState> state = state_;
    const std::vector<Slice>& slices = body.slices();
    size_t index = 0, offset = 0;
    while (index < slices.size()) {
      if (!state->open) co_return closed_error();
      iovec vectors[kMaxVectors];
      size_t count = 0;
      for (size_t i = index; i < slices.size() && count < kMaxVectors; ++i, ++count) {
        std::string_view view = slices[i].view;
        if (i == index) view.remove_prefix(offset);
        vectors[count] = {const_cast<char*>(view.data()), view.size()};
      }
      Result<size_t> sent = state->send_now(vectors, count);
      if (!sent.ok()) co_return sent.status();
      for (size_t left = *sent; left > 0;) {
        size_t here = std::min(left, slices[index].view.size() - offset);
        left -= here;
        offset += here;
        if (offset == slices[index].view.size()) {
          ++index;
          offset = 0;
        }
      }
      Status status = co_await after_send(state, *sent);
      if (!status.ok()) co_return status;
    }
    co_return Status();
  }

  void shutdown_write() override {
    if (state_->open) ::shutdown(state_->fd, SHUT_WR);
  }
  void close() override { state_->close(); }

 private:
  std::shared_ptr<SocketState> state_;
};

void set_int(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof(value));
}

void tune_connection(int fd) {
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // As Go does: a peer that vanished is noticed after two to three minutes of silence.
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
}

Result<int> listen_on(const sockaddr* address, socklen_t size, bool dual_stack) {
  int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Status::from_errno("socket", errno);
  if (address->sa_family != AF_UNIX) set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address->sa_family == AF_INET6) set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1);
  if (::bind(fd, address, size) != 0 || ::listen(fd, 4096) != 0) {
    Status status = Status::from_errno("listen", errno);
    ::close(fd);
    return status;
  }
  return fd;
}

Result<sockaddr_un> unix_address(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return Status::error(fmt::format("unix socket path \"{}\" is empty or too long", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

Status resolve(const std::string& host, const std::string& port, int flags, AddressList* list) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  int error =
      ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &list->first);
  if (error == 0) return Status();
  return Status::error(fmt::format("lookup {}: {}", host, ::gai_strerror(error)));
}

}  // namespace

std::unique_ptr<ByteStream> make_socket_stream(Executor executor, int fd) {
  return std::make_unique<SocketStream>(std::move(executor), fd);
}

Result<int> listen_socket(const std::string& address) {
  if (address.starts_with("unix:")) {
    std::string path = address.substr(5);
    TRY_ASSIGN(sockaddr_un name, unix_address(path));
    struct stat info {};
    // A socket file that nobody accepts on any more is left over from an earlier run.
    if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
      int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      bool alive = ::connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
      ::close(probe);
      if (!alive) ::unlink(path.c_str());
    }
    return listen_on(reinterpret_cast<const sockaddr*>(&name), sizeof(name), false);
  }
  std::string host, port;
  if (!split_host_port(address, &host, &port))
    return Status::error("invalid listen address " + address);
  AddressList list;
  TRY(resolve(host.empty() ? "::" : host, port, AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
              &list));
  Result<int> fd =
      listen_on(list.first->ai_addr, list.first->ai_addrlen, host.empty() || host == "::");
  if (!fd.ok()) return fd.status().with_context(address);
  return fd;
}

uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

std::shared_ptr<Peer> peer_of(int fd) {
  auto peer = std::make_shared<Peer>();
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    peer->port = ntohs(v4->sin_port);
  } else if (address.ss_family == AF_INET6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    // A dual-stack listener shows IPv4 peers in their own notation.
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
      ::inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof(text));
    else
      ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    peer->port = ntohs(v6->sin6_port);
  }
  peer->address = text;
  return peer;
}

bool socket_is_quiet(int fd) {
  char byte;
  ssize_t count = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

struct Acceptor::Impl {
  Impl(Executor executor, int fd) : descriptor(std::move(executor), fd) {}
  Descriptor descriptor;
  bool open = true;
};

Acceptor::Acceptor(Executor executor, int fd)
    : fd_(fd), impl_(std::make_shared<Impl>(std::move(executor), fd)) {}

Acceptor::~Acceptor() { close(); }

Task<Result<int>> Acceptor::accept() {
  std::shared_ptr<Impl> impl = impl_;
  int listener = fd_;
  while (impl->open) {
    int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      tune_connection(fd);
      co_return fd;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      auto [error] = co_await impl->descriptor.async_wait(Descriptor::wait_read, kToken);
      if (error) break;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // Nothing to do but to wait until some connection ends.
      Duration pause = std::chrono::milliseconds(50);
      co_await sleep_for(pause);
    } else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != EPERM) {
      co_return Status::from_errno("accept", errno);
    }
  }
  co_return closed_error();
}

void Acceptor::close() {
  if (!impl_->open) return;
  impl_->open = false;
  boost::system::error_code ignored;
  impl_->descriptor.close(ignored);
}

namespace {

// The state that the time-out alarm and the connecting coroutine share.
struct Connecting {
  std::unique_ptr<Descriptor> descriptor;
  bool timed_out = false;
};

Task<Result<int>> connect_one(Executor executor, std::shared_ptr<Connecting> state,
                              const sockaddr* address, socklen_t size) {
  int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return Status::from_errno("socket", errno);
  state->descriptor = std::make_unique<Descriptor>(executor, fd);
  int error = ::connect(fd, address, size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    auto [wait_error] = co_await state->descriptor->async_wait(Descriptor::wait_write, kToken);
    if (state->timed_out) co_return Status::error("i/o timeout");
    socklen_t length = sizeof(error);
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error == 0 && wait_error) error = wait_error.value();
  }
  if (error != 0) {
    state->descriptor.reset();
    co_return Status::from_errno("connect", error);
  }
  state->descriptor->release();
  state->descriptor.reset();
  if (address->sa_family != AF_UNIX) tune_connection(fd);
  co_return fd;
}

}  // namespace

Task<Result<Connected>> connect_socket(std::string address, Duration timeout) {
  Executor executor = co_await this_executor();
  auto state = std::make_shared<Connecting>();
  Alarm alarm(executor);
  if (timeout > Duration::zero()) {
    alarm.arm(timeout, [state] {
      state->timed_out = true;
      boost::system::error_code ignored;
      if (state->descriptor) state->descriptor->cancel(ignored);
    });
  }
  Result<int> fd = Status::error("no address");
  if (address.starts_with("unix:")) {
    CO_TRY_ASSIGN(sockaddr_un name, unix_address(std::string_view(address).substr(5)));
    const auto* generic = reinterpret_cast<const sockaddr*>(&name);
    fd = co_await connect_one(executor, state, generic, sizeof(name));
  } else {
    std::string host, port;
    if (!split_host_port(address, &host, &port))
      co_return Status::error("address " + address + ": missing port");
    auto list = std::make_shared<AddressList>();
    Status found = resolve(host, port, AI_NUMERICHOST | AI_NUMERICSERV, list.get());
    if (!found.ok()) {
      auto outcome = std::make_shared<Status>();
      std::function<void()> look_up = [host, port, list, outcome] {
        *outcome = resolve(host, port, 0, list.get());
      };
      co_await run_blocking(look_up);
      found = *outcome;
    }
    if (!found.ok()) co_return found.with_context("dial tcp");
    for (addrinfo* at = list->first; at != nullptr; at = at->ai_next) {
      if (state->timed_out) {
        fd = Status::error("i/o timeout");
        break;
      }
      fd = co_await connect_one(executor, state, at->ai_addr, at->ai_addrlen);
      if (fd.ok()) break;
    }
  }
  if (!fd.ok()) {
    std::string what = address.starts_with("unix:") ? "dial unix " + address.substr(5) : "dial tcp " + address;
    co_return fd.status().with_context(what);
  }
  Connected connected;
  connected.fd = *fd;
  connected.stream = make_socket_stream(executor, *fd);
  co_return std::move(connected);
}

}  // namespace knarr::net
