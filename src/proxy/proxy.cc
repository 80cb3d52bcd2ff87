// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.h"

#include <cstdlib>
#include <functional>
#include <optional>

#include "base/log.h"
#include "client/events.h"
#include "proxy/burst_limiter.h"
#include "proxy/conntrack.h"
#include "proxy/health.h"
#include "proxy/metrics.h"
#include "proxy/rules.h"
#include "schema/time.h"

namespace knarr::proxy {
namespace core = api::core_v1;
namespace discovery = api::discovery_v1;
namespace {

using Node = std::shared_ptr<const core::Node>;
using MakeRules = std::unique_ptr<Rules> (*)(System& system, RuleOptions options, std::string node_name);

constexpr Family kFamilies[] = {Family::kIPv4, Family::kIPv6};
constexpr MakeRules kModes[] = {make_iptables_rules, make_nftables_rules};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string node_address(const core::Node& node) {
  for (const char* type : {"InternalIP", "ExternalIP"})
    for (const core::NodeAddress& address : node.status.addresses)
      if (address.type == type) return address.address.str();
  return {};
}

struct FamilyRules {
  std::unique_ptr<Rules> rules;
  bool need_all = true;             // what is in the kernel is not known to be what was written last
};

}  // namespace

struct Proxy::Impl : std::enable_shared_from_this<Proxy::Impl> {
  Impl(client::Client& c, client::InformerFactory& i, bool s, const Clock& k, System& y, ProxyConfig g)
      : client(c),
        informers(i),
        shared(s),
        clock(k),
        system(y),
        config(std::move(g)),
        executor(i.executor()),
        events(c, executor, "kube-proxy", config.node_name),
        health(clock, 2 * config.sync_period),
        limiter(config.min_sync_period),
        changed(executor),
        stopping(executor),
        finished(executor),
        started_at(clock.now()) {}

  client::Client& client;
  client::InformerFactory& informers;
  const bool shared;
  const Clock& clock;
  System& system;
  const ProxyConfig config;
  const Executor executor;
  client::EventRecorder events;
  Metrics metrics;
  ProxyHealth health;
  BurstLimiter limiter;
  Tracker tracker;
  std::vector<FamilyRules> families;
  std::unique_ptr<ServiceHealth> service_health;
  std::unique_ptr<net::Server> health_server, metrics_server;
  std::string health_address = config.healthz_bind_address, metrics_address = config.metrics_bind_address;   // "" = none, or listening
  std::vector<WallTime> triggers;                 // when pods changed, of the slices that wait to be written
  std::vector<std::function<void()>> arrived;     // changes seen while a write is under way
  bool writing = false, running = false, synced = false, stopped = false;
  std::string zone, node_ip;
  std::vector<std::string> pod_cidrs;
  Notifier changed, stopping;
  Completion finished;
  const WallTime started_at;

  // ---- what the API says -----------------------------------------------------------------------------------------------------------

  // While rules are written the tracker stands still: both families have to see the same.
  void apply(std::function<void()> change) {
    if (writing)
      arrived.push_back(std::move(change));
    else
      change();
  }
  void note_change() {
    metrics.changes_pending = tracker.pending();
    metrics.last_queued = seconds(clock.now().time_since_epoch());
    if (synced) health.queued();
    changed.notify();
  }
  void on_service(const ServicePtr& old, const ServicePtr& now) {
    apply([this, old, now] {
      ++metrics.service_changes;
      if (tracker.update_service(old, now)) note_change();
    });
  }
  void on_slice(const SlicePtr& old, const SlicePtr& now) {
    apply([this, old, now] {
      ++metrics.endpoint_changes;
      if (!tracker.update_slice(old, now)) return;
      if (now != nullptr) {
        auto trigger = schema::parse_nano_time(schema::get_or_empty(now->metadata.annotations, "endpoints.kubernetes.io/last-change-trigger-time"));
        if (trigger.ok() && *trigger > started_at) triggers.push_back(*trigger);
      }
      note_change();
    });
  }
  void on_node(const Node& node) {
    if (node != nullptr && node->metadata.name != config.node_name) return;
    std::string new_zone = node == nullptr ? "" : std::string(schema::get_or_empty(node->metadata.labels, "topology.kubernetes.io/zone"));
    std::string new_ip = own_address().value_or(node == nullptr ? node_ip : node_address(*node));
    if (config.detect_local_mode == "NodeCIDR" && node != nullptr) check_pod_cidrs(*node);
    if (new_zone == zone && new_ip == node_ip) return;
    zone = new_zone;
    node_ip = new_ip;
    apply([this] {
      for (FamilyRules& family : families) {
        family.rules->set_node(zone, node_ip);
        family.need_all = true;
      }
      note_change();
    });
  }
  std::optional<std::string> own_address() const {
    auto bound = parse_address(config.bind_address);
    return bound && !bound->is_unspecified() ? std::optional(config.bind_address) : std::nullopt;
  }
  // Every rule would have to change; upstream starts anew, and so does whoever runs us.
  void check_pod_cidrs(const core::Node& node) {
    std::vector<std::string> cidrs;
    for (const schema::Str& cidr : node.spec.pod_cidrs) cidrs.push_back(cidr.str());
    if (pod_cidrs.empty()) {
      pod_cidrs = std::move(cidrs);
      changed.notify();
    } else if (cidrs != pod_cidrs && running) {
      log_error("The node's pod CIDRs have changed, which NodeCIDR cannot follow: ending", {{"node", config.node_name}});
      std::_Exit(255);
    }
  }

