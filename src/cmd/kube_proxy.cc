// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "client/informer.h"
#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "cmd/kube_proxy_configuration.h"
#include "kubelet/server/folder_watch.h"
#include "proxy/proxy.h"

namespace knarr::cmd {
namespace {

struct State {
  std::unique_ptr<proxy::System> system = proxy::System::real();
  std::unique_ptr<client::Client> client;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<proxy::Proxy> proxy;
};

struct Options {
  std::string config_file, kubeconfig, master, hostname_override;
  bool cleanup = false;
  proxy::ProxyConfig config;
};

std::string lower_host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  std::string lower;
  for (const char* c = name; *c != '\0'; ++c) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  return lower;
}

// Lowering it needs a capability that a proxy can do without.
void adjust_oom_score(int score) {
  if (std::FILE* file = std::fopen("/proc/self/oom_score_adj", "w")) {
    std::fprintf(file, "%d", score);
    if (std::fclose(file) != 0) log_debug("Could not adjust the score of the OOM killer");
  }
}

Result<client::ClusterAccess> find_access(const Options& options) {
  if (options.kubeconfig.empty() && options.master.empty()) return client::in_cluster_access();
  client::ClusterAccess access;
  if (!options.kubeconfig.empty()) {
    TRY_ASSIGN(access, client::load_kubeconfig(options.kubeconfig));
  }
  if (!options.master.empty()) access.server = options.master;
  return access;
}

Task<Status> boot(const EventLoops* loops, Options options, std::shared_ptr<State> state) {
  auto access = find_access(options);
  if (!access.ok()) co_return access.status();
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  const proxy::ProxyConfig& config = options.config;
  if (config.oom_score_adj) adjust_oom_score(*config.oom_score_adj);
  CO_TRY(proxy::set_up_conntrack(*state->system, config, static_cast<int>(std::thread::hardware_concurrency())));
  state->client = std::make_unique<client::Client>(std::move(*transport), "kube-proxy");
  state->informers = std::make_unique<client::InformerFactory>(*state->client, executor);
  state->proxy = std::make_unique<proxy::Proxy>(*state->client, *state->informers, false, Clock::real(), *state->system, config);
  Status started = co_await state->proxy->start();
  CO_TRY(started);
  if (options.config_file.empty()) co_return Status();
  // Whoever runs us starts us anew with what the file says now.
  auto updated = std::make_shared<Notifier>(executor);
  kubelet::FolderWatcher watcher(executor);
  std::string name = base_name(options.config_file);
  auto watch = watcher.watch(dir_name(options.config_file), [updated, name](const kubelet::FolderChange& change) {
    if (change.name == name && (change.modified || change.appeared)) updated->notify();
  });
  if (!watch.ok()) co_return watch.status();
  co_await updated->wait();
  co_return Status::error("content of the proxy server's configuration file was updated");
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->proxy) co_await state->proxy->stop();
  if (state->informers) state->informers->stop();
}

// Flags count only without a file, as upstream; --hostname-override and --kubeconfig of a file may be given beside it.
Status read_file_options(Options& options) {
  if (options.config_file.empty()) return {};
  options.config = proxy::ProxyConfig();
  TRY_ASSIGN(KubeProxyFile file, apply_kube_proxy_configuration(options.config_file, options.config));
  options.kubeconfig = file.kubeconfig;
  if (options.hostname_override.empty()) options.hostname_override = file.hostname_override;
  return {};
}

void add_flags(ComponentApp& app, Options& options) {
  proxy::ProxyConfig& config = options.config;
  app.add_option("--config", options.config_file, "KubeProxyConfiguration; other flags are not looked at then")->check(CLI::ExistingFile);
  app.add_option("--kubeconfig", options.kubeconfig, "how to reach the API server");
  app.add_option("--master", options.master, "address of the API server, over the kubeconfig's");
  app.add_option("--hostname-override", options.hostname_override, "name of the node (the host's)");
  app.add_option("--proxy-mode", config.mode, "iptables or nftables")->capture_default_str();
  app.add_option("--bind-address", config.bind_address, "address of the node")->capture_default_str();
  app.add_option("--healthz-bind-address", config.healthz_bind_address, "where /healthz is served; empty: nowhere")->capture_default_str();
  app.add_option("--metrics-bind-address", config.metrics_bind_address, "where /metrics is served; empty: nowhere")->capture_default_str();
  app.add_bool("--bind-address-hard-fail", config.bind_address_hard_fail, "end when an address cannot be listened on");
  app.add_option("--cluster-cidr", config.cluster_cidr, "addresses of pods, one CIDR a family");
  app.add_option("--detect-local-mode", config.detect_local_mode, "how traffic of pods is told: ClusterCIDR, NodeCIDR, BridgeInterface, InterfaceNamePrefix");
  app.add_option("--pod-bridge-interface", config.bridge_interface, "the bridge of BridgeInterface");
  app.add_option("--pod-interface-name-prefix", config.interface_name_prefix, "the prefix of InterfaceNamePrefix");
  app.add_option("--nodeport-addresses", config.node_port_addresses, "CIDRs of the addresses that node ports answer on (all)")->delimiter(',');
  app.add_bool("--masquerade-all", config.masquerade_all, "all traffic to cluster IPs gets the node's address as its source");
  app.add_option("--iptables-masquerade-bit", config.masquerade_bit, "bit of the mark of packets that need it")->capture_default_str();
  app.add_bool("--iptables-localhost-nodeports", config.localhost_node_ports, "node ports answer on 127.0.0.1, too");
  app.add_duration("--iptables-sync-period", config.sync_period, "how often a flush of the rules is looked for");
  app.add_duration("--iptables-min-sync-period", config.min_sync_period, "least time between two writes of a burst");
  app.add_option("--conntrack-max-per-core", config.conntrack_max_per_core, "connections tracked, a core (0: left as it is)");
  app.add_option("--conntrack-min", config.conntrack_min, "connections tracked, at least");
  app.add_duration("--conntrack-tcp-timeout-established", config.tcp_established_timeout, "of an idle connection (0: left as it is)");
  app.add_duration("--conntrack-tcp-timeout-close-wait", config.tcp_close_wait_timeout, "of a half-closed connection (0: left as it is)");
  app.add_flag("--cleanup", options.cleanup, "remove all rules and end");
  app.accept({"feature-gates", "config-sync-period", "kube-api-qps", "kube-api-burst", "kube-api-content-type", "profiling", "proxy-port-range",
              "healthz-port", "metrics-port", "oom-score-adj", "ipvs-scheduler", "ipvs-exclude-cidrs", "ipvs-sync-period", "ipvs-min-sync-period",
              "ipvs-strict-arp", "ipvs-tcp-timeout", "ipvs-tcpfin-timeout", "ipvs-udp-timeout", "show-hidden-metrics-for-version", "logging-format", "log-flush-frequency", "log-json-info-buffer-size",
              "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream", "vmodule"});
}

}  // namespace

int kube_proxy_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes network proxy", "kube-proxy");
  Options options;
  add_flags(app, options);
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  if (options.cleanup) return loops.run_once(proxy::clean_up(*state->system));
  Status status = read_file_options(options);
  options.config.node_name = options.hostname_override.empty() ? lower_host_name() : options.hostname_override;
  options.config.healthz_bind_address = with_port(options.config.healthz_bind_address, 10256);
  options.config.metrics_bind_address = with_port(options.config.metrics_bind_address, 10249);
  if (status.ok()) status = proxy::validate(options.config);
  if (!status.ok()) {
    std::fprintf(stderr, "error: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
    return 1;
  }
  return loops.run(boot(&loops, std::move(options), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
