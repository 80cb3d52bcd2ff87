// SPDX-License-Identifier: Apache-2.0
// `kubeadm join`: a host becomes a worker of a cluster, or a further control plane.
#include "kubeadm/cluster_objects.h"
#include "kubeadm/constants.h"
#include "kubeadm/discovery.h"
#include "kubeadm/init_system.h"
#include "kubeadm/join_data.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/node_files.h"
#include "kubeadm/phases.h"
#include "kubeadm/preflight.h"
#include "kubeadm/wait.h"
#include "pki/secrets.h"

namespace knarr::kubeadm {
namespace {

constexpr char kBootstrapUser[] = "tls-bootstrap-token-user";
constexpr Duration kBootstrapLimit = std::chrono::minutes(5);

Status run_preflight(JoinData& data) {
  data.host.print("[preflight] Running pre-flight checks\n");
  TRY(run_checks(data.host, {root_check()}, data.ignored_checks));
  TRY(run_checks(data.host, join_checks(data.host, data.config), data.ignored_checks));
  TRY(data.cluster().status());
  return check_new_control_plane(data);
}

// A node of this name that is alive belongs to another host.
Status check_name_is_free(JoinData& data, const client::ClusterAccess& access) {
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(access));
  std::string name = data.config.node.name;
  if (auto given = data.config.node.kubelet_extra_args.find("hostname-override"); given != data.config.node.kubelet_extra_args.end()) name = given->second;
  auto node = api->get("/api/v1/nodes/" + name);
  if (!node.ok()) return node.status().is("NotFound") ? Status() : node.status().with_context("cannot get Node " + quote(name));
  for (const json::Value& condition : node->at({"status", "conditions"}).items())
    if (condition.at({"type"}).as_string() == "Ready" && condition.at({"status"}).as_string() == "True")
      return Status::error("a Node with name " + quote(name) + " and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of "
                           "this new joining Node");
  return {};
}

Status write_trust(JoinData& data, const client::ClusterAccess& access, const std::string& cluster_name) {
  const std::string file = data.conf_dir() + "/bootstrap-kubelet.conf";
  TRY(data.host.make_dirs(data.conf_dir(), 0755));
  TRY(data.host.write_file(file, client::write_kubeconfig(access, cluster_name, kBootstrapUser), 0600).with_context("couldn't save bootstrap-kubelet.conf to disk"));
  const std::string ca_file = data.dry_run ? data.dry_run_dir + "/ca.crt" : data.config.ca_cert_path;
  if (data.host.exists(ca_file)) return {};
  TRY_ASSIGN(std::string ca, cluster_ca(access));
  TRY(data.host.make_dirs(ca_file.substr(0, ca_file.rfind('/')), 0755));
  return data.host.write_file(ca_file, ca, 0644).with_context("couldn't save the CA certificate to disk");
}

Status wait_for_kubelet_conf(JoinData& data) {
  data.host.print("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap...\n");
  // The kubelet writes the file first and the certificate that it points to when it has one: both must be there.
  Status waited = wait_beside_kubelet(data.host, kBootstrapLimit, [&] { return data.host.exists(kKubeletConf) && connect(std::string(kKubeletConf)).ok(); });
  if (waited.ok()) return {};
  data.host.print("\nUnfortunately, an error has occurred:\n\t" + std::string(waited.message()) +
                  "\n\nThis error is likely caused by:\n\t- The kubelet is not running\n"
                  "\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)\n\n"
                  "If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:\n"
                  "\t- 'systemctl status kubelet'\n\t- 'journalctl -xeu kubelet'\n");
  return waited;
}

Status start_kubelet(JoinData& data) {
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  TRY_ASSIGN(client::ClusterAccess * access, data.bootstrap_access());
  TRY(write_trust(data, *access, cluster->cluster.cluster_name));
  TRY(check_name_is_free(data, *access));
  if (data.dry_run) data.host.print("[kubelet-start] Would stop the kubelet\n");
  else try_stop_kubelet(data.host);
  TRY(write_kubelet_config(data.host, data.kubelet_dir(), cluster->cluster.kubelet.document, data.config.patches_directory));
  TRY(write_kubelet_flags(data.host, data.kubelet_dir(), cluster->node, pause_image(cluster->cluster), !data.config.control_plane));
  if (data.dry_run) {
    data.host.print("[kubelet-start] Would start the kubelet\n");
    return print_dry_run_files(data.host, data.dry_run_dir);
  }
  data.host.print("[kubelet-start] Starting the kubelet\n");
  try_start_kubelet(data.host);
  TRY(wait_for_kubelet_conf(data));
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(std::string(kKubeletConf)));
  return annotate_cri_socket(data.host, *api, data.config.node.name, data.config.node.cri_socket).with_context("error uploading crisocket");
}

