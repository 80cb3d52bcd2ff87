// SPDX-License-Identifier: Apache-2.0
#include "dns/server.h"

#include <unistd.h>

#include <unordered_set>

#include "base/log.h"
#include "net/event.h"
#include "net/socket.h"
#include "net/udp.h"

namespace knarr::dns {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxPending = 10000;     // questions that wait for other servers
constexpr size_t kMaxConnections = 1000;
constexpr size_t kMaxTcpMessage = 65535, kMinUdpMessage = 512;
constexpr Duration kIdle = 10s;           // of a connection
// With port 0 the kernel picks a free UDP port, which somebody's TCP connection may have.
constexpr int kMaxPortAttempts = 16;

}  // namespace

struct Server::Impl {
  Impl(Executor e, Router r, Metrics& m, const Clock& c) : executor(std::move(e)), router(std::move(r)), metrics(m), clock(c) {}
  Executor executor;
  Router router;
  Metrics& metrics;
  const Clock& clock;
  std::vector<std::unique_ptr<net::UdpServer>> udp;
  std::vector<std::unique_ptr<net::Acceptor>> tcp;
  std::unordered_set<net::ByteStream*> connections;
  size_t pending = 0;
  bool stopped = false;

  // Who asked, and when: what an answer needs to get back and to be counted.
  struct Asked {
    MonoTime at;
    size_t bytes = 0;
    bool tcp = false, ipv4 = true;
  };

  // The query in `wire`, or what it is refused with. Neither: it is no query at all and gets no answer.
  static std::optional<Message> read_query(std::string_view wire, std::optional<Reply>* refusal) {
    auto parsed = parse_message(wire);
    if (parsed.ok()) {
      if (parsed->response) return std::nullopt;
      return std::move(*parsed);
    }
    auto header = parse_header(wire);
    if (header && !header->response) *refusal = Reply{reply_to(*header, kFormatError)};
    return std::nullopt;
  }

  void encode(const Reply& reply, const Asked& asked, std::string* out) {
    size_t start = out->size(), limit = kMaxTcpMessage;
    if (!asked.tcp) limit = reply.message.edns ? std::max<size_t>(reply.message.edns->udp_size, kMinUdpMessage) : kMinUdpMessage;
    encode_message(reply.message, limit, out);
    Metrics::Exchange exchange;
    exchange.tcp = asked.tcp;
    exchange.ipv4 = asked.ipv4;
    exchange.dnssec_ok = reply.message.edns && reply.message.edns->dnssec_ok;
    exchange.type = reply.message.questions.empty() ? 0 : reply.message.questions.front().type;
    exchange.rcode = reply.message.rcode;
    exchange.source = reply.source;
    exchange.request_bytes = asked.bytes;
    exchange.answer_bytes = out->size() - start;
    exchange.took = clock.mono() - asked.at;
    metrics.add(exchange);
  }

  // Without a reply, *resolver is who has one later.
  std::optional<Reply> answer_now(const Message& query, std::shared_ptr<Resolver>* resolver) const {
    if (query.questions.size() == 1) *resolver = router(query);
    if (*resolver != nullptr) return (*resolver)->answer_now(query);
    auto refusal = refuse_query(query);
    return Reply{refusal ? std::move(*refusal) : reply_to(query, kRefused)};
  }

  void on_datagram(const std::shared_ptr<Impl>& self, net::UdpServer* socket, std::string_view bytes, const net::DatagramPeer& from) {
    Asked asked{clock.mono(), bytes.size(), false, from.is_ipv4()};
    std::optional<Reply> reply;
    std::optional<Message> query = read_query(bytes, &reply);
    std::shared_ptr<Resolver> resolver;
    if (query) reply = answer_now(*query, &resolver);
    if (query && !reply && pending >= kMaxPending) reply = Reply{reply_to(*query, kServerFailure)};
    if (query && !reply) {
      ++pending;
      spawn(executor, answer_later(self, std::move(resolver), socket, std::move(*query), from, asked));
      return;
    }
    if (!reply) return;
    std::string out;
    encode(*reply, asked, &out);
    socket->send(from, out);
  }

