// SPDX-License-Identifier: Apache-2.0
#include "apiserver/remote.h"

#include "client/backoff.h"
#include "client/client.h"
#include "client/kubeconfig.h"
#include "net/client.h"

namespace knarr::apiserver {
namespace {

constexpr int kAttempts = 5;
constexpr Duration kFirstPause = std::chrono::milliseconds(500);
constexpr Duration kFetchTimeout = std::chrono::seconds(30);
constexpr size_t kMaxFetched = size_t{1} << 20;

class HttpWebhook final : public WebhookClient, public std::enable_shared_from_this<HttpWebhook> {
 public:
  HttpWebhook(Executor executor, std::shared_ptr<client::Transport> transport, std::string target, Duration timeout)
      : executor_(std::move(executor)), transport_(std::move(transport)), target_(std::move(target)), timeout_(timeout) {}

  Task<Result<std::string>> post(std::string body) override { return run_on(executor_, try_all(shared_from_this(), std::move(body))); }

 private:
  static Task<Result<std::string>> try_all(std::shared_ptr<HttpWebhook> self, std::string body) {
    Duration pause = kFirstPause;
    for (int attempt = 1;; ++attempt) {
      Status status;
      client::ApiRequest request;
      request.method = "POST";
      request.target = self->target_;
      request.content_type = request.accept = "application/json";
      request.user_agent = "kube-apiserver-admission";
      request.timeout = self->timeout_;
      request.body = body;
      auto answer = co_await self->transport_->send(std::move(request));
      if (answer.ok() && answer->status >= 200 && answer->status < 300) co_return std::move(answer->body);
      status = answer.ok() ? client::status_of_response(answer->status, answer->headers.get("Content-Type"), answer->body) : answer.status();
      bool again = status.code() == 500 || status.code() == 504 || status.code() == 429;
      if (!again || attempt == kAttempts) co_return status;
      // Half as long again each time, spread by a fifth.
      co_await sleep_for(pause + std::chrono::milliseconds(client::random_below(static_cast<uint64_t>(pause / std::chrono::milliseconds(5)))));
      pause += pause / 2;
    }
  }

  const Executor executor_;
  const std::shared_ptr<client::Transport> transport_;
  const std::string target_;
  const Duration timeout_;
};

struct Url {
  bool tls = true;
  std::string address, path;
};
Result<Url> parse_url(std::string_view text) {
  Url url;
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
  } else {
    return Status::error("not a URL that can be fetched: " + std::string(text));
  }
  size_t slash = text.find_first_of("/?#");
  std::string_view host = text.substr(0, slash), path = slash == std::string_view::npos ? std::string_view("/") : text.substr(slash);
  url.path = path.substr(0, path.find('#'));
  if (!url.path.starts_with("/")) url.path.insert(0, "/");
  if (host.empty() || host.find('@') != std::string_view::npos) return Status::error("a URL without a plain host: " + std::string(text));
  url.address = host;
  size_t colon = host.rfind(':');
  bool has_port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  if (!has_port) url.address += url.tls ? ":443" : ":80";
  return url;
}

class HttpFetcher final : public Fetcher {
 public:
  HttpFetcher(Executor executor, std::string ca_file) : executor_(std::move(executor)), ca_file_(std::move(ca_file)) {}
  Task<Result<std::string>> get(std::string url) override { return run_on(executor_, fetch(executor_, ca_file_, std::move(url))); }

 private:
  // A connection of its own: keys are fetched seldom.
  static Task<Result<std::string>> fetch(Executor executor, std::string ca_file, std::string text) {
    CO_TRY_ASSIGN(Url url, parse_url(text));
    net::ClientOptions options;
    options.address = url.address;
    if (url.tls) {
      net::TlsClientOptions tls;
      tls.ca_file = ca_file;
      CO_TRY_ASSIGN(options.tls, net::make_tls_client_context(std::move(tls)));
    }
    std::unique_ptr<net::Client> client = net::make_client(executor, std::move(options));
    net::ClientRequest request;
    request.target = url.path;
    request.headers.add("Accept", "application/json");
    request.timeout = kFetchTimeout;
    auto answer = co_await client->send(std::move(request));
    if (!answer.ok()) co_return answer.status();
    auto body = co_await answer->body->read_all(kMaxFetched);
    int code = answer->status;
    answer->body.reset();
    client->close();
    if (!body.ok()) co_return body.status();
    if (code != 200) co_return Status::error(text + " answered " + std::to_string(code));
    co_return std::move(*body);
  }

  const Executor executor_;
  const std::string ca_file_;
};

}  // namespace

Result<std::shared_ptr<WebhookClient>> make_webhook_client(Executor executor, const std::string& kubeconfig, Duration timeout) {
  TRY_ASSIGN(client::ClusterAccess access, client::load_kubeconfig(kubeconfig));
  TRY_ASSIGN(auto transport, client::make_https_transport(executor, access));
  // The transport puts the URL's path before this, and drops a slash at its end.
  std::string_view url = access.server;
  while (url.ends_with('/')) url.remove_suffix(1);
  size_t scheme = url.find("://");
  bool has_path = url.find('/', scheme == std::string_view::npos ? 0 : scheme + 3) != std::string_view::npos;
  std::string target = has_path ? "" : "/";
  target += "?timeout=" + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(timeout).count()) + "s";
  return std::shared_ptr<WebhookClient>(std::make_shared<HttpWebhook>(std::move(executor), std::move(transport), std::move(target), timeout));
}

std::shared_ptr<Fetcher> make_fetcher(Executor executor, std::string ca_file) {
  return std::make_shared<HttpFetcher>(std::move(executor), std::move(ca_file));
}

}  // namespace knarr::apiserver