// The bootstrap credentials go when the phase ends, however it ends.
Status run_kubelet_start(JoinData& data) {
  Status started = start_kubelet(data);
  Status removed = data.host.remove_all(data.conf_dir() + "/bootstrap-kubelet.conf");
  return started.ok() ? removed : started;
}

Workflow<JoinData> join_workflow() {
  const std::vector<std::string> discovery = {"config", "cri-socket", "node-name", "discovery-file", "discovery-token", "discovery-token-ca-cert-hash",
                                              "discovery-token-unsafe-skip-ca-verification", "tls-bootstrap-token", "token", "dry-run"};
  auto with = [&](std::initializer_list<const char*> more) {
    std::vector<std::string> flags = discovery;
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  };
  Phase<JoinData> preflight, kubelet;
  preflight.name = "preflight";
  preflight.short_help = "Run join pre-flight checks";
  preflight.long_help = "Run pre-flight checks for kubeadm join.";
  preflight.example = "  # Run join pre-flight checks using a config file.\n  kubeadm join phase preflight --config kubeadm-config.yaml";
  preflight.flags = with({"ignore-preflight-errors", "control-plane", "apiserver-advertise-address", "apiserver-bind-port", "certificate-key"});
  preflight.run = run_preflight;
  kubelet.name = "kubelet-start";
  kubelet.short_help = "Write kubelet settings, certificates and (re)start the kubelet";
  kubelet.long_help = "Write a file with KubeletConfiguration and an environment file with node specific kubelet settings, and then (re)start kubelet.";
  kubelet.flags = with({"patches"});
  kubelet.run = run_kubelet_start;
  Workflow<JoinData> workflow;
  workflow.phases.push_back(std::move(preflight));
  workflow.phases.push_back(control_plane_prepare_phase());
  workflow.phases.push_back(check_etcd_phase());
  workflow.phases.push_back(std::move(kubelet));
  workflow.phases.push_back(control_plane_join_phase());
  return workflow;
}

// ---- the command -------------------------------------------------------------------------------------------------------------

constexpr char kLongHelp[] = R"(When joining a kubeadm initialized cluster, we need to establish
bidirectional trust. This is split into discovery (having the Node
trust the Kubernetes Control Plane) and TLS bootstrap (having the
Kubernetes Control Plane trust the Node).

There are 2 main schemes for discovery. The first is to use a shared
token along with the IP address of the API server. The second is to
provide a file - a subset of the standard kubeconfig file. The forms are
kubeadm join --discovery-token abcdef.1234567890abcdef 1.2.3.4:6443 and
kubeadm join --discovery-file path/to/file.conf. Only one form can be used.

If you use a shared token for discovery, you should also pass the
--discovery-token-ca-cert-hash flag to validate the public key of the
root certificate authority (CA) presented by the Kubernetes Control Plane.
The value of this flag is specified as "<hash-type>:<hex-encoded-value>",
where the supported hash type is "sha256". The hash is calculated over
the bytes of the Subject Public Key Info (SPKI) object (as in RFC7469).
This value is available in the output of "kubeadm init" or can be
calculated using standard tools. The --discovery-token-ca-cert-hash flag
may be repeated multiple times to allow more than one public key.

If you cannot know the CA public key hash ahead of time, you can pass
the --discovery-token-unsafe-skip-ca-verification flag to disable this
verification. This weakens the kubeadm security model since other nodes
can potentially impersonate the Kubernetes Control Plane.

Often times the same token is used for discovery and for TLS bootstrap. In
this case, the --token flag can be used instead of specifying each token
individually.
)";

struct JoinFlags {
  NodeRegistration node;
  Discovery::Token by_token;
  JoinControlPlane control_plane;
  std::string config_file, token, discovery_file, tls_bootstrap_token, patches;
  std::vector<std::string> ignored_checks, skipped_phases;
  bool is_control_plane = false, dry_run = false;
};

