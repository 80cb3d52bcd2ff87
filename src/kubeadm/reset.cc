// SPDX-License-Identifier: Apache-2.0
// `kubeadm reset`: takes back what init or join did to this host, as far as it goes.
#include <algorithm>

#include "kubeadm/cluster_objects.h"
#include "kubeadm/constants.h"
#include "kubeadm/etcd_admin.h"
#include "kubeadm/init_system.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/phases.h"
#include "kubeadm/preflight.h"
#include "kubeadm/runtime.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

struct ResetData {
  explicit ResetData(Host& h) : host(h) {}
  Host& host;
  std::optional<InitConfiguration> config;     // of the cluster, when it answers
  std::string certificates_dir, socket, kubeconfig;
  std::vector<std::string> ignored_checks;
  bool force = false, dry_run = false, cleanup_tmp = false;
};

Status run_preflight(ResetData& data) {
  if (!data.force && !data.dry_run) {
    data.host.print("[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.\n[reset] Are you sure you want to proceed? [y/N]: ");
    std::string answer = to_lower(data.host.read_line());
    if (answer != "y" && answer != "yes") return Status::error("won't proceed; the user didn't answer (Y|y) in order to continue");
  }
  data.host.print("[preflight] Running pre-flight checks\n");
  return run_checks(data.host, {root_check()}, data.ignored_checks);
}

Status clean_dir(Host& host, const std::string& dir) {
  if (!host.exists(dir)) return {};
  TRY_ASSIGN(std::vector<std::string> names, host.list_dir(dir));
  Status last;
  for (const std::string& name : names)
    if (Status removed = host.remove_all(dir + "/" + name); !removed.ok()) last = removed;
  return last;
}

// From the configuration, else from the manifest, else the usual one.
Result<std::string> etcd_data_dir(ResetData& data) {
  if (data.config && data.config->cluster.local_etcd) return data.config->cluster.local_etcd->data_dir;
  data.host.warn("[reset] No kubeadm config, using etcd pod spec to get data directory");
  const std::string manifest = std::string(kManifestsDir) + "/etcd.yaml";
  if (!data.host.exists(manifest)) return std::string(kEtcdDataDir);
  TRY_ASSIGN(std::string text, data.host.read_file(manifest));
  TRY_ASSIGN(std::string as_json, schema::yaml_to_json(text));
  TRY_ASSIGN(json::Value pod, json::parse(as_json));
  for (const json::Value& volume : pod.at({"spec", "volumes"}).items())
    if (volume.at({"name"}).as_string() == "etcd-data") return volume.at({"hostPath", "path"}).as_string();
  return Status::error("invalid etcd pod manifest");
}

// The last member stays: its data goes with it.
Status leave_etcd(ResetData& data) {
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(data.kubeconfig));
  TRY_ASSIGN(std::vector<std::string> endpoints, etcd_endpoints(data.host, *api));
  TRY_ASSIGN(std::unique_ptr<EtcdAdmin> etcd, connect_etcd(endpoints, data.config->cluster.certificates_dir));
  TRY_ASSIGN(std::vector<EtcdMember> members, etcd->list());
  const std::string peer = "https://" + join_host_port(data.config->local_endpoint.advertise_address, std::to_string(kEtcdPeerPort));
  for (const EtcdMember& member : members)
    // A cluster that has just changed calls itself unhealthy for some seconds, and gives nobody up.
    if (members.size() > 1 && contains(member.peer_urls, peer))
      return retry(data.host, std::chrono::milliseconds(500), std::chrono::seconds(50), [&] { return etcd->remove(member.id); });
  return {};
}

