// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"
#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/component_server.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "controller/identities.h"
#include "controller/manager.h"

namespace knarr::cmd {
namespace {

constexpr int kPort = 10257;

struct Options {
  std::string kubeconfig, root_ca_file, service_account_key_file;
  bool own_identities = false;
  controller::ManagerOptions manager;
  ServingOptions serving;
};

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<controller::ServiceAccountClients> identities;
  std::shared_ptr<controller::ControllerManager> manager;
  std::unique_ptr<ComponentServer> server;
};

Task<Status> boot(const EventLoops* loops, Options options, std::shared_ptr<State> state) {
  auto access = client::load_kubeconfig(options.kubeconfig);
  if (!access.ok()) co_return access.status();
  controller::Options& controllers = options.manager.controllers;
  CO_TRY(controller::check_signing(controllers.signing));
  if (!options.root_ca_file.empty()) {
    CO_TRY_ASSIGN(controllers.root_ca_pem, read_file(options.root_ca_file));
  }
  if (!options.service_account_key_file.empty()) {
    CO_TRY_ASSIGN(controllers.service_account_key_pem, read_file(options.service_account_key_file));
  }
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kube-controller-manager");
  if (options.own_identities) {
    client::ClusterAccess nobody = client::anonymous(*access);
    auto bare = client::make_https_transport(executor, nobody);
    if (!bare.ok()) co_return bare.status();
    state->identities = std::make_unique<controller::ServiceAccountClients>(*state->client, std::move(*bare), executor);
    options.manager.client_for = [identities = state->identities.get()](std::string_view account) -> client::Client& {
      return identities->client_for(account);
    };
  }
  state->manager = std::make_shared<controller::ControllerManager>(*state->client, executor, Clock::real(), std::move(options.manager));
  ComponentPages pages;
  pages.checks = [] { return std::vector<ComponentPages::Check>{{"leaderElection", Status()}}; };
  pages.metrics = [manager = state->manager.get()] { return manager->metrics(); };
  ServingOptions serving = std::move(options.serving);
  auto server = co_await serve_component(executor, std::move(serving), std::move(pages));
  if (!server.ok()) co_return server.status();
  state->server = std::move(*server);
  Status status = co_await controller::run_controller_manager(state->manager);
  co_return status;
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->manager) state->manager->stop();
  if (state->server) co_await state->server->stop();
}

void add_signing_flags(ComponentApp& app, controller::CertificateSigningOptions& signing) {
  auto pair = [&app](const std::string& which, controller::SigningFiles& files, const std::string& what) {
    app.add_option("--cluster-signing-" + which + "cert-file", files.cert_file, "CA that signs " + what);
    app.add_option("--cluster-signing-" + which + "key-file", files.key_file, "its key");
  };
  pair("", signing.cluster, "certificate requests of all kubernetes.io signers");
  pair("kubelet-serving-", signing.kubelet_serving, "those of kubernetes.io/kubelet-serving");
  pair("kubelet-client-", signing.kubelet_client, "those of kubernetes.io/kube-apiserver-client-kubelet");
  pair("kube-apiserver-client-", signing.apiserver_client, "those of kubernetes.io/kube-apiserver-client");
  pair("legacy-unknown-", signing.legacy_unknown, "those of kubernetes.io/legacy-unknown");
  app.add_duration("--cluster-signing-duration", signing.duration, "how long signed certificates last at most");
}

}  // namespace

int kube_controller_manager_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes controllers", "kube-controller-manager");
  Options options;
  options.serving.port = kPort;
  options.serving.pair_name = "kube-controller-manager";
  controller::Options& controllers = options.manager.controllers;
  controllers.allocate_node_cidrs = false;
  app.add_option("--kubeconfig", options.kubeconfig, "how to reach the API server")->required()->check(CLI::ExistingFile);
  app.add_option("--controllers", options.manager.selection, "'*', names, and -names");
  add_leader_election_flags(app, options.manager.leader_elect, options.manager.leader_election);
  add_serving_flags(app, options.serving);
  add_signing_flags(app, controllers.signing);
  app.add_option("--cluster-cidr", controllers.cluster_cidr, "CIDR of pods");
  app.add_option("--node-cidr-mask-size", controllers.node_cidr_mask_size, "size of a node's share of it");
  app.add_option("--service-cluster-ip-range", controllers.service_cidr, "CIDR of cluster IPs");
  app.add_bool("--allocate-node-cidrs", controllers.allocate_node_cidrs, "give each node its share of --cluster-cidr");
  app.add_option("--root-ca-file", options.root_ca_file, "published in every namespace");
  app.add_option("--service-account-private-key-file", options.service_account_key_file, "signs legacy token Secrets");
  app.add_bool("--use-service-account-credentials", options.own_identities, "each controller acts as a service account of its own");
  app.add_duration("--node-monitor-period", controllers.node_monitor_period, "how often node health is looked at");
  app.add_duration("--node-monitor-grace-period", controllers.node_monitor_grace_period, "silence after which a node is unhealthy");
  app.add_duration("--node-startup-grace-period", controllers.node_startup_grace_period, "the same for a node that starts");
  app.add_option("--terminated-pod-gc-threshold", controllers.terminated_pod_gc_threshold, "terminated pods that are kept; 0 = all");
  app.accept({"cluster-name", "kube-api-qps", "kube-api-burst", "kube-api-content-type", "profiling", "contention-profiling", "feature-gates",
              "cloud-provider", "cloud-config", "configure-cloud-routes", "min-resync-period", "controller-start-interval", "concurrent-deployment-syncs",
              "concurrent-replicaset-syncs", "concurrent-endpoint-syncs", "concurrent-service-endpoint-syncs", "concurrent-service-syncs",
              "concurrent-namespace-syncs", "concurrent-gc-syncs", "concurrent-job-syncs", "concurrent-statefulset-syncs", "concurrent-resource-quota-syncs",
              "concurrent-rc-syncs", "concurrent-serviceaccount-token-syncs", "concurrent-ttl-after-finished-syncs", "concurrent-horizontal-pod-autoscaler-syncs",
              "concurrent-cron-job-syncs", "concurrent-ephemeralvolume-syncs", "large-cluster-size-threshold", "node-eviction-rate",
              "secondary-node-eviction-rate", "unhealthy-zone-threshold", "namespace-sync-period", "resource-quota-sync-period", "enable-garbage-collector",
              "enable-dynamic-provisioning", "flex-volume-plugin-dir", "external-cloud-volume-plugin", "logging-format", "master"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(options), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