constexpr char kWorkerText[] =
    "\nThis node has joined the cluster:\n* Certificate signing request was sent to apiserver and a response was received.\n"
    "* The Kubelet was informed of the new secure connection details.\n\nRun 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n";

std::string control_plane_text(JoinData& data) {
  auto cluster = data.cluster();
  bool stacked = cluster.ok() && !(*cluster)->cluster.external_etcd;
  return std::string("\nThis node has joined the cluster and a new control plane instance was created:\n\n"
                     "* Certificate signing request was sent to apiserver and approval was received.\n"
                     "* The Kubelet was informed of the new secure connection details.\n"
                     "* Control plane label and taint were applied to the new node.\n"
                     "* The Kubernetes control plane instances scaled up.\n") +
         (stacked ? "* A new etcd member was added to the local/stacked etcd cluster." : "") +
         "\n\nTo start administering your cluster from this node, you need to run the following as a regular user:\n\n"
         "\tmkdir -p $HOME/.kube\n\tsudo cp -i " + kAdminConf + " $HOME/.kube/config\n\tsudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n"
         "Run 'kubectl get nodes' to see this node join the cluster.\n\n";
}

void add_flags(Flags& flags, JoinFlags& into) {
  flags.text(into.control_plane.local_endpoint.advertise_address, "apiserver-advertise-address",
             "If the node should host a new control plane instance, the IP address the API Server will advertise it's listening on. If not set the default network "
             "interface will be used.");
  flags.number(into.control_plane.local_endpoint.bind_port, "apiserver-bind-port",
               "If the node should host a new control plane instance, the port for the API Server to bind to.", "int32");
  flags.text(into.control_plane.certificate_key, "certificate-key", "Use this key to decrypt the certificate secrets uploaded by init.");
  flags.text(into.config_file, "config", kConfigUsage);
  flags.on(into.is_control_plane, "control-plane", "Create a new control plane instance on this node");
  flags.text(into.node.cri_socket, "cri-socket", kCriSocketUsage);
  flags.text(into.discovery_file, "discovery-file", "For file-based discovery, a file or URL from which to load cluster information.");
  flags.text(into.by_token.token, "discovery-token", "For token-based discovery, the token used to validate cluster information fetched from the API server.");
  flags.list(into.by_token.ca_cert_hashes, "discovery-token-ca-cert-hash",
             "For token-based discovery, validate that the root CA public key matches this hash (format: \"<type>:<value>\").");
  flags.on(into.by_token.unsafe_skip_ca_verification, "discovery-token-unsafe-skip-ca-verification",
           "For token-based discovery, allow joining without --discovery-token-ca-cert-hash pinning.");
  flags.on(into.dry_run, "dry-run", kDryRunUsage);
  flags.list(into.ignored_checks, "ignore-preflight-errors", kIgnoreChecksUsage);
  flags.text(into.node.name, "node-name", "Specify the node name.");
  flags.text(into.patches, "patches", kPatchesUsage);
  flags.text(into.tls_bootstrap_token, "tls-bootstrap-token",
             "Specify the token used to temporarily authenticate with the Kubernetes Control Plane while joining the node.");
  flags.text(into.token, "token", "Use this token for both discovery-token and tls-bootstrap-token when those values are not provided.");
}

Result<JoinConfiguration> configuration_of_flags(Host& host, const JoinFlags& flags, const std::vector<std::string>& args) {
  JoinConfiguration config;
  config.node = flags.node;
  config.patches_directory = flags.patches;
  Discovery& discovery = config.discovery;
  discovery.tls_bootstrap_token = flags.tls_bootstrap_token.empty() ? flags.token : flags.tls_bootstrap_token;
  if (!flags.discovery_file.empty()) discovery.file = flags.discovery_file;
  if (!args.empty()) {
    discovery.bootstrap_token = flags.by_token;
    discovery.bootstrap_token->api_server_endpoint = args[0];
    if (discovery.bootstrap_token->token.empty()) discovery.bootstrap_token->token = flags.token;
  }
  if (flags.is_control_plane) config.control_plane = flags.control_plane;
  set_defaults(config);
  TRY(set_dynamic_defaults(host, config));
  TRY(aggregate(validate(config, host)));
  return config;
}

