// SPDX-License-Identifier: Apache-2.0
// `flanneld`, the network daemon of a node, and `flannel`, its CNI plugin.
#include "flannel/flanneld.h"

#include "base/files.h"
#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "flannel/cni_plugin.h"
#include "net/server.h"

namespace knarr::cmd {
namespace {

struct Options {
  std::string kubeconfig, api_url, net_config_path = "/etc/kube-flannel/net-conf.json", healthz_ip = "0.0.0.0";
  int healthz_port = 0, resync_seconds = 5;
  bool kube_subnet_manager = false;
  flannel::FlanneldOptions daemon;
};

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<flannel::Netlink> netlink;
  std::unique_ptr<flannel::PacketFilter> filter;
  std::unique_ptr<flannel::Flanneld> daemon;
  std::unique_ptr<net::Server> healthz;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<client::ClusterAccess> access_of(const Options& options) {
  if (!options.kubeconfig.empty()) return client::load_kubeconfig(options.kubeconfig);
  auto access = client::in_cluster_access();
  if (options.api_url.empty()) return access;
  client::ClusterAccess other;
  if (access.ok()) other = std::move(*access);
  other.server = options.api_url;
  return other;
}

// NODE_NAME says it, or the pod that this runs in.
Task<Result<std::string>> find_node_name(client::Client* client) {
  std::string node = variable("NODE_NAME"), ns = variable("POD_NAMESPACE"), name = variable("POD_NAME");
  if (!node.empty()) co_return node;
  if (ns.empty() || name.empty()) co_return Status::error("env variables POD_NAME and POD_NAMESPACE must be set");
  std::string shown = "'" + ns + "/" + name + "'";
  auto pod = co_await client->get<api::core_v1::Pod>(std::move(ns), std::move(name));
  if (!pod.ok()) co_return pod.status().with_context("error retrieving pod spec for " + shown);
  if (pod->spec.node_name.empty()) co_return Status::error("node name not present in pod spec " + shown);
  co_return pod->spec.node_name.str();
}

Task<void> answer_healthz(net::Request& request, net::ResponseWriter& writer) {
  bool known = request.path == "/healthz";
  net::Headers headers;
  headers.add("Content-Type", "text/plain; charset=utf-8");
  Body body(known ? "flanneld is running" : "404 page not found\n");
  Status status = co_await writer.respond(known ? 200 : 404, std::move(headers), std::move(body));
  (void)status.ok();
}

Task<Status> boot(const EventLoops* loops, Options options, std::shared_ptr<State> state) {
  if (!options.kube_subnet_manager) co_return Status::error("Failed to create SubnetManager: only --kube-subnet-mgr is supported");
  auto failed = [](const Status& status) { return status.with_context("Failed to create SubnetManager"); };
  auto access = access_of(options);
  if (!access.ok()) co_return failed(access.status().with_context("fail to create kubernetes config"));
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return failed(transport.status().with_context("unable to initialize client"));
  state->client = std::make_unique<client::Client>(std::move(*transport), "flanneld");
  auto node = co_await find_node_name(state->client.get());
  if (!node.ok()) co_return failed(node.status());
  options.daemon.node_name = *node;
  auto config = read_file(options.net_config_path);
  if (!config.ok()) co_return failed(config.status().with_context("failed to read net conf"));
  options.daemon.net_config = std::move(*config);
  options.daemon.resync = std::chrono::seconds(std::max(options.resync_seconds, 1));
  auto netlink = flannel::make_netlink();
  if (!netlink.ok()) co_return netlink.status();
  state->netlink = std::move(*netlink);
  state->filter = flannel::make_packet_filter();
  state->informers = std::make_unique<client::InformerFactory>(*state->client, executor);
  state->daemon = std::make_unique<flannel::Flanneld>(*state->client, *state->informers, *state->netlink, *state->filter, Clock::real(),
                                                      std::move(options.daemon));
  if (options.healthz_port > 0) {
    state->healthz = net::make_server({executor}, {}, answer_healthz);
    auto listening = state->healthz->listen(options.healthz_ip + ":" + std::to_string(options.healthz_port));
    if (!listening.ok()) co_return listening.status().with_context("Start healthz server error");
  }
  state->informers->start();
  Status status = co_await state->daemon->start();
  co_return status;
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->daemon) state->daemon->stop();
  if (state->informers) state->informers->stop();
  if (state->healthz) co_await state->healthz->shutdown(Duration::zero());
}

}  // namespace

int flanneld_main(int argc, char** argv) {
  ComponentApp app("The network daemon of a node", "flanneld");
  Options options;
  flannel::FlanneldOptions& daemon = options.daemon;
  app.add_bool("--kube-subnet-mgr", options.kube_subnet_manager, "nodes' shares come from the Kubernetes API");
  app.add_option("--kubeconfig-file", options.kubeconfig, "how to reach the API server; not needed in a pod");
  app.add_option("--kube-api-url", options.api_url, "the API server; not needed in a pod");
  app.add_option("--kube-annotation-prefix", daemon.annotation_prefix, "of the Node's annotations");
  app.add_option("--net-config-path", options.net_config_path, "the network's configuration");
  app.add_option("--subnet-file", daemon.subnet_file, "where the CNI plugin finds this node's share");
  app.add_option("--iface", daemon.interface.names, "interface (name or address) for traffic between nodes; the first that exists");
  app.add_option("--iface-regex", daemon.interface.regexes, "the same by patterns of addresses, then of names");
  app.add_option("--iface-can-reach", daemon.interface.can_reach, "the interface that leads to this address");
  app.add_option("--public-ip", daemon.interface.public_ip, "address that other nodes are told");
  app.add_bool("--ip-masq", daemon.ip_masq, "masquerade what leaves the network");
  app.add_bool("--iptables-forward-rules", daemon.forward_rules, "let iptables forward the network's traffic");
  app.add_option("--iptables-resync", options.resync_seconds, "seconds between looks at iptables' rules");
  app.add_option("--healthz-ip", options.healthz_ip, "where /healthz is served");
  app.add_option("--healthz-port", options.healthz_port, "0: nowhere");
  app.add_bool("--set-node-network-unavailable", daemon.set_network_available, "set the Node's condition NetworkUnavailable to False");
  app.accept({"etcd-endpoints", "etcd-prefix", "etcd-keyfile", "etcd-certfile", "etcd-cafile", "etcd-username", "etcd-password", "public-ipv6",
              "subnet-lease-renew-margin", "vmodule", "log_backtrace_at"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(options), state), [state] { return stop(state); });
}

int flannel_cni_main(int, char**) { return flannel::run_plugin(); }

}  // namespace knarr::cmd