  template <class T>
  client::Informer<T> watch(client::InformerCore::Options options) {
    return client::Informer<T>(informers.core(T::resource(), shared ? client::InformerCore::Options() : std::move(options)));
  }

  // ---- beginning -------------------------------------------------------------------------------------------------------------------

  Task<Status> find_families() {
    Status why;
    for (Family family : kFamilies) {
      RuleOptions options = rule_options(config, family, pod_cidrs);
      MakeRules make = config.mode == "nftables" ? make_nftables_rules : make_iptables_rules;
      FamilyRules made;
      made.rules = make(system, std::move(options), config.node_name);
      Status found = co_await made.rules->probe();
      if (found.ok()) {
        families.push_back(std::move(made));
      } else {
        log_info("No support for an address family", {{"family", family_name(family)}, {"mode", config.mode}, {"error", found.message()}});
        if (why.ok()) why = std::move(found);
      }
    }
    if (families.empty()) co_return why.with_context(config.mode + " is not available on this host");
    co_return Status();
  }

  Task<Status> serve() {
    std::vector<std::string> addresses;
    RuleOptions options = rule_options(config, Family::kIPv4, pod_cidrs);
    for (const Address& address : find_node_port_addresses(options, system.interface_addresses())) addresses.push_back(address.text());
    if (options.node_port_cidrs.empty()) addresses = {"0.0.0.0"};
    service_health = std::make_unique<ServiceHealth>(executor, health, std::move(addresses));
    health_server = make_health_server(executor, health, metrics);
    metrics_server = make_metrics_server(executor, metrics, config.mode, "{\"kubeproxy.config.k8s.io\":{\"mode\":\"" + config.mode + "\"}}");
    Status bound = listen_all();
    if (bound.ok()) co_return Status();
    if (config.bind_address_hard_fail) co_return bound;
    log_error("Could not listen", {{"error", bound.message()}});
    events.event(about_node(), "Warning", "FailedToStartProxierHealthcheck", std::string(bound.message()));
    spawn(executor, keep_listening(shared_from_this()));
    co_return Status();
  }

  // The servers that do not listen yet.
  Status listen_all() {
    Status worst;
    auto listen = [&](net::Server& server, std::string& address) {
      if (address.empty()) return;
      auto bound = server.listen(address);
      if (bound.ok())
        address.clear();
      else
        worst = bound.status().with_context("failed to start proxier healthz on " + address);
    };
    listen(*health_server, health_address);
    listen(*metrics_server, metrics_address);
    return worst;
  }
  // The port may still be an earlier proxy's.
  static Task<void> keep_listening(std::shared_ptr<Impl> self) {
    for (bool bound = false; !bound && !self->stopped;) {
      (void)co_await self->stopping.wait_for(std::chrono::seconds(5));
      if (!self->stopped) bound = self->listen_all().ok();
    }
  }
  core::ObjectReference about_node() const {
    core::ObjectReference about;
    about.kind = "Node";
    about.name = config.node_name;
    about.uid = config.node_name;
    return about;
  }