Status prepare(Host& host, const JoinFlags& flags, const Invocation& invocation, JoinData& data) {
  TRY(check_mixed_flags(invocation));
  if (invocation.args.size() > 1) return Status::error("accepts at most 1 arg(s), received " + std::to_string(invocation.args.size()));
  for (const char* flag : {"certificate-key", "apiserver-advertise-address", "apiserver-bind-port"})
    if (!flags.is_control_plane && invocation.has(flag))
      host.warn("[preflight] WARNING: --control-plane is also required when passing control-plane related flags such as [certificate-key, apiserver-advertise-address, "
                "apiserver-bind-port]");
  if (flags.config_file.empty()) {
    TRY_ASSIGN(data.config, configuration_of_flags(host, flags, invocation.args));
  } else {
    auto text = host.read_file(flags.config_file);
    if (!text.ok()) return text.status().with_context("unable to read config from " + quote(flags.config_file) + " ");
    TRY_ASSIGN(data.config, load_join_configuration(host, *text, false));
  }
  if (!flags.patches.empty()) data.config.patches_directory = flags.patches;
  if (data.config.control_plane) {
    const std::string& address = data.config.control_plane->local_endpoint.advertise_address;
    if (!is_loopback(address) && !is_global_unicast(address)) return Status::error("cannot use " + quote(address) + " as the bind address for the API Server");
  }
  TRY_ASSIGN(data.ignored_checks, ignored_checks(flags.ignored_checks, data.config.node.ignore_preflight_errors));
  if (!flags.node.name.empty()) data.config.node.name = flags.node.name;
  if (!flags.node.cri_socket.empty()) data.config.node.cri_socket = flags.node.cri_socket;
  data.dry_run = flags.dry_run;
  if (flags.dry_run) {
    TRY_ASSIGN(std::string random, pki::random_token(10));
    data.dry_run_dir = "/etc/kubernetes/tmp/kubeadm-join-dryrun" + random;
    TRY(host.make_dirs(data.dry_run_dir, 0700).with_context("couldn't create a temporary directory on dryrun"));
  }
  return {};
}

}  // namespace

Result<client::ClusterAccess*> JoinData::bootstrap_access() {
  if (!access_) {
    TRY_ASSIGN(access_, discover(host, config.discovery, [](const client::ClusterAccess& to) { return connect(to); }));
  }
  return &*access_;
}

Result<InitConfiguration*> JoinData::cluster() {
  if (cluster_) return &*cluster_;
  TRY_ASSIGN(client::ClusterAccess * access, bootstrap_access());
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(*access));
  FetchOptions options{"preflight", true};
  auto fetched = fetch_configuration(host, *api, options);
  if (!fetched.ok()) return fetched.status().with_context("unable to fetch the kubeadm-config ConfigMap");
  cluster_ = std::move(*fetched);
  cluster_->node = config.node;
  if (config.control_plane) cluster_->local_endpoint = config.control_plane->local_endpoint;
  return &*cluster_;
}

void add_join(Command& root, Host& host) {
  auto flags = std::make_shared<JoinFlags>();
  flags->control_plane.local_endpoint.bind_port = kApiPort;
  auto workflow = std::make_shared<Workflow<JoinData>>(join_workflow());
  Command& command = root.add("join", "Run this on any machine you wish to join an existing cluster");
  command.arguments = "[api-server-endpoint] [flags]";
  command.long_help = kLongHelp;
  command.any_arguments = true;
  add_flags(command.flags, *flags);
  Flags pool = command.flags;
  command.run = [flags, workflow, &host](const Invocation& invocation) -> Status {
    JoinData data(host);
    TRY(prepare(host, *flags, invocation, data));
    TRY(workflow->run(data, "", flags->skipped_phases.empty() ? data.config.skip_phases : flags->skipped_phases));
    host.print(data.config.control_plane ? control_plane_text(data) : kWorkerText);
    return {};
  };
  workflow->bind(command, pool, [flags, workflow, &host](const std::string& path, const Invocation& invocation) -> Status {
    JoinData data(host);
    TRY(prepare(host, *flags, invocation, data));
    return workflow->run(data, path, {});
  });
  command.flags.list(flags->skipped_phases, "skip-phases", "List of phases to be skipped");
}

}  // namespace knarr::kubeadm
