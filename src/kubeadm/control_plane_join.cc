// SPDX-License-Identifier: Apache-2.0
// A host becomes a further control plane: the shared certificates, its own, its manifests, one more etcd member.
#include "kubeadm/certs.h"
#include "kubeadm/cluster_objects.h"
#include "kubeadm/etcd_admin.h"
#include "kubeadm/join_data.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/manifests.h"
#include "kubeadm/preflight.h"

namespace knarr::kubeadm {
namespace {

constexpr Duration kAddPause = std::chrono::seconds(1), kAddLimit = std::chrono::seconds(60), kStartLimit = std::chrono::seconds(40);

// What all control planes have in common must be here, unless it can be fetched.
Status check_shared_certificates(JoinData& data, const ClusterConfiguration& cluster) {
  const std::string& dir = cluster.certificates_dir;
  std::vector<std::string> missing;
  auto check = [&](const char* base_name, const char* shown) {
    Status loaded = load_cert(data.host, dir, base_name).status();
    if (!loaded.ok()) missing.push_back(std::string("failure loading certificate for ") + shown + ": " + std::string(loaded.message()));
  };
  check("ca", "CA");
  if (!data.host.exists(dir + "/sa.key")) missing.push_back("failure loading key for service account: couldn't load the private key file " + dir + "/sa.key: open " + dir + "/sa.key: no such file or directory");
  check("front-proxy-ca", "front-proxy CA");
  if (!cluster.external_etcd) check("etcd/ca", "etcd CA");
  if (missing.empty()) return {};
  return Status::error(missing.size() == 1 ? missing[0] : "[" + join(missing, ", ") + "]");
}

Status not_ready(std::string_view why) {
  return Status::error("\nOne or more conditions for hosting a new control plane instance is not satisfied.\n\n" + std::string(why) +
                       "\n\nPlease ensure that:\n* The cluster has a stable controlPlaneEndpoint address.\n"
                       "* The certificates that must be shared among control plane instances are provided.\n\n");
}

// ---- prepare -----------------------------------------------------------------------------------------------------------------

Status run_download(JoinData& data) {
  if (!data.config.control_plane || data.certificate_key().empty()) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  TRY_ASSIGN(client::ClusterAccess * access, data.bootstrap_access());
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(*access));
  ClusterConfiguration target = cluster->cluster;
  if (data.dry_run) target.certificates_dir = data.dry_run_dir;
  return download_certificates(data.host, *api, target, data.certificate_key()).with_context("error downloading certs");
}

Status run_certs(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  const std::string dir = data.dry_run ? data.dry_run_dir : cluster->cluster.certificates_dir;
  data.host.print("[certs] Using certificateDir folder " + quote(cluster->cluster.certificates_dir) + "\n");
  for (const CertRecord& record : cert_records())
    if (!record.is_ca()) TRY(ensure_cert(data.host, record, *cluster, dir, dir).with_context("error creating PKI assets"));
  data.host.print("[certs] Valid certificates and keys now exist in " + quote(dir) + "\n");
  return ensure_service_account_keys(data.host, cluster->cluster, dir);
}

Status run_kubeconfig(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  data.host.print("[kubeconfig] Generating kubeconfig files\n[kubeconfig] Using kubeconfig folder " + quote(data.conf_dir()) + "\n");
  const std::string dir = data.dry_run ? data.dry_run_dir : cluster->cluster.certificates_dir;
  bool external = !data.host.exists(key_path(dir, "ca"));
  for (const KubeconfigRecord& record : kubeconfig_records()) {
    if (*record.user == '\0') continue;  // the kubelet gets its own by a request
    if (external) data.host.print(std::string("[kubeconfig] External CA mode: Using user provided ") + record.file + "\n");
    else TRY(ensure_kubeconfig(data.host, record, *cluster, dir, data.conf_dir()).with_context("error generating kubeconfig files"));
  }
  return {};
}

Status run_manifests(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  data.host.print("[control-plane] Using manifest folder " + quote(data.manifests_dir()) + "\n");
  for (const char* component : {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}) {
    data.host.print("[control-plane] Creating static Pod manifest for " + quote(component) + "\n");
    TRY(write_manifest(data.host, data.manifests_dir(), component, component_pod(data.host, component, cluster->cluster, cluster->local_endpoint),
                       data.config.patches_directory));
  }
  return {};
}

// ---- etcd --------------------------------------------------------------------------------------------------------------------

// Before the kubelet starts: with the bootstrap credentials there is no right to see pods, with admin.conf there is.
Result<std::unique_ptr<EtcdAdmin>> existing_etcd(JoinData& data, const ClusterConfiguration& cluster) {
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(data.conf_dir() + "/admin.conf"));
  TRY_ASSIGN(std::vector<std::string> endpoints, etcd_endpoints(data.host, *api));
  return connect_etcd(endpoints, data.dry_run ? data.dry_run_dir : cluster.certificates_dir);
}