  void watch_node() {
    std::weak_ptr<Impl> weak = weak_from_this();
    auto node = watch<core::Node>({.field_selector = "metadata.name=" + config.node_name});
    node.add_handler([weak](const Node& old, const Node& now) {
      auto self = weak.lock();
      if (self == nullptr || (now == nullptr && old->metadata.name != self->config.node_name)) return;
      self->on_node(now);
    });
    if (!shared) informers.start();
  }

  // The Node may be registered, and its share of the pods' addresses given, after this program has started.
  Task<Status> await_pod_cidrs() {
    MonoTime deadline = clock.mono() + std::chrono::minutes(5);
    while (pod_cidrs.empty()) {
      Duration left = deadline - clock.mono();
      if (left <= Duration::zero()) co_return Status::error("timeout waiting for PodCIDR allocation to configure detect-local-mode NodeCIDR");
      (void)co_await changed.wait_for(left);
      if (stopped) co_return Status::error("stopped");
    }
    co_return Status();
  }

  Task<Status> start() {
    CO_TRY(validate(config));
    node_ip = own_address().value_or("127.0.0.1");
    watch_node();
    if (config.detect_local_mode == "NodeCIDR") {
      Status known = co_await await_pod_cidrs();
      CO_TRY(known);
    }
    if (rule_options(config, Family::kIPv4, pod_cidrs).localhost_node_ports && system.sysctl("net/ipv4/conf/all/route_localnet") != 1)
      CO_TRY(system.set_sysctl("net/ipv4/conf/all/route_localnet", 1));
    if (system.sysctl("net/bridge/bridge-nf-call-iptables").value_or(1) != 1)
      log_info("Missing br-netfilter module or unset sysctl br-nf-call-iptables, proxy may not work as intended");
    Status found = co_await find_families();
    CO_TRY(found);
    for (FamilyRules& family : families) family.rules->set_node(zone, node_ip);
    Status served = co_await serve();
    CO_TRY(served);

    std::weak_ptr<Impl> weak = weak_from_this();
    constexpr const char* kProxied = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name";
    auto services = watch<core::Service>({.label_selector = kProxied});
    auto slices = watch<discovery::EndpointSlice>({.label_selector = kProxied});
    services.add_handler([weak](const ServicePtr& old, const ServicePtr& now) {
      if (auto self = weak.lock()) self->on_service(old, now);
    });
    slices.add_handler([weak](const SlicePtr& old, const SlicePtr& now) {
      if (auto self = weak.lock()) self->on_slice(old, now);
    });
    if (!shared) informers.start();
    events.event(about_node(), "Normal", "Starting", "");
    running = true;
    spawn(executor, run(shared_from_this(), services, slices));
    spawn(executor, watch_for_flush(shared_from_this()));
    co_return Status();
  }

  // ---- the loop --------------------------------------------------------------------------------------------------------------------

  static Task<void> run(std::shared_ptr<Impl> self, client::Informer<core::Service> services, client::Informer<discovery::EndpointSlice> slices) {
    co_await services.wait_synced();
    co_await slices.wait_synced();
    while (!self->stopped) {
      Duration wait = self->has_work() ? self->limiter.take(self->clock.mono()) : Duration::max();
      if (wait == Duration::max()) {
        co_await self->changed.wait();
      } else if (wait > Duration::zero()) {
        // Only time helps; what changes meanwhile goes along.
        (void)co_await self->stopping.wait_for(wait);
      } else {
        bool done = co_await self->write();
        if (!done && !self->stopped) (void)co_await self->stopping.wait_for(self->config.sync_period);
      }
    }
    self->finished.set();
  }

  bool has_work() const {
    for (const FamilyRules& family : families)
      if (family.need_all) return true;
    return tracker.pending() > 0;
  }

  // False when even a write of everything failed.
  Task<bool> write() {
    std::vector<ServiceChange> changes = tracker.take_changes();
    metrics.changes_pending = 0;
    writing = true;
    bool good = true, retry = true;
    for (FamilyRules& family : families) {
      bool all = family.need_all;
      bool done = co_await write_family(family, changes);
      good = good && done;
      // A refused difference is followed by everything at once.
      if (!done && all) retry = false;
    }
    if (good) {
      synced = true;
      metrics.rules = families[0].rules->counts();
      metrics.last_sync = seconds(clock.now().time_since_epoch());
      for (WallTime trigger : triggers) metrics.programming.observe(seconds(clock.now() - trigger));
      triggers.clear();
      health.updated();
    }
    update_service_health(changes);
    co_await forget_stale(changes);
    writing = false;
    std::vector<std::function<void()>> waiting;
    waiting.swap(arrived);
    for (auto& change : waiting) change();
    co_return retry;
  }