Status run_remove_etcd(ResetData& data) {
  auto dir = etcd_data_dir(data);
  if (!dir.ok() || dir->empty()) {
    data.host.print("[reset] No etcd config found. Assuming external etcd\n[reset] Please, manually reset etcd to prevent further issues\n");
    return {};
  }
  if (data.dry_run) {
    data.host.print("[reset] Would remove the etcd member on this node from the etcd cluster\n[reset] Would delete contents of the etcd data directory: " + *dir + "\n");
    return {};
  }
  bool has_member = data.config && data.config->cluster.local_etcd && data.host.exists(std::string(kManifestsDir) + "/etcd.yaml");
  if (has_member) {
    if (Status left = leave_etcd(data); !left.ok())
      data.host.warn("[reset] Failed to remove etcd member: " + std::string(left.message()) + ", please manually remove this etcd member using etcdctl");
  }
  auto names = data.host.exists(*dir) ? data.host.list_dir(*dir) : Result<std::vector<std::string>>(std::vector<std::string>());
  if (!data.config && (!names.ok() || names->empty())) return {};
  if (Status cleaned = clean_dir(data.host, *dir); !cleaned.ok())
    data.host.warn("[reset] Failed to delete contents of the etcd directory: " + quote(*dir) + ", error: " + std::string(cleaned.message()));
  else
    data.host.print("[reset] Deleted contents of the etcd data directory: " + *dir + "\n");
  return {};
}

void stop_kubelet(ResetData& data) {
  auto services = find_init_system(data.host);
  if (!services) {
    data.host.warn("[reset] The kubelet service could not be stopped by kubeadm. Unable to detect a supported init system!");
    data.host.warn("[reset] Please ensure kubelet is stopped manually");
    return;
  }
  data.host.print(data.dry_run ? "[reset] Would stop the kubelet service\n" : "[reset] Stopping the kubelet service\n");
  if (data.dry_run) return;
  if (Status stopped = services->stop("kubelet"); !stopped.ok()) {
    data.host.warn("[reset] The kubelet service could not be stopped by kubeadm: [" + std::string(stopped.message()) + "]");
    data.host.warn("[reset] Please ensure kubelet is stopped manually");
  }
}

// Mounts below the kubelet's folder, the innermost first. A name with spaces stands as \040 in /proc/mounts.
Status unmount_below(Host& host, const std::string& dir) {
  TRY_ASSIGN(std::string mounts, host.read_file("/proc/mounts"));
  std::vector<std::string> found;
  for (const std::string& line : split(mounts, '\n')) {
    std::vector<std::string> fields = split_fields(line);
    if (fields.size() > 1 && fields[1].starts_with(dir + "/")) found.push_back(replace_all(fields[1], "\\040", " "));
  }
  std::sort(found.rbegin(), found.rend());
  Status last;
  for (const std::string& path : found)
    if (Status unmounted = host.unmount(path); !unmounted.ok()) {
      host.warn("[reset] Failed to unmount mounted directory in " + path + ": " + std::string(unmounted.message()));
      last = unmounted;
    }
  return last;
}

void remove_containers(ResetData& data) {
  if (data.host.look_path("crictl").empty())
    return data.host.warn("[reset] Failed to remove containers: crictl is required by the container runtime: exec: \"crictl\": executable file not found in $PATH");
  Runtime runtime(data.host, data.socket);
  auto pods = runtime.pods();
  Status removed = pods.ok() ? runtime.remove_pods(*pods) : pods.status();
  if (!removed.ok()) data.host.warn("[reset] Failed to remove containers: " + std::string(removed.message()));
}

void delete_files(ResetData& data, const std::vector<std::string>& dirs) {
  const char* verb = data.dry_run ? "[reset] Would delete " : "[reset] Deleting ";
  data.host.print(std::string(verb) + "contents of directories: " + bracketed(dirs) + "\n");
  std::vector<std::string> files;
  for (const char* name : {"admin.conf", "kubelet.conf", "bootstrap-kubelet.conf", "controller-manager.conf", "scheduler.conf"})
    files.push_back(std::string(kKubernetesDir) + "/" + name);
  for (const std::string& dir : dirs) {
    if (data.dry_run) break;
    if (Status cleaned = clean_dir(data.host, dir); !cleaned.ok())
      data.host.warn("[reset] Failed to delete contents of " + quote(dir) + " directory: " + std::string(cleaned.message()));
  }
  data.host.print(std::string(verb) + "files: " + bracketed(files) + "\n");
  for (const std::string& file : files) {
    if (data.dry_run) break;
    if (Status removed = data.host.remove_all(file); !removed.ok())
      data.host.warn("[reset] Failed to remove file: " + quote(file) + " [" + std::string(removed.message()) + "]");
  }
}

