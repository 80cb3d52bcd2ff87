// SPDX-License-Identifier: Apache-2.0
#include "proxy/health.h"

#include <fmt/format.h>

#include "schema/time.h"

namespace knarr::proxy {

void ProxyHealth::queued() {
  if (!oldest_pending_) oldest_pending_ = clock_.mono();
}

void ProxyHealth::updated() {
  oldest_pending_.reset();
  last_updated_ = clock_.now();
}

bool ProxyHealth::healthy() const { return !oldest_pending_ || clock_.mono() - *oldest_pending_ < patience_; }

// Go's time.String(). A healthy proxy says "now" for its last update: it used to write periodically, and readers expect a recent time.
std::string ProxyHealth::times(bool healthy) const {
  auto text = [](std::optional<WallTime> time) {
    if (!time) return std::string("0001-01-01 00:00:00 +0000 UTC");
    std::string rfc = schema::format_nano_time(*time);
    return rfc.substr(0, 10) + " " + rfc.substr(11, 18) + " +0000 UTC";
  };
  WallTime now = clock_.now();
  return fmt::format("\"lastUpdated\": \"{}\",\"currentTime\": \"{}\"", text(healthy ? now : last_updated_), text(now));
}

ProxyHealth::Answer ProxyHealth::healthz() const {
  // Nodes that are about to go stay eligible: upstream's KubeProxyDrainingTerminatingNodes is off in v1.28.
  bool good = healthy();
  return {good ? 200 : 503, "{" + times(good) + ", \"nodeEligible\": true}"};
}

ProxyHealth::Answer ProxyHealth::livez() const {
  bool good = healthy();
  return {good ? 200 : 503, "{" + times(good) + "}"};
}

namespace {

Task<void> answer_json(net::ResponseWriter& writer, int code, std::string body, std::string weight) {
  net::Headers headers;
  headers.add("Content-Type", "application/json");
  headers.add("X-Content-Type-Options", "nosniff");
  if (!weight.empty()) headers.add("X-Load-Balancing-Endpoint-Weight", weight);
  Body bytes{Bytes::copy(body)};
  (void)co_await writer.respond(code, std::move(headers), std::move(bytes));
}

Task<void> answer_text(net::ResponseWriter& writer, int code, std::string body, std::string type) {
  net::Headers headers;
  headers.add("Content-Type", type);
  headers.add("X-Content-Type-Options", "nosniff");
  Body bytes{Bytes::copy(body)};
  (void)co_await writer.respond(code, std::move(headers), std::move(bytes));
}

constexpr const char* kPlain = "text/plain; charset=utf-8";

Task<void> not_found(net::ResponseWriter& writer) {
  std::string body = "404 page not found\n", type = kPlain;
  co_await answer_text(writer, 404, std::move(body), std::move(type));
}

Task<void> serve_health(const ProxyHealth* health, Metrics* metrics, net::Request& request, net::ResponseWriter& writer) {
  bool live = request.path == "/livez";
  if (!live && request.path != "/healthz") {
    co_await not_found(writer);
    co_return;
  }
  ProxyHealth::Answer answer = live ? health->livez() : health->healthz();
  ++(live ? metrics->livez : metrics->healthz)[answer.code];
  std::string no_weight;
  co_await answer_json(writer, answer.code, std::move(answer.body), std::move(no_weight));
}

Task<void> serve_metrics(const Metrics* metrics, const std::string* mode, const std::string* configz, net::Request& request,
                         net::ResponseWriter& writer) {
  std::string body, type = kPlain;
  if (request.path == "/metrics") {
    body = metrics->text();
    type = "text/plain; version=0.0.4; charset=utf-8";
  } else if (request.path == "/proxyMode") {
    body = *mode;
  } else if (request.path == "/healthz" || request.path == "/healthz/ping") {
    body = "ok";
  } else if (request.path == "/configz") {
    body = *configz;
    type = "application/json";
  } else {
    co_await not_found(writer);
    co_return;
  }
  co_await answer_text(writer, 200, std::move(body), std::move(type));
}

Task<void> shut_down(std::shared_ptr<net::Server> server) { co_await server->shutdown(Duration::zero()); }

}  // namespace

std::unique_ptr<net::Server> make_health_server(Executor executor, const ProxyHealth& health, Metrics& metrics) {
  net::Handler handler = [&health, &metrics](net::Request& request, net::ResponseWriter& writer) {
    return serve_health(&health, &metrics, request, writer);
  };
  return net::make_server({std::move(executor)}, {}, std::move(handler));
}

std::unique_ptr<net::Server> make_metrics_server(Executor executor, const Metrics& metrics, std::string mode, std::string configz) {
  auto shared_mode = std::make_shared<const std::string>(std::move(mode));
  auto shared_config = std::make_shared<const std::string>(std::move(configz));
  net::Handler handler = [&metrics, shared_mode, shared_config](net::Request& request, net::ResponseWriter& writer) {
    return serve_metrics(&metrics, shared_mode.get(), shared_config.get(), request, writer);
  };
  return net::make_server({std::move(executor)}, {}, std::move(handler));
}

// ---- service health ---------------------------------------------------------------------------------------------------------------

struct ServiceHealth::Listener {
  int port = 0;
  int endpoints = 0;
  std::string key;
  const ProxyHealth* health = nullptr;
  std::shared_ptr<net::Server> server;