Status run_check_etcd(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  if (cluster->cluster.external_etcd) {
    data.host.print("[check-etcd] Skipping etcd check in external mode\n");
    return {};
  }
  data.host.print("[check-etcd] Checking that the etcd cluster is healthy\n");
  TRY_ASSIGN(std::unique_ptr<EtcdAdmin> etcd, existing_etcd(data, cluster->cluster));
  return etcd->list().status().with_context("etcd cluster is not healthy");
}

Status run_etcd(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  const ClusterConfiguration& config = cluster->cluster;
  if (config.external_etcd) {
    data.host.print("[control-plane-join] Using external etcd - no local stacked instance added\n");
    return {};
  }
  const std::string& node = cluster->node.name;
  const std::string& address = cluster->local_endpoint.advertise_address;
  const std::string peer = "https://" + join_host_port(address, std::to_string(kEtcdPeerPort));
  EtcdMembers members;
  if (data.dry_run) {
    data.host.print("[control-plane-join] Would ensure that " + quote(config.local_etcd->data_dir) + " directory is present\n[etcd] Would add etcd member: " + peer + "\n");
  } else {
    TRY(data.host.make_dirs(config.local_etcd->data_dir, 0700).with_context("failed to create etcd directory " + quote(config.local_etcd->data_dir)));
    TRY_ASSIGN(std::unique_ptr<EtcdAdmin> etcd, existing_etcd(data, config));
    std::vector<EtcdMember> all;
    // A cluster that has just grown refuses the next member until all are up.
    TRY(retry(data.host, kAddPause, kAddLimit, [&]() -> Status {
          auto added = etcd->add(peer);
          if (added.ok()) all = std::move(*added);
          return added.status();
        }).with_context("error creating local etcd static pod manifest file"));
    data.host.print("[etcd] Announced new etcd member joining to the existing etcd cluster\n");
    members = initial_cluster(all, node, peer);
  }
  data.host.print("[etcd] Creating static Pod manifest for \"etcd\"\n");
  TRY(write_manifest(data.host, data.manifests_dir(), "etcd", etcd_pod(config, cluster->local_endpoint, node, members), data.config.patches_directory)
          .with_context("error creating local etcd static pod manifest file"));
  if (data.dry_run) {
    data.host.print("[etcd] Would wait for the new etcd member to join the cluster\n");
    return {};
  }
  data.host.print("[etcd] Waiting for the new etcd member to join the cluster. This can take up to 40s\n");
  TRY_ASSIGN(std::unique_ptr<EtcdAdmin> own, connect_etcd({"https://" + join_host_port(address, std::to_string(kEtcdClientPort))}, config.certificates_dir));
  Status joined = retry(data.host, std::chrono::milliseconds(200), kStartLimit, [&] { return own->list().status(); });
  return joined.ok() ? Status() : Status::error("error creating local etcd static pod manifest file: timeout waiting for etcd cluster to be available");
}

Status run_update_status(JoinData& data) {
  if (data.config.control_plane)
    data.host.print("The 'update-status' phase is deprecated and will be removed in a future release. Currently it performs no operation\n");
  return {};
}

Status run_mark(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  if (data.dry_run) {
    data.host.print("[control-plane-join] Would mark node " + cluster->node.name + " as a control-plane\n");
    return {};
  }
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(data.conf_dir() + "/admin.conf"));
  return mark_control_plane(data.host, *api, cluster->node.name, cluster->node.taints.value_or(std::vector<Taint>()))
      .with_context("error applying control-plane label and taints");
}

Phase<JoinData> simple(const char* name, const char* help, Status (*run)(JoinData&), std::vector<std::string> flags) {
  Phase<JoinData> phase;
  phase.name = name;
  phase.short_help = help;
  phase.run = run;
  phase.flags = std::move(flags);
  return phase;
}