Status run_cleanup(ResetData& data) {
  std::vector<std::string> dirs = {kManifestsDir};
  stop_kubelet(data);
  if (data.dry_run) {
    data.host.print(std::string("[reset] Would unmount mounted directories in ") + quote(kKubeletDir) + "\n[reset] Would remove Kubernetes-managed containers\n");
  } else {
    data.host.print(std::string("[reset] Unmounting mounted directories in ") + quote(kKubeletDir) + "\n");
    if (!data.host.exists(kKubeletDir))
      data.host.warn(std::string("[reset] Failed to evaluate the ") + quote(kKubeletDir) + " directory. Skipping its unmount and cleanup: lstat " + kKubeletDir +
                     ": no such file or directory");
    else if (unmount_below(data.host, kKubeletDir).ok())
      dirs.emplace_back(kKubeletDir);
    remove_containers(data);
  }
  if (data.certificates_dir != kCertificatesDir)
    data.host.warn("[reset] WARNING: Cleaning a non-default certificates directory: " + quote(data.certificates_dir));
  dirs.push_back(data.certificates_dir);
  if (data.cleanup_tmp) dirs.push_back(std::string(kKubernetesDir) + "/tmp");
  delete_files(data, dirs);
  return {};
}

Workflow<ResetData> reset_workflow() {
  Phase<ResetData> preflight, etcd, cleanup;
  preflight.name = "preflight";
  preflight.aliases = {"pre-flight"};
  preflight.short_help = "Run reset pre-flight checks";
  preflight.long_help = "Run pre-flight checks for kubeadm reset.";
  preflight.flags = {"ignore-preflight-errors", "force", "dry-run"};
  preflight.run = run_preflight;
  etcd.name = "remove-etcd-member";
  etcd.short_help = "Remove a local etcd member.";
  etcd.long_help = "Remove a local etcd member for a control plane node.";
  etcd.flags = {"kubeconfig", "dry-run"};
  etcd.run = run_remove_etcd;
  cleanup.name = "cleanup-node";
  cleanup.aliases = {"cleanupnode"};
  cleanup.short_help = "Run cleanup node.";
  cleanup.flags = {"cert-dir", "cri-socket", "cleanup-tmp-dir", "dry-run"};
  cleanup.run = run_cleanup;
  Workflow<ResetData> workflow;
  workflow.phases.push_back(std::move(preflight));
  workflow.phases.push_back(std::move(etcd));
  workflow.phases.push_back(std::move(cleanup));
  return workflow;
}

struct ResetFlags {
  std::string certificates_dir = kCertificatesDir, config_file, socket, kubeconfig = kAdminConf;
  std::vector<std::string> ignored_checks, skipped_phases;
  bool force = false, dry_run = false, cleanup_tmp = false;
};

// ResetConfiguration, still experimental upstream (v1beta4): what it says, flags say louder.
Status read_reset_configuration(Host& host, const ResetFlags& flags, const Invocation& invocation, ResetData& data, std::vector<std::string>& ignored) {
  if (flags.config_file.empty()) return {};
  auto text = host.read_file(flags.config_file);
  if (!text.ok()) return text.status().with_context("unable to read config from " + quote(flags.config_file) + " ");
  TRY_ASSIGN(std::vector<Document> documents, split_documents(*text));
  for (const Document& document : documents) {
    if (document.kind != "ResetConfiguration") continue;
    const json::Value& value = document.value;
    if (!invocation.has("force")) data.force = value.at({"force"}).as_bool();
    if (!invocation.has("dry-run")) data.dry_run = value.at({"dryRun"}).as_bool();
    if (!invocation.has("cleanup-tmp-dir")) data.cleanup_tmp = value.at({"cleanupTmpDir"}).as_bool();
    if (!value.at({"certificatesDir"}).as_string().empty()) data.certificates_dir = value.at({"certificatesDir"}).as_string();
    if (!value.at({"criSocket"}).as_string().empty()) data.socket = value.at({"criSocket"}).as_string();
    for (const json::Value& name : value.at({"ignorePreflightErrors"}).items()) ignored.push_back(name.as_string());
    return {};
  }
  return Status::error("no ResetConfiguration found in the supplied config");
}