  Task<bool> write_family(FamilyRules& family, const std::vector<ServiceChange>& changes) {
    MonoTime start = clock.mono();
    bool all = family.need_all;
    Status written;
    if (all)
      written = co_await family.rules->write_all(tracker);
    else
      written = co_await family.rules->write_changes(changes);
    double took = seconds(clock.mono() - start);
    metrics.sync.observe(took);
    (all ? metrics.full_sync : metrics.partial_sync).observe(took);
    family.need_all = !written.ok();
    if (written.ok()) co_return true;
    ++metrics.restore_failures;
    if (!all) ++metrics.partial_restore_failures;
    log_error("Could not write rules", {{"family", family_name(family.rules->family())}, {"all", all ? "true" : "false"}, {"error", written.message()}});
    co_return false;
  }

  void update_service_health(const std::vector<ServiceChange>& changes) {
    for (const ServiceChange& change : changes) {
      int port = 0, endpoints = 0;
      for (const FamilyRules& family : families) {
        ServiceView view = view_service(change.after, family.rules->family(), config.node_name);
        if (view.empty() || view[0].port.health_check_node_port == 0) continue;
        port = view[0].port.health_check_node_port;
        endpoints += count_local_ready(view);
      }
      Status opened = service_health->update(change.key, port, endpoints);
      if (opened.ok() || change.after.service == nullptr) continue;
      std::string message = "node " + config.node_name + " failed to start healthcheck \"" + change.key + "\" on port " + std::to_string(port) + ": " +
                            std::string(opened.message());
      log_error("Failed to start healthcheck", {{"service", change.key}, {"port", port}, {"error", opened.message()}});
      events.event(client::reference_to(*change.after.service), "Warning", "FailedToStartServiceHealthcheck", std::move(message));
    }
  }

  Task<void> forget_stale(const std::vector<ServiceChange>& changes) {
    for (const FamilyRules& family : families) {
      auto calls = stale_connections(changes, family.rules->family(), config.node_name);
      co_await forget_connections(system, std::move(calls));
    }
  }

  // A firewall that is loaded anew takes our rules along; nothing tells of it, so a chain of ours is looked for.
  static Task<void> watch_for_flush(std::shared_ptr<Impl> self) {
    while (!self->stopped) {
      (void)co_await self->stopping.wait_for(self->config.sync_period);
      for (FamilyRules& family : self->families) {
        if (self->stopped || family.need_all || self->writing) continue;
        bool intact = co_await family.rules->intact();
        if (intact) continue;
        log_info("Writing all rules after they were flushed", {{"family", family_name(family.rules->family())}});
        family.need_all = true;
        self->note_change();
      }
    }
  }
};

Proxy::Proxy(client::Client& client, client::InformerFactory& informers, bool shared, const Clock& clock, System& system, ProxyConfig config)
    : impl_(std::make_shared<Impl>(client, informers, shared, clock, system, std::move(config))) {}

Proxy::~Proxy() = default;

Task<Status> Proxy::start() { return impl_->start(); }

bool Proxy::synced() const { return impl_->synced; }

Task<void> Proxy::stop() {
  std::shared_ptr<Impl> impl = impl_;
  impl->stopped = true;
  impl->stopping.notify();
  impl->changed.notify();
  if (impl->running && impl->synced) co_await impl->finished.wait();
  if (impl->service_health) impl->service_health->stop();
  if (impl->health_server) co_await impl->health_server->shutdown(Duration::zero());
  if (impl->metrics_server) co_await impl->metrics_server->shutdown(Duration::zero());
}

Task<Status> clean_up(System& system) {
  Status worst;
  for (MakeRules make : kModes)
    for (Family family : kFamilies) {
      RuleOptions options;
      options.family = family;
      std::string node;
      std::unique_ptr<Rules> rules = make(system, std::move(options), std::move(node));
      Status there = co_await rules->probe();
      if (!there.ok()) continue;
      Status cleaned = co_await rules->cleanup();
      if (!cleaned.ok()) worst = cleaned;
    }
  co_return worst;
}

}  // namespace knarr::proxy
