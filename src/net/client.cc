// SPDX-License-Identifier: Apache-2.0
#include "net/client.h"

#include "net/client_internal.h"
#include "net/socket.h"
#include "net/text.h"
#include "net/tls_stream.h"

namespace knarr::net {

namespace {

struct Dialed {
  std::unique_ptr<ByteStream> stream;
  int fd = -1;
  std::string alpn;
};

Task<Result<Dialed>> dial_endpoint(std::string address, std::shared_ptr<TlsClientContext> tls,
                                   std::vector<std::string> protocols, Duration timeout) {
  Result<Connected> connected = co_await connect_socket(address, timeout);
  if (!connected.ok()) co_return connected.status();
  Dialed dialed;
  dialed.fd = connected->fd;
  if (tls == nullptr) {
    dialed.stream = std::move(connected->stream);
    co_return std::move(dialed);
  }
  std::string host = "localhost", port;
  if (!address.starts_with("unix:")) split_host_port(address, &host, &port);
  Duration limit = std::chrono::seconds(10);
  std::unique_ptr<ByteStream> under = std::move(connected->stream);
  Result<TlsResult> secured =
      co_await tls_connect(std::move(under), std::move(tls), host, std::move(protocols), limit);
  if (!secured.ok()) co_return secured.status();
  dialed.stream = std::move(secured->stream);
  dialed.alpn = std::move(secured->alpn);
  co_return std::move(dialed);
}

// Go's rule: what may be sent twice without asking.
bool is_replayable(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

// One of the two.
struct Lease {
  std::shared_ptr<Http2ClientConnection> http2;
  std::shared_ptr<Http1ClientConnection> http1;
};

// Shared by the client and its running calls.
struct ClientState {
  ClientState(Executor e, ClientOptions o)
      : executor(std::move(e)), options(std::move(o)), dial_done(executor) {
    if (options.authority.empty())
      options.authority = options.address.starts_with("unix:") ? "localhost" : options.address;
    known_http1 = options.version == HttpVersion::kHttp1 ||
                  (options.version == HttpVersion::kAuto && options.tls == nullptr);
  }
  const Executor executor;
  ClientOptions options;
  bool closed = false;
  bool known_http1;  // every request needs a connection of its own, so dials need not wait for each
                     // other
  bool dialing = false;
  uint64_t dials = 0;
  Status last_dial;  // outcome of dial number `dials`
  Notifier dial_done;
  std::vector<std::shared_ptr<Http2ClientConnection>> http2;
  std::shared_ptr<Http1Pool> http1 = std::make_shared<Http1Pool>();

  std::string_view scheme() const { return options.tls != nullptr ? "https" : "http"; }

  void close() {
    closed = true;
    for (auto& connection : http2) connection->close();
    http2.clear();
    http1->close();
  }
};
using StatePtr = std::shared_ptr<ClientState>;

Status client_closed() { return Status::error("http: client is closed"); }

// A new connection, of whichever version the peer agrees to.
Task<Result<Lease>> dial_lease(StatePtr state) {
  const ClientOptions& options = state->options;
  std::vector<std::string> protocols;
  if (options.version != HttpVersion::kHttp1) protocols.push_back("h2");
  if (options.version != HttpVersion::kHttp2) protocols.push_back("http/1.1");
  Result<Dialed> dialed = co_await dial_endpoint(options.address, options.tls, std::move(protocols),
                                                 options.connect_timeout);
  if (!dialed.ok()) co_return dialed.status();
  if (state->closed) co_return client_closed();
  Lease lease;
  bool http2 = options.version == HttpVersion::kHttp2 ||
               (options.version == HttpVersion::kAuto && dialed->alpn == "h2");
  if (!http2) {
    lease.http1 = std::make_shared<Http1ClientConnection>(std::move(dialed->stream), dialed->fd);
    co_return std::move(lease);
  }
  lease.http2 = std::make_shared<Http2ClientConnection>(state->executor, std::move(dialed->stream));
  CO_TRY(lease.http2->start());
  state->http2.push_back(lease.http2);
  std::shared_ptr<Http2Connection> base = lease.http2;
  spawn(state->executor, Http2Connection::run(std::move(base), std::string()));
  co_return std::move(lease);
}

Task<Result<Lease>> acquire(StatePtr state) {
  while (!state->closed) {
    std::erase_if(state->http2, [](const auto& connection) { return connection->over(); });
    Lease lease;
    for (auto& connection : state->http2) {
      if (!connection->available()) continue;
      lease.http2 = connection;
      co_return std::move(lease);
    }
    lease.http1 = state->http1->take();
    if (lease.http1 != nullptr) co_return std::move(lease);
    if (state->known_http1) {
      Result<Lease> dialed = co_await dial_lease(state);
      co_return std::move(dialed);
    }
    if (state->dialing) {
      // The connection that is being made may carry us too; its failure is ours as well.
      uint64_t number = state->dials;
      co_await state->dial_done.wait();
      if (state->dials == number && !state->dialing && !state->last_dial.ok())
        co_return state->last_dial;
      continue;
    }
    state->dialing = true;
    ++state->dials;
    Result<Lease> dialed = co_await dial_lease(state);
    state->dialing = false;
    state->last_dial = dialed.status();
    if (dialed.ok()) state->known_http1 = dialed->http1 != nullptr;
    state->dial_done.notify();
    co_return std::move(dialed);
  }
  co_return client_closed();
}

struct Attempt {
  Result<ClientResponse> response = Status::error("not sent");
  bool may_repeat = false;
};

Task<void> attempt_http2(StatePtr state, std::shared_ptr<Http2ClientConnection> connection,
                         std::shared_ptr<const ClientRequest> request, Attempt* attempt) {
  bool used = connection->used();
  bool has_body = !request->body.empty();
  Result<std::shared_ptr<Http2Stream>> opened =
      connection->open(*request, state->scheme(), state->options.authority, has_body);
  if (!opened.ok()) {
    attempt->response = opened.status();
    attempt->may_repeat = true;
    co_return;
  }
  std::shared_ptr<Http2Stream> stream = *opened;
  if (has_body) {
    stream->queue(request->body);
    stream->end({});
  }
  Status status = co_await wait_for_head(stream, request->timeout);
  if (status.ok()) {
    attempt->response = http2_response(std::move(stream));
    co_return;
  }
  attempt->may_repeat = stream->refused || (used && connection->over() && !stream->head_done &&
                                            is_replayable(request->method));
  attempt->response = status;
}

Task<void> attempt_http1(StatePtr state, std::shared_ptr<Http1ClientConnection> connection,
                         std::shared_ptr<const ClientRequest> request, Attempt* attempt) {
  bool used = connection->used;
  Body out(http1_request_head(*request, state->options.authority, Http1Kind::kWhole));
  out.append(request->body);
  Status written = co_await connection->stream->write(out);
  // A server that refuses a large body answers and closes; its answer is worth more than our broken
  // pipe.
  Http1Answer answer;
  Status status =
      co_await read_http1_head(connection, request->method == "HEAD", request->timeout, &answer);
  if (status.ok()) {
    if (!written.ok()) answer.head.keep_alive = false;
    attempt->response = http1_response(std::move(connection), state->http1, std::move(answer.head));
    co_return;
  }
  attempt->may_repeat = used && answer.nothing_received && is_replayable(request->method);
  attempt->response = written.ok() ? status : written;
}

ClientRequest with_length(ClientRequest request) {
  bool expected = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if ((expected || !request.body.empty()) && !request.headers.has("content-length"))
    request.headers.add("Content-Length", std::to_string(request.body.size()));
  return request;
}

Task<Result<ClientResponse>> send_request(StatePtr state, ClientRequest given) {
  auto request = std::make_shared<const ClientRequest>(with_length(std::move(given)));
  for (int tries = 0;; ++tries) {
    Result<Lease> lease = co_await acquire(state);
    if (!lease.ok()) co_return lease.status();
    Attempt attempt;
    if (lease->http2 != nullptr)
      co_await attempt_http2(state, lease->http2, request, &attempt);
    else
      co_await attempt_http1(state, lease->http1, request, &attempt);
    if (attempt.response.ok() || !attempt.may_repeat || tries >= 2)
      co_return std::move(attempt.response);
  }
}

Task<Result<std::unique_ptr<ClientExchange>>> open_exchange(StatePtr state, ClientRequest request) {
  Result<Lease> lease = co_await acquire(state);
  if (!lease.ok()) co_return lease.status();
  Body first = std::move(request.body);
  request.body = Body();
  std::unique_ptr<ClientExchange> exchange;
  if (lease->http2 != nullptr) {
    CO_TRY_ASSIGN(std::shared_ptr<Http2Stream> stream,
                  lease->http2->open(request, state->scheme(), state->options.authority, true));
    exchange = http2_exchange(std::move(stream), request.timeout);
  } else {
    std::string head = http1_request_head(request, state->options.authority, Http1Kind::kStreaming);
    std::string_view view = head;
    Status written = co_await lease->http1->stream->write(view);
    if (!written.ok()) co_return written;
    exchange =
        http1_exchange(lease->http1, state->http1, request.method == "HEAD", request.timeout);
  }
  if (!first.empty()) {
    Status written = co_await exchange->write(std::move(first));
    if (!written.ok()) co_return written;
  }
  co_return std::move(exchange);
}

Task<Result<Client::Upgraded>> upgrade_request(StatePtr state, ClientRequest request) {
  if (state->closed) co_return client_closed();
  const ClientOptions& options = state->options;
  std::vector<std::string> protocols = {"http/1.1"};
  Result<Dialed> dialed = co_await dial_endpoint(options.address, options.tls, std::move(protocols),
                                                 options.connect_timeout);
  if (!dialed.ok()) co_return dialed.status();
  auto connection = std::make_shared<Http1ClientConnection>(std::move(dialed->stream), dialed->fd);
  Body out(http1_request_head(request, options.authority, Http1Kind::kUpgrade));
  out.append(std::move(request.body));
  Status written = co_await connection->stream->write(out);
  if (!written.ok()) co_return written;
  Http1Answer answer;
  Status status = co_await read_http1_head(connection, false, request.timeout, &answer);
  if (!status.ok()) co_return status;
  Client::Upgraded upgraded;
  if (answer.head.status == 101) {
    upgraded.response.status = 101;
    upgraded.response.headers = std::move(answer.head.headers);
    upgraded.stream = http1_upgraded(std::move(connection));
  } else {
    answer.head.keep_alive = false;
    upgraded.response = http1_response(std::move(connection), nullptr, std::move(answer.head));
  }
  co_return std::move(upgraded);
}

class ClientImpl final : public Client {
 public:
  ClientImpl(Executor executor, ClientOptions options)
      : state_(std::make_shared<ClientState>(std::move(executor), std::move(options))) {}
  ~ClientImpl() override { state_->close(); }
  Task<Result<ClientResponse>> send(ClientRequest request) override {
    return send_request(state_, std::move(request));
  }
  Task<Result<std::unique_ptr<ClientExchange>>> open(ClientRequest request) override {
    return open_exchange(state_, std::move(request));
  }
  Task<Result<Upgraded>> upgrade(ClientRequest request) override {
    return upgrade_request(state_, std::move(request));
  }
  void close() override { state_->close(); }

 private:
  StatePtr state_;
};

}  // namespace

std::unique_ptr<Client> make_client(Executor executor, ClientOptions options) {
  return std::make_unique<ClientImpl>(std::move(executor), std::move(options));
}

Task<Result<std::unique_ptr<ByteStream>>> dial(std::string address,
                                               std::shared_ptr<TlsClientContext> tls,
                                               Duration timeout) {
  std::vector<std::string> none;
  Result<Dialed> dialed =
      co_await dial_endpoint(std::move(address), std::move(tls), std::move(none), timeout);
  if (!dialed.ok()) co_return dialed.status();
  co_return std::move(dialed->stream);
}

}  // namespace knarr::net
