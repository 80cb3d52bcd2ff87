// SPDX-License-Identifier: Apache-2.0
#include "kubelet/kubelet.h"

#include <unistd.h>

#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "cmd/kubelet_configuration.h"
#include "kubelet/certificate/bootstrap.h"

namespace knarr::cmd {
namespace {

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<kubelet::Kubelet> kubelet;
};

Task<Status> boot(const EventLoops* loops, kubelet::IdentityOptions identity_options, kubelet::Config config, std::shared_ptr<State> state) {
  Executor executor = loops->main();
  identity_options.rotate = config.rotate_certificates;
  identity_options.cert_dir = config.cert_dir;
  identity_options.node_name = config.node_name;
  auto identity = co_await kubelet::establish_identity(executor, std::move(identity_options));
  if (!identity.ok()) co_return identity.status();
  // Without a certificate there is nothing to renew.
  config.rotate_certificates = config.rotate_certificates && !identity->access.client_cert_file.empty();
  auto transport = client::make_https_transport(executor, identity->access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kubelet");
  state->kubelet = std::make_unique<kubelet::Kubelet>(std::move(config), *state->client, executor);
  if (identity->rotate_at_once) state->kubelet->rotate_client_at_once();
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

// Beside those of upstream that are not fields of KubeletConfiguration, the ones that still are flags, too.
void add_flags(ComponentApp& app, kubelet::Config& config, std::string& labels) {
  app.add_option("--root-dir", config.root_dir, "where volumes and the like are kept")->capture_default_str();
  app.add_option("--cert-dir", config.cert_dir, "where certificates of its own are kept")->capture_default_str();
  app.add_option("--node-ip", config.node_ip, "address of the node");
  app.add_option("--hostname-override", config.node_name, "name of the node");
  app.add_option("--node-labels", labels, "key=value,... that the node registers with")->delimiter('\0');
  app.add_option("--register-with-taints", config.register_with_taints, "key=value:effect,... that the node registers with");
  app.add_bool("--register-node", config.register_node, "make the Node object");
  app.add_option("--container-runtime-endpoint", config.container_runtime_endpoint, "CRI socket");
  app.add_option("--cgroup-root", config.cgroup_root, "cgroup under which pods are put");
  app.add_option("--cgroup-driver", config.cgroup_driver, "cgroupfs or systemd");
  app.add_option("--address", config.address, "address of the HTTPS server");
  app.add_option("--port", config.port, "its port");
  app.add_option("--read-only-port", config.read_only_port, "port for everybody; 0 = none");
  app.add_option("--healthz-bind-address", config.healthz_address, "address of /healthz");
  app.add_option("--healthz-port", config.healthz_port, "its port; 0 = none");
  app.add_option("--tls-cert-file", config.tls_cert_file, "serving certificate");
  app.add_option("--tls-private-key-file", config.tls_key_file, "its key");
  app.add_option("--client-ca-file", config.client_ca_file, "CA of client certificates");
  app.add_bool("--anonymous-auth", config.anonymous_auth, "let requests without credentials in as system:anonymous");
  app.add_bool("--authentication-token-webhook", config.webhook_auth, "ask the API server about tokens");
  app.add_bool("--rotate-certificates", config.rotate_certificates, "renew the client certificate before it ends");
  app.add_option("--cluster-dns", config.cluster_dns, "DNS servers of pods");
  app.add_option("--cluster-domain", config.cluster_domain, "domain of the cluster");
  app.add_option("--resolv-conf", config.resolv_conf, "resolver configuration that pods inherit");
  app.add_option("--pod-manifest-path", config.pod_manifest_path, "static pods");
  app.add_option("--max-pods", config.max_pods, "pods that fit");
  app.add_bool("--fail-swap-on", config.fail_swap_on, "do not start with swap");
  app.add_option("--pod-infra-container-image", config.sandbox_image, "image of pod sandboxes, which is never removed as unused");
  app.accept({"feature-gates", "container-runtime", "network-plugin", "cni-bin-dir", "cni-conf-dir", "cloud-provider",
              "image-service-endpoint", "runtime-request-timeout", "kube-api-qps", "kube-api-burst", "event-qps", "logging-format"});
}

std::map<std::string, std::string> parse_labels(std::string_view text) {
  std::map<std::string, std::string> labels;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    size_t equals = item.find('=');
    if (!item.empty()) labels[std::string(item.substr(0, equals))] = equals == item.npos ? "" : std::string(item.substr(equals + 1));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
  }
  return labels;
}

}  // namespace

int kubelet_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes node agent", "kubelet");
  kubelet::IdentityOptions identity;
  std::string config_file, labels;
  kubelet::Config config;
  config.healthz_port = 10248;
  app.add_option("--kubeconfig", identity.kubeconfig, "how to reach the API server; written after a bootstrap")->required();
  app.add_option("--bootstrap-kubeconfig", identity.bootstrap_kubeconfig, "how to ask for a client certificate while there is no valid --kubeconfig");
  app.add_option("--config", config_file, "KubeletConfiguration")->check(CLI::ExistingFile);
  add_flags(app, config, labels);
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  if (!config_file.empty()) {
    if (Status status = apply_kubelet_configuration(config_file, config); !status.ok()) {
      std::fprintf(stderr, "error: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
      return 1;
    }
    // Once more: flags win over the file, as upstream.
    CLI11_PARSE(app, argc, argv);
  }
  config.node_labels = parse_labels(labels);
  if (config.node_name.empty()) config.node_name = host_name();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(identity), std::move(config), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