  static Task<void> serve(std::shared_ptr<Listener> self, net::ResponseWriter* writer) {
    bool healthy = self->health->healthy();
    std::string text = body(self->key, self->endpoints, healthy), weight = std::to_string(self->endpoints);
    int code = self->endpoints > 0 && healthy ? 200 : 503;
    co_await answer_json(*writer, code, std::move(text), std::move(weight));
  }
};

ServiceHealth::ServiceHealth(Executor executor, const ProxyHealth& health, std::vector<std::string> addresses)
    : executor_(std::move(executor)), health_(health), addresses_(std::move(addresses)) {}

ServiceHealth::~ServiceHealth() = default;

std::string ServiceHealth::body(std::string_view key, int local_endpoints, bool healthy) {
  size_t slash = key.find('/');
  return fmt::format("{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n\t}},\n\t\"localEndpoints\": {},\n\t\"serviceProxyHealthy\": {}\n}}",
                     key.substr(0, slash), key.substr(slash + 1), local_endpoints, healthy);
}

Status ServiceHealth::update(const std::string& key, int port, int local_endpoints) {
  auto at = services_.find(key);
  if (at != services_.end() && at->second->port != port) {
    spawn(executor_, shut_down(std::move(at->second->server)));
    services_.erase(at);
    at = services_.end();
  }
  if (port == 0) return {};
  if (at == services_.end()) {
    auto listener = std::make_shared<Listener>();
    listener->port = port;
    listener->key = key;
    listener->health = &health_;
    std::weak_ptr<Listener> weak = listener;
    net::Handler handler = [weak](net::Request&, net::ResponseWriter& writer) -> Task<void> {
      std::shared_ptr<Listener> held = weak.lock();
      return held ? Listener::serve(std::move(held), &writer) : not_found(writer);
    };
    listener->server = net::make_server({executor_}, {}, std::move(handler));
    for (const std::string& address : addresses_) {
      auto bound = listener->server->listen(join_host_port(address, port));
      if (!bound.ok()) {
        spawn(executor_, shut_down(std::move(listener->server)));
        return bound.status();
      }
    }
    at = services_.emplace(key, std::move(listener)).first;
  }
  at->second->endpoints = local_endpoints;
  return {};
}

void ServiceHealth::stop() {
  for (auto& [key, listener] : services_) spawn(executor_, shut_down(std::move(listener->server)));
  services_.clear();
}

}  // namespace knarr::proxy
