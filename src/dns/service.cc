// SPDX-License-Identifier: Apache-2.0
#include "dns/service.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/files.h"
#include "base/log.h"
#include "dns/server.h"
#include "net/server.h"

namespace knarr::dns {
namespace {

// All that answers for one zone of the configuration.
struct ZoneServer {
  Name name;
  std::unique_ptr<ClusterZone> cluster;
  std::unique_ptr<Forwarder> forwarder;
  std::unique_ptr<Resolver> resolver;
};

Result<std::vector<std::string>> upstreams_of(const ForwardConfig& config) {
  std::vector<std::string> upstreams;
  for (const std::string& to : config.to) {
    if (!to.starts_with('/')) {
      upstreams.push_back(to);
      continue;
    }
    auto text = read_file(to);
    if (!text.ok()) return text.status().with_context("plugin/forward");
    for (std::string& address : upstreams_of_resolv_conf(*text)) upstreams.push_back(std::move(address));
  }
  return upstreams;
}

// An address of ours and a port of ours: asking there would be asking ourselves.
bool is_own(const std::string& upstream, const ZoneConfig& zone) {
  size_t colon = upstream.rfind(':');
  std::string host = upstream.substr(0, colon);
  if (upstream.substr(colon + 1) != std::to_string(zone.port)) return false;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  for (const std::string& bound : zone.bind)
    if (bound == host) return true;
  if (!zone.bind.empty()) return false;
  std::vector<std::string> local = host_addresses();
  return host == "127.0.0.1" || host == "::1" || std::find(local.begin(), local.end(), host) != local.end();
}

Task<void> respond(net::ResponseWriter* writer, int code, std::string type, std::string text) {
  net::Headers headers;
  headers.add("Content-Type", type);
  Body body(text);
  Status status = co_await writer->respond(code, std::move(headers), std::move(body));
  (void)status.ok();
}

}  // namespace

struct DnsService::Impl : std::enable_shared_from_this<DnsService::Impl> {
  Impl(Executor e, const Clock& c, const ServiceSource* s) : executor(std::move(e)), clock(c), source(s) {}
  Executor executor;
  const Clock& clock;
  const ServiceSource* source;
  std::vector<std::shared_ptr<ZoneServer>> zones;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Server> server;
  std::vector<std::unique_ptr<net::Server>> http;
  std::function<void(std::string)> on_loop;
  Duration lameduck{};
  uint16_t port = 0;
  bool stopping = false;

  Result<std::shared_ptr<ZoneServer>> make_zone(const ZoneConfig& config) {
    auto zone = std::make_shared<ZoneServer>();
    zone->name = config.zone;
    if (config.kubernetes) {
      if (source == nullptr) return Status::error("plugin/kubernetes: no API server to ask");
      ZoneOptions options = config.kubernetes->zone;
      options.local_addresses = config.bind.empty() ? host_addresses() : config.bind;
      zone->cluster = std::make_unique<ClusterZone>(*source, std::move(options));
    }
    if (config.forward) {
      ForwarderOptions options;
      options.max_concurrent = config.forward->max_concurrent;
      options.from = config.forward->from;
      options.except = config.forward->except;
      TRY_ASSIGN(options.upstreams, upstreams_of(*config.forward));
      std::erase_if(options.upstreams, [&](const std::string& upstream) { return is_own(upstream, config); });
      zone->forwarder = std::make_unique<Forwarder>(executor, clock, std::move(options));
    }
    ResolverOptions options;
    options.cache = config.cache;
    options.shuffle = config.loadbalance;
    zone->resolver = std::make_unique<Resolver>(zone->cluster.get(), zone->forwarder.get(), clock, options);
    return zone;
  }

  Status set_zones(const CorefileConfig& config) {
    std::vector<std::shared_ptr<ZoneServer>> made;
    for (const ZoneConfig& zone : config.zones) {
      TRY_ASSIGN(auto server, make_zone(zone));
      if (zone.loop) spawn(executor, probe(shared_from_this(), server));
      made.push_back(std::move(server));
    }
    zones = std::move(made);
    return {};
  }

  static Task<void> probe(std::shared_ptr<Impl> self, std::shared_ptr<ZoneServer> zone) {
    co_await zone->resolver->probe_for_loop();
    if (!zone->resolver->in_loop() || self->stopping) co_return;
    std::string message = fmt::format("Loop detected for zone \"{}\", see https://coredns.io/plugins/loop#troubleshooting", zone->name.text());
    log_error(message);
    if (self->on_loop) self->on_loop(message);
  }

  // The longest zone that the name is within.
  std::shared_ptr<Resolver> pick(const Message& query) const {
    const std::shared_ptr<ZoneServer>* best = nullptr;
    for (const auto& zone : zones) {
      if (!query.questions.front().name.is_within(zone->name)) continue;
      if (best == nullptr || zone->name.wire().size() > (*best)->name.wire().size()) best = &zone;
    }
    if (best == nullptr) return nullptr;
    return {*best, (*best)->resolver.get()};
  }

