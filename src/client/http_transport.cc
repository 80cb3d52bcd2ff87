// SPDX-License-Identifier: Apache-2.0
// The HTTPS half of Transport: one net::Client (HTTP/2, shared by all calls and watches) to the server of a ClusterAccess.

#include "client/kubeconfig.h"
#include "client/text.h"
#include "net/client.h"

namespace knarr::client {
namespace {

constexpr size_t kMaxBody = size_t{1} << 30;
// The server ends requests after 60 s (504); beyond that nobody will answer.
constexpr Duration kHeadTimeout = std::chrono::seconds(75);
constexpr Duration kTokenLife = std::chrono::minutes(1);

class HttpTransport final : public Transport {
 public:
  HttpTransport(Executor executor, net::ClientOptions options, std::string prefix, const ClusterAccess& access)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        client_(net::make_client(executor_, options_)),
        prefix_(std::move(prefix)),
        token_(access.token),
        token_file_(access.token_file) {
    if (!access.username.empty()) basic_ = base64_encode(access.username + ":" + access.password);
  }

  Task<Result<ApiResponse>> send(ApiRequest request) override {
    net::ClientRequest out = convert(std::move(request));
    out.timeout = kHeadTimeout;
    std::shared_ptr<net::Client> client = client_;
    auto answer = co_await client->send(std::move(out));
    if (!answer.ok()) co_return failure(answer.status());
    size_t limit = kMaxBody;
    auto body = co_await answer->body->read_all(limit);
    if (!body.ok()) co_return failure(body.status());
    ApiResponse response;
    response.status = answer->status;
    response.headers = std::move(answer->headers);
    response.body = std::move(*body);
    co_return response;
  }

  Task<Result<Streaming>> open(ApiRequest request) override {
    net::ClientRequest out = convert(std::move(request));
    out.timeout = kHeadTimeout;
    std::shared_ptr<net::Client> client = client_;
    auto answer = co_await client->send(std::move(out));
    if (!answer.ok()) co_return failure(answer.status());
    Streaming streaming;
    streaming.status = answer->status;
    streaming.headers = std::move(answer->headers);
    streaming.body = std::move(answer->body);
    co_return streaming;
  }

  void reconnect() override {
    if (options_.tls != nullptr) net::look_again(*options_.tls);
    std::shared_ptr<net::Client> old = std::exchange(client_, net::make_client(executor_, options_));
    old->close();
  }

 private:
  net::ClientRequest convert(ApiRequest request) {
    net::ClientRequest out;
    out.method = std::move(request.method);
    out.timeout = request.timeout > Duration::zero() ? request.timeout : kHeadTimeout;
    out.target = prefix_ + request.target;
    out.headers.add("Accept", request.accept);
    if (!request.content_type.empty()) out.headers.add("Content-Type", request.content_type);
    if (!request.user_agent.empty()) out.headers.add("User-Agent", request.user_agent);
    if (!request.bearer_token.empty()) {
      out.headers.add("Authorization", "Bearer " + request.bearer_token);
    } else if (const std::string& token = current_token(); !token.empty()) {
      out.headers.add("Authorization", "Bearer " + token);
    } else if (!basic_.empty()) {
      out.headers.add("Authorization", "Basic " + basic_);
    }
    if (!request.body.empty()) out.body = Body(request.body);
    return out;
  }

  // Bound tokens are rotated by the kubelet: the file is read again each minute.
  const std::string& current_token() {
    if (token_file_.empty()) return token_;
    MonoTime now = Clock::real().mono();
    if (!token_read_ || now - *token_read_ > kTokenLife) {
      auto text = read_text_file(token_file_);
      if (text.ok()) {
        token_ = trim(*text);
        token_read_ = now;
      }
    }
    return token_;
  }

  static Status failure(const Status& status) {
    if (status.is("Timeout") || status.code() == 504) return Status::make(504, "Timeout", status.message());
    return Status::make(503, "ServiceUnavailable", status.message());
  }

  const Executor executor_;
  const net::ClientOptions options_;
  std::shared_ptr<net::Client> client_;
  const std::string prefix_;
  std::string token_, basic_;
  const std::string token_file_;
  std::optional<MonoTime> token_read_;
};

// https://host[:port][/prefix]
struct ServerUrl {
  bool tls = true;
  std::string address, prefix;
};
Result<ServerUrl> parse_server(std::string_view url) {
  ServerUrl server;
  if (url.starts_with("https://")) {
    url.remove_prefix(8);
  } else if (url.starts_with("http://")) {
    url.remove_prefix(7);
    server.tls = false;
  } else if (url.find("://") != std::string_view::npos) {
    return Status::make(400, "BadRequest", "unsupported server URL " + std::string(url));
  }
  size_t slash = url.find('/');
  if (slash != std::string_view::npos) {
    server.prefix = url.substr(slash);
    while (!server.prefix.empty() && server.prefix.back() == '/') server.prefix.pop_back();
    url = url.substr(0, slash);
  }
  if (url.empty()) return Status::make(400, "BadRequest", "server URL has no host");
  server.address = url;
  size_t colon = url.rfind(':');
  bool has_port = colon != std::string_view::npos && url.find(']', colon) == std::string_view::npos &&
                  (url.front() == '[' || url.find(':') == colon);
  if (!has_port) server.address += server.tls ? ":443" : ":80";
  return server;
}

}  // namespace

Result<std::shared_ptr<Transport>> make_https_transport(Executor executor, const ClusterAccess& access) {
  TRY_ASSIGN(ServerUrl server, parse_server(access.server));
  net::ClientOptions options;
  options.address = server.address;
  if (server.tls) {
    net::TlsClientOptions tls;
    tls.ca_pem = access.ca_pem;
    if (tls.ca_pem.empty()) tls.ca_file = access.ca_file;
    tls.cert_pem = access.client_cert_pem;
    tls.key_pem = access.client_key_pem;
    if (tls.cert_pem.empty()) tls.cert_file = access.client_cert_file;
    if (tls.key_pem.empty()) tls.key_file = access.client_key_file;
    tls.server_name = access.tls_server_name;
    tls.insecure_skip_verify = access.insecure_skip_tls_verify;
    TRY_ASSIGN(options.tls, net::make_tls_client_context(std::move(tls)));
  }
  return std::shared_ptr<Transport>(
      std::make_shared<HttpTransport>(std::move(executor), std::move(options), server.prefix, access));
}

}  // namespace knarr::client
