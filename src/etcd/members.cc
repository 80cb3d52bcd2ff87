// SPDX-License-Identifier: Apache-2.0
#include "etcd/members.h"

#include "base/log.h"
#include "etcd/errors.h"
#include "net/tls.h"

namespace knarr::etcd {
namespace {

constexpr Duration kDialTimeout = std::chrono::seconds(5);
constexpr auto kFirstPause = std::chrono::milliseconds(50);
constexpr auto kLongestPause = std::chrono::seconds(2);

Status closed_status() { return Status::make(503, "Unavailable", "the connection to etcd is closing"); }

struct ServerAddress {
  std::string address;
  bool secure = false;
};

Result<ServerAddress> parse_server(std::string_view text) {
  ServerAddress out;
  std::string_view rest = text;
  if (rest.starts_with("unix://")) {
    out.address = "unix:" + std::string(rest.substr(7));
    return out;
  }
  size_t scheme = rest.find("://");
  if (scheme != rest.npos) {
    std::string_view name = rest.substr(0, scheme);
    if (name != "http" && name != "https") return Status::make(400, "BadRequest", "etcd server " + std::string(text) + ": unknown scheme");
    out.secure = name == "https";
    rest.remove_prefix(scheme + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  if (rest.empty()) return Status::make(400, "BadRequest", "etcd server \"" + std::string(text) + "\" has no host");
  out.address = rest;
  bool has_port = rest.rfind(':') != rest.npos && !rest.ends_with(']');
  if (!has_port) out.address += ":2379";
  return out;
}

}  // namespace

Members::Members(Executor executor, MembersOptions options) : executor_(executor), options_(std::move(options)), closing_(executor) {}

Result<std::shared_ptr<Members>> Members::make(Executor executor, MembersOptions options) {
  std::shared_ptr<Members> members(new Members(std::move(executor), std::move(options)));
  const MembersOptions& given = members->options_;
  if (given.servers.empty()) return Status::make(400, "BadRequest", "no etcd server given");
  std::shared_ptr<net::TlsClientContext> tls;
  for (const std::string& server : given.servers) {
    TRY_ASSIGN(ServerAddress parsed, parse_server(server));
    if (parsed.secure && tls == nullptr) {
      net::TlsClientOptions tls_options;
      tls_options.ca_file = given.ca_file;
      tls_options.cert_file = given.cert_file;
      tls_options.key_file = given.key_file;
      TRY_ASSIGN(tls, net::make_tls_client_context(std::move(tls_options)));
    }
    members->targets_.push_back({std::move(parsed.address), parsed.secure ? tls : nullptr});
  }
  members->connect();
  return members;
}

void Members::connect() {
  const Target& target = targets_[turn_ % targets_.size()];
  net::ClientOptions options;
  options.address = target.address;
  options.tls = target.tls;
  options.version = net::HttpVersion::kHttp2;
  options.connect_timeout = kDialTimeout;
  client_ = net::make_client(executor_, std::move(options));
  channel_ = net::make_grpc_channel(client_);
}

void Members::failed(uint64_t turn) {
  if (closed_ || turn != turn_) return;
  ++turn_;
  client_->close();
  connect();
}

Task<void> Members::pause(int failures) {
  // Each member is asked once before the first pause.
  int rounds = failures / static_cast<int>(targets_.size());
  if (rounds == 0 || closed_) co_return;
  Duration length = std::min<Duration>(kFirstPause * (1 << std::min(rounds - 1, 10)), kLongestPause);
  co_await closing_.wait_for(length);
}

Task<Result<Members::Answer>> Members::call(std::string method, std::string message, Repeat repeat) {
  MonoTime deadline = Clock::real().mono() + options_.call_timeout;
  for (int failures = 0;;) {
    if (closed_) co_return closed_status();
    uint64_t turn = turn_;
    Duration left = std::max<Duration>(deadline - Clock::real().mono(), std::chrono::milliseconds(1));
    Duration limit = std::min(left, options_.attempt_timeout);
    std::shared_ptr<net::GrpcChannel> channel = channel_;
    std::string copy = message;
    auto answer = co_await channel->call(method, std::move(copy), limit);
    if (answer.ok()) co_return Answer{std::move(*answer), failures > 0};
    if (!is_member_trouble(answer.status())) co_return answer.status();
    if (closed_) co_return closed_status();
    failed(turn);
    bool late = Clock::real().mono() >= deadline;
    if (late || repeat == Repeat::kNo) co_return answer.status();
    ++failures;
    log_debug("Call to etcd failed", {{"method", method}, {"error", answer.status().message()}});
    co_await pause(failures);
  }
}

Task<Result<std::unique_ptr<net::GrpcChannel::Stream>>> Members::stream(std::string method, std::string first_message) {
  if (closed_) co_return closed_status();
  std::shared_ptr<net::GrpcChannel> channel = channel_;
  auto opened = co_await channel->stream(std::move(method), std::move(first_message));
  co_return opened;
}

void Members::close() {
  if (closed_) return;
  closed_ = true;
  client_->close();
  closing_.notify();
}

}  // namespace knarr::etcd