Phase<JoinData> all_of(const char* help, std::vector<std::string> flags) {
  Phase<JoinData> phase = simple("all", help, nullptr, std::move(flags));
  phase.run = {};
  phase.all_siblings = true;
  return phase;
}

}  // namespace

Status check_new_control_plane(JoinData& data) {
  if (!data.config.control_plane) return {};
  TRY_ASSIGN(InitConfiguration * cluster, data.cluster());
  if (cluster->cluster.control_plane_endpoint.empty())
    return not_ready("unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address");
  if (data.certificate_key().empty()) {
    Status shared = check_shared_certificates(data, cluster->cluster);
    if (!shared.ok()) return not_ready(shared.message());
  }
  data.host.print("[preflight] Running pre-flight checks before initializing the new control plane instance\n");
  TRY(run_checks(data.host, init_checks(data.host, *cluster, true), data.ignored_checks));
  if (data.dry_run) {
    data.host.print("[preflight] Would pull the required images (like 'kubeadm config images pull')\n");
    return {};
  }
  data.host.print(
      "[preflight] Pulling images required for setting up a Kubernetes cluster\n"
      "[preflight] This might take a minute or two, depending on the speed of your internet connection\n"
      "[preflight] You can also perform this action in beforehand using 'kubeadm config images pull'\n");
  return run_checks(data.host, {image_check(*cluster)}, data.ignored_checks);
}

Phase<JoinData> control_plane_prepare_phase() {
  const std::vector<std::string> trust = {"config", "control-plane", "discovery-file", "discovery-token", "discovery-token-ca-cert-hash",
                                          "discovery-token-unsafe-skip-ca-verification", "tls-bootstrap-token", "token", "dry-run"};
  auto with = [&](std::initializer_list<const char*> more) {
    std::vector<std::string> flags = trust;
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  };
  Phase<JoinData> phase = simple("control-plane-prepare", "Prepare the machine for serving a control plane", nullptr, {});
  phase.run = {};
  phase.example = "  # Prepares the machine for serving a control plane\n  kubeadm join phase control-plane-prepare all";
  phase.children.push_back(all_of("Prepare the machine for serving a control plane",
                                  with({"apiserver-advertise-address", "apiserver-bind-port", "node-name", "certificate-key", "patches"})));
  phase.children.push_back(simple("download-certs", "[EXPERIMENTAL] Download certificates shared among control-plane nodes from the kubeadm-certs Secret", run_download,
                                  with({"certificate-key"})));
  phase.children.push_back(simple("certs", "Generate the certificates for the new control plane components", run_certs, with({"apiserver-advertise-address", "node-name"})));
  phase.children.push_back(simple("kubeconfig", "Generate the kubeconfig for the new control plane components", run_kubeconfig, with({"certificate-key"})));
  phase.children.push_back(simple("control-plane", "Generate the manifests for the new control plane components", run_manifests,
                                  {"apiserver-advertise-address", "apiserver-bind-port", "config", "control-plane", "patches", "dry-run"}));
  return phase;
}

Phase<JoinData> check_etcd_phase() {
  Phase<JoinData> phase = simple("check-etcd", "", run_check_etcd, {});
  phase.hidden = true;
  return phase;
}

Phase<JoinData> control_plane_join_phase() {
  Phase<JoinData> phase = simple("control-plane-join", "Join a machine as a control plane instance", nullptr, {});
  phase.run = {};
  phase.example = "  # Joins a machine as a control plane instance\n  kubeadm join phase control-plane-join all";
  phase.children.push_back(all_of("Join a machine as a control plane instance", {"config", "control-plane", "node-name", "patches", "apiserver-advertise-address", "dry-run"}));
  phase.children.push_back(simple("etcd", "Add a new local etcd member", run_etcd, {"config", "control-plane", "node-name", "patches", "apiserver-advertise-address", "dry-run"}));
  phase.children.push_back(simple("update-status", "Register the new control-plane node into the ClusterStatus maintained in the kubeadm-config ConfigMap (DEPRECATED)",
                                  run_update_status, {"config", "control-plane", "node-name", "apiserver-advertise-address"}));
  phase.children.push_back(simple("mark-control-plane", "Mark a node as a control-plane", run_mark, {"config", "control-plane", "node-name", "dry-run"}));
  return phase;
}

}  // namespace knarr::kubeadm
