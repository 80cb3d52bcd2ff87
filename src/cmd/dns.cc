// SPDX-License-Identifier: Apache-2.0
// `knarr dns`, also as `coredns`: the cluster's DNS server by a Corefile.
#include "base/files.h"
#include "client/informer.h"
#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "dns/service.h"

namespace knarr::cmd {
namespace {

using namespace std::chrono_literals;

// How long the start waits for the cluster's objects: after that names of the cluster are SERVFAIL until they are there.
constexpr Duration kSyncPatience = 5s;

struct DnsState {
  std::string corefile, text;
  Duration reload{};
  std::unique_ptr<client::Client> client;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<dns::ServiceSource> source;
  std::unique_ptr<dns::DnsService> service;
};

Result<client::ClusterAccess> access_of(const dns::KubernetesConfig& config) {
  if (!config.kubeconfig.empty()) return client::load_kubeconfig(config.kubeconfig, config.context);
  auto access = client::in_cluster_access();
  if (config.endpoint.empty()) return access;
  client::ClusterAccess other;
  if (access.ok()) other = std::move(*access);
  other.server = config.endpoint;
  return other;
}

Task<void> wait_synced(client::InformerFactory* informers, std::shared_ptr<Notifier> done) {
  co_await informers->wait_synced();
  done->notify();
}

Task<Status> connect(const EventLoops* loops, const dns::KubernetesConfig* config, std::shared_ptr<DnsState> state) {
  auto access = access_of(*config);
  if (!access.ok()) co_return access.status().with_context("plugin/kubernetes");
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status().with_context("plugin/kubernetes");
  state->client = std::make_unique<client::Client>(std::move(*transport), "coredns");
  state->informers = std::make_unique<client::InformerFactory>(*state->client, executor);
  state->source = dns::make_service_source(*state->informers, Clock::real());
  state->informers->start();
  auto synced = std::make_shared<Notifier>(executor);
  spawn(executor, wait_synced(state->informers.get(), synced));
  bool in_time = co_await synced->wait_for(kSyncPatience);
  if (!in_time) log_warning("Started the server without the cluster's objects");
  co_return Status();
}

// A Corefile usually is a mounted ConfigMap, whose files change by links: its text is compared, at the period that it sets itself.
Task<void> watch_corefile(std::shared_ptr<DnsState> state) {
  while (state->reload > Duration::zero()) {
    co_await sleep_for(state->reload);
    auto text = read_file(state->corefile);
    if (!text.ok() || *text == state->text) continue;
    state->text = *text;
    auto config = dns::read_corefile(*text);
    if (!config.ok()) {
      log_error("Corefile changed but reload failed", {{"error", config.status().message()}});
      continue;
    }
    state->reload = config->reload;
    Status status = state->service->replace(std::move(*config));
    if (status.ok()) {
      log_info("Reloaded the Corefile");
    } else {
      log_error("Corefile changed but reload failed", {{"error", status.message()}});
    }
  }
}

Task<Status> boot(const EventLoops* loops, std::string port, std::shared_ptr<DnsState> state) {
  auto text = read_file(state->corefile);
  if (!text.ok()) co_return text.status();
  state->text = *text;
  auto config = dns::read_corefile(*text);
  if (!config.ok()) co_return config.status();
  state->reload = config->reload;
  for (dns::ZoneConfig& zone : config->zones) {
    if (!port.empty() && zone.port == 53) zone.port = static_cast<uint16_t>(std::atoi(port.c_str()));
    if (!zone.kubernetes || state->client) continue;
    const dns::KubernetesConfig* kubernetes = &*zone.kubernetes;
    Status connected = co_await connect(loops, kubernetes, state);
    CO_TRY(connected);
  }
  state->service = std::make_unique<dns::DnsService>(loops->main(), Clock::real(), state->source.get());
  // As upstream: a restart may find another resolv.conf.
  state->service->on_loop([](const std::string& message) {
    std::fprintf(stderr, "[FATAL] plugin/loop: %s\n", message.c_str());
    std::_Exit(1);
  });
  CO_TRY(state->service->start(std::move(*config)));
  if (state->reload > Duration::zero()) spawn(loops->main(), watch_corefile(state));
  co_return Status();
}

Task<void> stop(std::shared_ptr<DnsState> state) {
  if (state->service) co_await state->service->stop();
  if (state->informers) state->informers->stop();
}

}  // namespace

int dns_main(int argc, char** argv) {
  // Go's flags have one dash or two.
  std::vector<std::string> args(argv + 1, argv + argc);
  for (std::string& arg : args)
    if (arg.size() > 2 && arg[0] == '-' && arg[1] != '-') arg.insert(0, "-");
  std::reverse(args.begin(), args.end());
  ComponentApp app("The cluster's DNS server, by CoreDNS' Corefile", "coredns");
  auto state = std::make_shared<DnsState>();
  state->corefile = "Corefile";
  std::string port;
  app.add_option("--conf", state->corefile, "Corefile to load");
  app.add_option("--dns.port", port, "port of servers that name none (default 53)")->check(CLI::Range(0, 65535));
  app.add_option("--p", port, "the same")->group("");
  app.accept({"quiet", "pidfile", "plugins"});
  try {
    app.parse(args);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  app.apply_logging();
  EventLoops loops(0);
  return loops.run(boot(&loops, std::move(port), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