  bool ready() const { return source == nullptr || source->synced(); }

  std::string metrics_text() const {
    uint64_t rejected = 0;
    const AnswerCache* cache = nullptr;
    for (const auto& zone : zones) {
      if (zone->forwarder) rejected += zone->forwarder->rejected();
      if (cache == nullptr || zone->name.is_root()) cache = zone->resolver->cache();
    }
    return metrics->text(cache, rejected);
  }

  enum class Endpoint { kHealth, kReady, kMetrics };
  static Task<void> serve_http(Impl* self, Endpoint endpoint, net::Request& request, net::ResponseWriter& writer) {
    std::string path = request.path, type = "text/plain; charset=utf-8";
    if (endpoint == Endpoint::kHealth && path == "/health") {
      co_await respond(&writer, 200, type, "OK");
    } else if (endpoint == Endpoint::kReady && path == "/ready") {
      bool ready = self->ready() && !self->stopping;
      co_await respond(&writer, ready ? 200 : 503, type, ready ? "OK" : self->stopping ? "Shutting down" : "kubernetes");
    } else if (endpoint == Endpoint::kMetrics && path == "/metrics") {
      co_await respond(&writer, 200, "text/plain; version=0.0.4; charset=utf-8", self->metrics_text());
    } else {
      co_await respond(&writer, 404, type, "404 page not found\n");
    }
  }

  Status listen_http(std::string address, Endpoint endpoint) {
    if (address.empty()) return {};
    if (address.starts_with("localhost:")) address = "127.0.0.1" + address.substr(9);
    net::Handler handler = [self = this, endpoint](net::Request& request, net::ResponseWriter& writer) {
      return serve_http(self, endpoint, request, writer);
    };
    auto made = net::make_server({executor}, {}, std::move(handler));
    auto listening = made->listen(address);
    if (!listening.ok()) return listening.status();
    http.push_back(std::move(made));
    return {};
  }

  Status listen(const CorefileConfig& config) {
    std::vector<std::string> addresses;
    for (const ZoneConfig& zone : config.zones) {
      std::vector<std::string> hosts = zone.bind.empty() ? std::vector<std::string>{""} : zone.bind;
      for (const std::string& host : hosts) {
        std::string address = fmt::format("{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", zone.port);
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(std::move(address));
      }
    }
    for (const std::string& address : addresses) {
      TRY_ASSIGN(uint16_t bound, server->listen(address));
      if (port == 0) port = bound;
      log_info("Serving DNS", {{"address", address}, {"port", int{bound}}});
    }
    return {};
  }
};

DnsService::DnsService(Executor executor, const Clock& clock, const ServiceSource* source)
    : impl_(std::make_shared<Impl>(std::move(executor), clock, source)) {}

DnsService::~DnsService() = default;

Status DnsService::start(CorefileConfig config) {
  Impl* impl = impl_.get();
  impl->lameduck = config.lameduck;
  impl->metrics = std::make_unique<Metrics>(fmt::format("dns://:{}", config.zones.front().port));
  TRY(impl->set_zones(config));
  impl->server = std::make_unique<Server>(
      impl->executor, [impl](const Message& query) { return impl->pick(query); }, *impl->metrics, impl->clock);
  TRY(impl->listen(config));
  TRY(impl->listen_http(config.health, Impl::Endpoint::kHealth));
  TRY(impl->listen_http(config.ready, Impl::Endpoint::kReady));
  return impl->listen_http(config.prometheus, Impl::Endpoint::kMetrics);
}

Status DnsService::replace(CorefileConfig config) {
  impl_->lameduck = config.lameduck;
  return impl_->set_zones(config);
}

uint16_t DnsService::port() const { return impl_->port; }
bool DnsService::ready() const { return impl_->ready(); }
void DnsService::on_loop(std::function<void(std::string)> callback) { impl_->on_loop = std::move(callback); }

Task<void> DnsService::stop() {
  std::shared_ptr<Impl> impl = impl_;
  if (std::exchange(impl->stopping, true)) co_return;
  if (impl->lameduck > Duration::zero()) co_await sleep_for(impl->lameduck);
  if (impl->server) impl->server->stop();
  for (auto& http : impl->http) co_await http->shutdown(Duration::zero());
}

std::vector<std::string> host_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET6_ADDRSTRLEN];
    if (at->ifa_addr->sa_family == AF_INET) {
      addresses.emplace_back(inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text));
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const in6_addr* address = &reinterpret_cast<sockaddr_in6*>(at->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(address)) addresses.emplace_back(inet_ntop(AF_INET6, address, text, sizeof text));
    }
  }
  ::freeifaddrs(list);
  return addresses;
}

}  // namespace knarr::dns