Status prepare(Host& host, const ResetFlags& flags, const Invocation& invocation, ResetData& data) {
  TRY(check_mixed_flags(invocation));
  data.force = flags.force;
  data.dry_run = flags.dry_run;
  data.cleanup_tmp = flags.cleanup_tmp;
  data.kubeconfig = flags.kubeconfig;
  std::vector<std::string> ignored;
  TRY(read_reset_configuration(host, flags, invocation, data, ignored));
  if (auto api = connect(flags.kubeconfig); api.ok()) {
    FetchOptions options{"reset"};
    auto config = fetch_configuration(host, **api, options);
    if (config.ok()) data.config = std::move(*config);
    else host.warn("[reset] Unable to fetch the kubeadm-config ConfigMap from cluster: " + std::string(config.status().message()));
  }
  TRY_ASSIGN(data.ignored_checks, ignored_checks(flags.ignored_checks, ignored));
  if (!flags.socket.empty()) data.socket = flags.socket;
  if (data.socket.empty() && data.config) data.socket = data.config->node.cri_socket;
  if (data.socket.empty()) {
    NodeRegistration node;
    TRY(set_node_defaults(host, node, false));
    data.socket = node.cri_socket;
  }
  if (invocation.has("cert-dir") || data.certificates_dir.empty()) data.certificates_dir = flags.certificates_dir;
  return {};
}

}  // namespace

void add_reset(Command& root, Host& host) {
  auto flags = std::make_shared<ResetFlags>();
  auto workflow = std::make_shared<Workflow<ResetData>>(reset_workflow());
  Command& command = root.add("reset", "Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'");
  command.flags.text(flags->certificates_dir, "cert-dir", "The path to the directory where the certificates are stored. If specified, clean this directory.");
  command.flags.on(flags->cleanup_tmp, "cleanup-tmp-dir", "Cleanup the \"/etc/kubernetes/tmp\" directory");
  command.flags.text(flags->config_file, "config", kConfigUsage);
  command.flags.text(flags->socket, "cri-socket", kCriSocketUsage);
  command.flags.on(flags->dry_run, "dry-run", kDryRunUsage);
  command.flags.on(flags->force, "force", "Reset the node without prompting for confirmation.", "f");
  command.flags.list(flags->ignored_checks, "ignore-preflight-errors", kIgnoreChecksUsage);
  command.flags.text(flags->kubeconfig, "kubeconfig", kKubeconfigUsage);
  Flags pool = command.flags;
  command.run = [flags, workflow, &host](const Invocation& invocation) -> Status {
    ResetData data(host);
    TRY(prepare(host, *flags, invocation, data));
    TRY(workflow->run(data, "", flags->skipped_phases));
    host.print("\nThe reset process does not clean CNI configuration. To do so, you must remove /etc/cni/net.d\n\n"
               "The reset process does not reset or clean up iptables rules or IPVS tables.\nIf you wish to reset iptables, you must do so manually by using the \"iptables\" command.\n\n"
               "If your cluster was setup to utilize IPVS, run ipvsadm --clear (or similar)\nto reset your system's IPVS tables.\n\n"
               "The reset process does not clean your kubeconfig files and you must remove them manually.\nPlease, check the contents of the $HOME/.kube/config file.\n");
    return {};
  };
  workflow->bind(command, pool, [flags, workflow, &host](const std::string& path, const Invocation& invocation) -> Status {
    ResetData data(host);
    TRY(prepare(host, *flags, invocation, data));
    return workflow->run(data, path, {});
  });
  command.flags.list(flags->skipped_phases, "skip-phases", "List of phases to be skipped");
}

}  // namespace knarr::kubeadm
