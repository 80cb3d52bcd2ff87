// SPDX-License-Identifier: Apache-2.0
#include "base/files.h"
#include "client/kubeconfig.h"
#include "client/service_account.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "controller/manager.h"

namespace knarr::cmd {
namespace {

struct Options {
  std::string kubeconfig, root_ca_file, service_account_key_file;
  bool own_credentials = false;   // of each controller
  controller::ManagerOptions manager;
};

struct State {
  std::unique_ptr<client::Client> client;
  std::shared_ptr<client::Transport> anonymous;  // shared by the controllers' own clients
  std::shared_ptr<controller::ControllerManager> manager;
};

// Each controller acts as its own service account, as upstream with --use-service-account-credentials.
Status give_own_credentials(const Executor& executor, const client::ClusterAccess& access, State& state, controller::Options& controllers) {
  TRY_ASSIGN(state.anonymous, client::make_https_transport(executor, client::without_credentials(access)));
  client::Client* issuer = state.client.get();
  controllers.client_of = [executor, shared = state.anonymous, issuer](const std::string& account) {
    client::ObjectRef ref{"kube-system", account};
    auto transport = client::make_service_account_transport(executor, shared, *issuer, std::move(ref));
    return std::make_shared<client::Client>(std::move(transport), "kube-controller-manager");
  };
  return {};
}

Task<Status> boot(const EventLoops* loops, Options options, std::shared_ptr<State> state) {
  auto access = client::load_kubeconfig(options.kubeconfig);
  if (!access.ok()) co_return access.status();
  if (!options.root_ca_file.empty()) {
    CO_TRY_ASSIGN(options.manager.controllers.root_ca_pem, read_file(options.root_ca_file));
  }
  if (!options.service_account_key_file.empty()) {
    CO_TRY_ASSIGN(options.manager.controllers.service_account_key_pem, read_file(options.service_account_key_file));
  }
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kube-controller-manager");
  if (options.own_credentials) CO_TRY(give_own_credentials(executor, *access, *state, options.manager.controllers));
  state->manager = std::make_shared<controller::ControllerManager>(*state->client, executor, Clock::real(), std::move(options.manager));
  Status status = co_await controller::run_controller_manager(state->manager);
  co_return status;
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->manager) state->manager->stop();
  co_return;
}

}  // namespace

int kube_controller_manager_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes controllers", "kube-controller-manager");
  Options options;
  controller::Options& controllers = options.manager.controllers;
  controllers.allocate_node_cidrs = false;
  app.add_option("--kubeconfig", options.kubeconfig, "how to reach the API server")->required()->check(CLI::ExistingFile);
  app.add_option("--controllers", options.manager.selection, "'*', names, and -names");
  app.add_bool("--leader-elect", options.manager.leader_elect, "run only while leading among several");
  app.add_option("--cluster-cidr", controllers.cluster_cidr, "CIDR of pods");
  app.add_option("--node-cidr-mask-size", controllers.node_cidr_mask_size, "size of a node's share of it");
  app.add_option("--service-cluster-ip-range", controllers.service_cidr, "CIDR of cluster IPs");
  app.add_bool("--allocate-node-cidrs", controllers.allocate_node_cidrs, "give each node its share of --cluster-cidr");
  app.add_option("--root-ca-file", options.root_ca_file, "published in every namespace");
  app.add_option("--service-account-private-key-file", options.service_account_key_file, "signs legacy token Secrets");
  app.add_bool("--use-service-account-credentials", options.own_credentials, "each controller acts as its own service account");
  app.accept({"authentication-kubeconfig", "authorization-kubeconfig", "bind-address", "secure-port", "client-ca-file", "cluster-name",
              "cluster-signing-cert-file", "cluster-signing-key-file", "requestheader-client-ca-file",
              "kube-api-qps", "kube-api-burst", "profiling", "feature-gates"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(options), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