  static Task<void> answer_later(std::shared_ptr<Impl> self, std::shared_ptr<Resolver> resolver, net::UdpServer* socket, Message query,
                                 net::DatagramPeer from, Asked asked) {
    Reply reply = co_await resolver->answer(std::move(query), false);
    --self->pending;
    if (self->stopped) co_return;
    std::string out;
    self->encode(reply, asked, &out);
    socket->send(from, out);
  }

  static Task<void> serve_udp(std::shared_ptr<Impl> self, net::UdpServer* socket) {
    std::function<void(std::string_view, const net::DatagramPeer&)> handler = [impl = self.get(), weak = std::weak_ptr<Impl>(self), socket](
                                                                                  std::string_view bytes, const net::DatagramPeer& from) {
      if (auto alive = weak.lock()) impl->on_datagram(alive, socket, bytes, from);
    };
    co_await socket->serve(handler);
  }

  static Task<void> accept(std::shared_ptr<Impl> self, net::Acceptor* acceptor) {
    while (!self->stopped) {
      auto fd = co_await acceptor->accept();
      if (!fd.ok()) co_return;
      if (self->connections.size() >= kMaxConnections) {
        ::close(*fd);
        continue;
      }
      spawn(self->executor, serve_connection(self, *fd));
    }
  }

  static Task<void> serve_connection(std::shared_ptr<Impl> self, int fd) {
    bool ipv4 = net::peer_of(fd)->address.find(':') == std::string::npos;
    auto stream = net::make_socket_stream(self->executor, fd);
    self->connections.insert(stream.get());
    std::string buffer, out;
    while (!self->stopped) {
      net::Alarm idle(self->executor);
      idle.arm(kIdle, [tcp = stream.get()] { tcp->close(); });
      auto message = co_await read_tcp_message(stream.get(), &buffer);
      if (!message.ok() || message->empty()) break;
      Asked asked{self->clock.mono(), message->size(), true, ipv4};
      std::optional<Reply> reply;
      std::optional<Message> query = read_query(*message, &reply);
      std::shared_ptr<Resolver> resolver;
      if (query) reply = self->answer_now(*query, &resolver);
      if (query && !reply) {
        idle.cancel();
        reply = co_await resolver->answer(std::move(*query), true);
      }
      if (!reply || self->stopped) break;
      out.assign(2, '\0');
      self->encode(*reply, asked, &out);
      out[0] = static_cast<char>((out.size() - 2) >> 8);
      out[1] = static_cast<char>((out.size() - 2) & 0xff);
      idle.arm(kIdle, [tcp = stream.get()] { tcp->close(); });
      std::string_view bytes = out;
      Status sent = co_await stream->write(bytes);
      if (!sent.ok()) break;
    }
    self->connections.erase(stream.get());
  }
};

Server::Server(Executor executor, Router router, Metrics& metrics, const Clock& clock)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(router), metrics, clock)) {}

Server::~Server() { stop(); }

Result<uint16_t> Server::listen(const std::string& address) {
  const size_t colon = address.rfind(':');
  const bool any_port = colon != std::string::npos && std::string_view(address).substr(colon + 1) == "0";
  std::unique_ptr<net::UdpServer> udp;
  int fd = -1;
  for (int attempt = 0; fd < 0; ++attempt) {
    TRY_ASSIGN(udp, net::make_udp_server(impl_->executor, address));
    auto tcp = net::listen_socket(address.substr(0, colon + 1) + std::to_string(udp->port()));
    if (tcp.ok()) {
      fd = *tcp;
    } else if (!any_port || attempt == kMaxPortAttempts) {
      return tcp.status();
    }
  }
  const uint16_t port = udp->port();
  impl_->tcp.push_back(std::make_unique<net::Acceptor>(impl_->executor, fd));
  impl_->udp.push_back(std::move(udp));
  spawn(impl_->executor, Impl::serve_udp(impl_, impl_->udp.back().get()));
  spawn(impl_->executor, Impl::accept(impl_, impl_->tcp.back().get()));
  return port;
}

void Server::stop() {
  if (std::exchange(impl_->stopped, true)) return;
  for (auto& socket : impl_->udp) socket->close();
  for (auto& acceptor : impl_->tcp) acceptor->close();
  for (net::ByteStream* stream : impl_->connections) stream->close();
}

}  // namespace knarr::dns
