// SPDX-License-Identifier: Apache-2.0
#include "kubelet/kubelet.h"

#include <unistd.h>

#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "cmd/kubelet_configuration.h"

namespace knarr::cmd {
namespace {

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<kubelet::Kubelet> kubelet;
};

Task<Status> boot(const EventLoops* loops, std::string kubeconfig, kubelet::Config config, std::shared_ptr<State> state) {
  auto access = client::load_kubeconfig(kubeconfig);
  if (!access.ok()) co_return access.status();
  auto transport = client::make_https_transport(loops->main(), *access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kubelet");
  state->kubelet = std::make_unique<kubelet::Kubelet>(std::move(config), *state->client, loops->main());
  Status status = co_await state->kubelet->start();
  co_return status;
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->kubelet) co_await state->kubelet->stop();
}

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

int kubelet_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes node agent", "kubelet");
  std::string kubeconfig, config_file;
  kubelet::Config config;
  app.add_option("--kubeconfig", kubeconfig, "how to reach the API server")->required()->check(CLI::ExistingFile);
  app.add_option("--config", config_file, "KubeletConfiguration")->check(CLI::ExistingFile);
  app.add_option("--root-dir", config.root_dir, "where volumes and the like are kept")->capture_default_str();
  app.add_option("--node-ip", config.node_ip, "address of the node");
  app.add_option("--hostname-override", config.node_name, "name of the node");
  std::string endpoint, cgroup_root;
  app.add_option("--container-runtime-endpoint", endpoint, "CRI socket");
  app.add_option("--cgroup-root", cgroup_root, "cgroup under which pods are put");
  app.accept({"bootstrap-kubeconfig", "pod-infra-container-image", "cert-dir", "feature-gates", "register-node", "node-labels"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  if (!config_file.empty()) {
    if (Status status = apply_kubelet_configuration(config_file, config); !status.ok()) {
      std::fprintf(stderr, "error: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
      return 1;
    }
  }
  // Flags win over the file, as upstream.
  if (!endpoint.empty()) config.container_runtime_endpoint = endpoint;
  if (!cgroup_root.empty()) config.cgroup_root = cgroup_root;
  if (config.node_name.empty()) config.node_name = host_name();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(kubeconfig), std::move(config), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
