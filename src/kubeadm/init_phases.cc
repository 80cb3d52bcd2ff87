// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/init_phases.h"

#include "base/files.h"
#include "kubeadm/addons.h"
#include "kubeadm/certs.h"
#include "kubeadm/cluster_objects.h"
#include "kubeadm/init_system.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/manifests.h"
#include "kubeadm/node_files.h"
#include "kubeadm/preflight.h"
#include "kubeadm/tokens.h"
#include "kubeadm/wait.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

using InitPhase = Phase<InitData>;

// ---- preflight ---------------------------------------------------------------------------------------------------------------

Status run_preflight(InitData& data) {
  data.host.print("[preflight] Running pre-flight checks\n");
  TRY(run_checks(data.host, {root_check()}, data.ignored_checks));
  TRY(run_checks(data.host, init_checks(data.host, data.config, false), data.ignored_checks));
  if (data.dry_run) {
    data.host.print("[preflight] Would pull the required images (like 'kubeadm config images pull')\n");
    return {};
  }
  data.host.print(
      "[preflight] Pulling images required for setting up a Kubernetes cluster\n"
      "[preflight] This might take a minute or two, depending on the speed of your internet connection\n"
      "[preflight] You can also perform this action in beforehand using 'kubeadm config images pull'\n");
  return run_checks(data.host, {image_check(data.config)}, data.ignored_checks);
}

// ---- certs, kubeconfig -------------------------------------------------------------------------------------------------------

InitPhase all_of(const char* help, std::vector<std::string> flags) {
  InitPhase phase;
  phase.name = "all";
  phase.short_help = help;
  phase.all_siblings = true;
  phase.flags = std::move(flags);
  return phase;
}

std::vector<std::string> cert_flags(std::string_view name) {
  std::vector<std::string> flags = {"cert-dir", "config", "kubernetes-version", "dry-run"};
  if (name == "all" || name == "apiserver")
    for (const char* more : {"apiserver-advertise-address", "control-plane-endpoint", "apiserver-cert-extra-sans", "service-dns-domain", "service-cidr"})
      flags.emplace_back(more);
  return flags;
}

constexpr char kKeptFiles[] =
    "If both files already exist, kubeadm skips the generation step and existing files will be used.\n\nAlpha Disclaimer: this command is currently alpha.";

std::string default_names(const CertRecord& record) {
  switch (record.names) {
    case NamesFor::kApiServer: return "\n\nDefault SANs are kubernetes, kubernetes.default, kubernetes.default.svc, kubernetes.default.svc.cluster.local, 10.96.0.1, 127.0.0.1";
    case NamesFor::kEtcdServer:
    case NamesFor::kEtcdPeer: return "\n\nDefault SANs are localhost, 127.0.0.1, ::1";
    case NamesFor::kNone: break;
  }
  return "";
}

InitPhase certs_phase() {
  InitPhase phase;
  phase.name = "certs";
  phase.short_help = "Certificate generation";
  phase.long_help = kNotOnItsOwn;
  phase.run = [](InitData& data) {
    data.host.print("[certs] Using certificateDir folder " + quote(data.certificates_dir()) + "\n");
    return Status();
  };
  phase.children.push_back(all_of("Generate all certificates", cert_flags("all")));
  for (const CertRecord& record : cert_records()) {
    InitPhase child;
    child.name = record.name;
    child.short_help = std::string("Generate the ") + record.long_name;
    std::string base = record.base_name;
    child.long_help = child.short_help + ", and save them into " + base + ".crt and " + base + ".key files." + default_names(record) + "\n\n" + kKeptFiles;
    child.flags = cert_flags(record.name);
    child.run = [&record](InitData& data) {
      return ensure_cert(data.host, record, data.config, data.certificates_dir(), data.config.cluster.certificates_dir, &data.keys);
    };
    phase.children.push_back(std::move(child));
  }
  InitPhase sa;
  sa.name = "sa";
  sa.short_help = "Generate a private key for signing service account tokens along with its public key";
  sa.long_help = std::string("Generate the private key for signing service account tokens along with its public key, and save them into\nsa.key and sa.pub files.\n\n") + kKeptFiles;
  sa.flags = {"cert-dir"};
  sa.run = [](InitData& data) {
    if (!data.external_ca) return ensure_service_account_keys(data.host, data.config.cluster, data.certificates_dir(), &data.keys);
    data.host.print("[certs] Using existing sa keys\n");
    return Status();
  };
  phase.children.push_back(std::move(sa));
  return phase;
}

std::vector<std::string> kubeconfig_flags(std::string_view name) {
  std::vector<std::string> flags = {"apiserver-advertise-address", "control-plane-endpoint", "apiserver-bind-port", "cert-dir",
                                    "config", "kubeconfig-dir", "kubernetes-version", "dry-run"};
  if (name == "all" || name == "kubelet") flags.emplace_back("node-name");
  return flags;
}

InitPhase kubeconfig_phase() {
  InitPhase phase;
  phase.name = "kubeconfig";
  phase.short_help = "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file";
  phase.long_help = kNotOnItsOwn;
  phase.run = [](InitData& data) {
    data.host.print("[kubeconfig] Using kubeconfig folder " + quote(data.conf_dir()) + "\n");
    return Status();
  };
  phase.children.push_back(all_of("Generate all kubeconfig files", kubeconfig_flags("all")));
  for (const KubeconfigRecord& record : kubeconfig_records()) {
    InitPhase child;
    child.name = record.name;
    child.short_help = record.short_help;
    child.long_help = record.long_help;
    child.flags = kubeconfig_flags(record.name);
    child.run = [&record](InitData& data) {
      if (!data.external_ca) return ensure_kubeconfig(data.host, record, data.config, data.certificates_dir(), data.conf_dir(), &data.keys);
      data.host.print(std::string("[kubeconfig] External CA mode: Using user provided ") + record.file + "\n");
      return Status();
    };
    phase.children.push_back(std::move(child));
  }
  return phase;
}

// ---- etcd, control plane, kubelet --------------------------------------------------------------------------------------------

Status run_etcd_local(InitData& data) {
  const ClusterConfiguration& cluster = data.config.cluster;
  if (cluster.external_etcd) return {};
  if (data.dry_run) data.host.print("[etcd] Would ensure that " + quote(cluster.local_etcd->data_dir) + " directory is present\n");
  else TRY(data.host.make_dirs(cluster.local_etcd->data_dir, 0700).with_context("failed to create etcd directory " + quote(cluster.local_etcd->data_dir)));
  data.host.print("[etcd] Creating static Pod manifest for local etcd in " + quote(data.manifests_dir()) + "\n");
  return write_manifest(data.host, data.manifests_dir(), "etcd", etcd_pod(cluster, data.config.local_endpoint, data.config.node.name, {}), data.config.patches_directory)
      .with_context("error creating local etcd static pod manifest file");
}

InitPhase etcd_phase() {
  InitPhase local;
  local.name = "local";
  local.short_help = "Generate the static Pod manifest file for a local, single-node local etcd instance";
  local.example =
      "  # Generates the static Pod manifest file for etcd, functionally\n  # equivalent to what is generated by kubeadm init.\n  kubeadm init phase etcd local\n  \n"
      "  # Generates the static Pod manifest file for etcd using options\n  # read from a configuration file.\n  kubeadm init phase etcd local --config config.yaml";
  local.flags = {"cert-dir", "config", "image-repository", "patches", "dry-run"};
  local.run = run_etcd_local;
  InitPhase phase;
  phase.name = "etcd";
  phase.short_help = "Generate static Pod manifest file for local etcd";
  phase.long_help = kNotOnItsOwn;
  phase.children.push_back(std::move(local));
  return phase;
}

std::vector<std::string> control_plane_flags(std::string_view name) {
  std::vector<std::string> flags = {"cert-dir", "config", "kubernetes-version", "image-repository", "patches", "dry-run"};
  if (name == "all" || name == "apiserver")
    for (const char* more : {"apiserver-extra-args", "apiserver-advertise-address", "control-plane-endpoint", "apiserver-bind-port", "feature-gates", "service-cidr"})
      flags.emplace_back(more);
  if (name == "all" || name == "controller-manager") {
    flags.emplace_back("controller-manager-extra-args");
    flags.emplace_back("pod-network-cidr");
  }
  if (name == "all" || name == "scheduler") flags.emplace_back("scheduler-extra-args");
  return flags;
}

InitPhase control_plane_phase() {
  InitPhase phase;
  phase.name = "control-plane";
  phase.short_help = "Generate all static Pod manifest files necessary to establish the control plane";
  phase.long_help = kNotOnItsOwn;
  phase.run = [](InitData& data) {
    data.host.print("[control-plane] Using manifest folder " + quote(data.manifests_dir()) + "\n");
    return Status();
  };
  phase.children.push_back(all_of("Generate all static Pod manifest files", control_plane_flags("all")));
  phase.children.back().example =
      "  # Generates all static Pod manifest files for control plane components,\n  # functionally equivalent to what is generated by kubeadm init.\n"
      "  kubeadm init phase control-plane all\n  \n  # Generates all static Pod manifest files using options read from a configuration file.\n"
      "  kubeadm init phase control-plane all --config config.yaml";
  for (const char* name : {"apiserver", "controller-manager", "scheduler"}) {
    InitPhase child;
    std::string component = std::string("kube-") + name;
    child.name = name;
    child.short_help = "Generates the " + component + " static Pod manifest";
    child.flags = control_plane_flags(name);
    child.run = [component](InitData& data) {
      data.host.print("[control-plane] Creating static Pod manifest for " + quote(component) + "\n");
      // Upstream notes the modes in the configuration that is stored later.
      StringMap& args = data.config.cluster.api_server.extra_args;
      args["authorization-mode"] = authorization_modes(args);
      return write_manifest(data.host, data.manifests_dir(), component, component_pod(data.host, component, data.config.cluster, data.config.local_endpoint),
                            data.config.patches_directory);
    };
    phase.children.push_back(std::move(child));
  }
  return phase;
}

Status run_kubelet_start(InitData& data) {
  if (!data.dry_run) try_stop_kubelet(data.host);
  TRY(write_kubelet_flags(data.host, data.kubelet_dir(), data.config.node, pause_image(data.config.cluster), false)
          .with_context("error writing a dynamic environment file for the kubelet"));
  TRY(write_kubelet_config(data.host, data.kubelet_dir(), data.config.cluster.kubelet.document, data.config.patches_directory)
          .with_context("error writing kubelet configuration to disk"));
  if (data.dry_run) return {};
  data.host.print("[kubelet-start] Starting the kubelet\n");
  try_start_kubelet(data.host);
  return {};
}

std::string failed_start_text(const std::string& why, const std::string& socket) {
  return "\nUnfortunately, an error has occurred:\n\t" + why +
         "\n\nThis error is likely caused by:\n\t- The kubelet is not running\n"
         "\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)\n\n"
         "If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:\n"
         "\t- 'systemctl status kubelet'\n\t- 'journalctl -xeu kubelet'\n\n"
         "Additionally, a control plane component may have crashed or exited when started by the container runtime.\n"
         "To troubleshoot, list all containers using your preferred container runtimes CLI.\n"
         "Here is one example how you may list all running Kubernetes containers by using crictl:\n"
         "\t- 'crictl --runtime-endpoint " + socket + " ps -a | grep kube | grep -v pause'\n"
         "\tOnce you have found the failing container, you can inspect its logs with:\n"
         "\t- 'crictl --runtime-endpoint " + socket + " logs CONTAINERID'\n";
}

Status run_wait(InitData& data) {
  Duration limit = data.config.cluster.timeout_for_control_plane.value_or(std::chrono::minutes(4));
  if (data.dry_run) TRY(print_dry_run_files(data.host, data.dry_run_dir));
  data.host.print("[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory " + quote(data.manifests_dir()) +
                  ". This can take up to " + format_duration(limit) + "\n");
  if (data.dry_run) return {};
  TRY_ASSIGN(Api* api, data.api());
  Status waited = wait_for_api_server(data.host, *api, limit);
  if (waited.ok()) return {};
  data.host.print(failed_start_text(std::string(waited.message()), data.config.node.cri_socket));
  return Status::error("couldn't initialize a Kubernetes cluster");
}

// ---- the cluster's objects ---------------------------------------------------------------------------------------------------

Status run_upload_kubeadm(InitData& data) {
  TRY_ASSIGN(Api* api, data.api());
  return upload_cluster_configuration(data.host, *api, data.config.cluster).with_context("error uploading the kubeadm ClusterConfiguration");
}

Status run_upload_kubelet(InitData& data) {
  TRY_ASSIGN(Api* api, data.api());
  TRY(upload_kubelet_configuration(data.host, *api, data.config.cluster, data.config.patches_directory).with_context("error creating kubelet configuration ConfigMap"));
  return annotate_cri_socket(data.host, *api, data.config.node.name, data.config.node.cri_socket)
      .with_context("Error writing Crisocket information for the control-plane node");
}

InitPhase upload_config_phase() {
  const std::vector<std::string> flags = {"config", "cri-socket", "kubeconfig", "dry-run"};
  InitPhase kubeadm, kubelet, phase;
  kubeadm.name = "kubeadm";
  kubeadm.short_help = "Upload the kubeadm ClusterConfiguration to a ConfigMap";
  kubeadm.long_help =
      "Upload the kubeadm ClusterConfiguration to a ConfigMap called kubeadm-config in the kube-system namespace. This enables correct configuration of system "
      "components and a seamless user experience when upgrading.\n\nAlternatively, you can use kubeadm config.";
  kubeadm.example = "  # upload the configuration of your cluster\n  kubeadm init phase upload-config --config=myConfig.yaml";
  kubeadm.flags = flags;
  kubeadm.run = run_upload_kubeadm;
  kubelet.name = "kubelet";
  kubelet.short_help = "Upload the kubelet component config to a ConfigMap";
  kubelet.long_help = "Upload the kubelet configuration extracted from the kubeadm InitConfiguration object to a kubelet-config ConfigMap in the cluster";
  kubelet.example =
      "  # Upload the kubelet configuration from the kubeadm Config file to a ConfigMap in the cluster.\n  kubeadm init phase upload-config kubelet --config kubeadm.yaml";
  kubelet.flags = flags;
  kubelet.run = run_upload_kubelet;
  phase.name = "upload-config";
  phase.aliases = {"uploadconfig"};
  phase.short_help = "Upload the kubeadm and kubelet configuration to a ConfigMap";
  phase.long_help = kNotOnItsOwn;
  phase.children.push_back(all_of("Upload all configuration to a config map", flags));
  phase.children.push_back(std::move(kubeadm));
  phase.children.push_back(std::move(kubelet));
  return phase;
}

Status run_upload_certs(InitData& data) {
  if (!data.upload_certs) {
    data.host.print("[upload-certs] Skipping phase. Please see --upload-certs\n");
    return {};
  }
  TRY_ASSIGN(Api* api, data.api());
  if (data.config.certificate_key.empty()) {
    TRY_ASSIGN(data.config.certificate_key, generate_certificate_key());
  }
  TRY(upload_certificates(data.host, *api, data.config, data.certificates_dir(), data.config.certificate_key).with_context("error uploading certs"));
  if (!data.skip_certificate_key_print) data.host.print("[upload-certs] Using certificate key:\n" + data.config.certificate_key + "\n");
  return {};
}

Status run_mark(InitData& data) {
  TRY_ASSIGN(Api* api, data.api());
  return mark_control_plane(data.host, *api, data.config.node.name, data.config.node.taints.value_or(std::vector<Taint>()));
}

Status run_bootstrap_token(InitData& data) {
  TRY_ASSIGN(Api* api, data.api());
  std::vector<std::string> tokens;
  for (const BootstrapToken& token : data.config.bootstrap_tokens) tokens.push_back(token.token);
  if (!data.skip_token_print && tokens.size() == 1) data.host.print("[bootstrap-token] Using token: " + tokens[0] + "\n");
  if (!data.skip_token_print && tokens.size() > 1) data.host.print("[bootstrap-token] Using tokens: " + bracketed(tokens) + "\n");
  data.host.print("[bootstrap-token] Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles\n");
  TRY(store_tokens(data.host, *api, data.config.bootstrap_tokens, false).with_context("error updating or creating token"));
  TRY(allow_nodes_to_join(data.host, *api));
  return publish_cluster_info(data.host, *api, data.admin_conf());
}

// The kubelet has asked for a certificate of its own by now; from here on kubelet.conf points to the file that it rotates.
Status run_finalize(InitData& data) {
  auto dir = data.config.node.kubelet_extra_args.find("cert-dir");
  std::string pem = (dir == data.config.node.kubelet_extra_args.end() ? data.kubelet_dir() + "/pki" : dir->second) + "/kubelet-client-current.pem";
  if (!data.host.exists(pem)) return {};
  data.host.print("[kubelet-finalize] Updating " + quote(kKubeletConf) + " to point to a rotatable kubelet client certificate and key\n");
  if (data.dry_run) return {};
  auto access = client::load_kubeconfig(kKubeletConf);
  if (!access.ok()) return access.status().with_context("could not load " + quote(kKubeletConf));
  access->client_cert_pem.clear();
  access->client_key_pem.clear();
  access->client_cert_file = access->client_key_file = pem;
  TRY(data.host.write_file(kKubeletConf, client::write_kubeconfig(*access, data.config.cluster.cluster_name, "system:node:" + data.config.node.name), 0600)
          .with_context("failed to serialize " + quote(kKubeletConf)));
  try_restart_kubelet(data.host);
  return {};
}

InitPhase finalize_phase() {
  const std::vector<std::string> flags = {"config", "cert-dir", "dry-run"};
  InitPhase rotation, phase;
  rotation.name = "experimental-cert-rotation";
  rotation.short_help = "Enable kubelet client certificate rotation";
  rotation.flags = flags;
  rotation.run = run_finalize;
  phase.name = "kubelet-finalize";
  phase.short_help = "Updates settings relevant to the kubelet after TLS bootstrap";
  phase.example = "  # Updates settings relevant to the kubelet after TLS bootstrap\"\n  kubeadm init phase kubelet-finalize all --config";
  phase.children.push_back(all_of("Run all kubelet-finalize phases", flags));
  phase.children.back().example = phase.example;
  phase.children.push_back(std::move(rotation));
  return phase;
}

// ---- addons, closing text ----------------------------------------------------------------------------------------------------

std::string manifests_text(const std::vector<json::Value>& objects) {
  std::string text;
  for (const json::Value& object : objects) text += "---\n" + to_yaml(object);
  return text;
}

Status run_dns(InitData& data) {
  if (data.print_manifest) {
    TRY_ASSIGN(std::vector<json::Value> objects, dns_objects(data.config.cluster, 2));
    data.host.print(manifests_text(objects));
    return {};
  }
  TRY_ASSIGN(Api* api, data.api());
  return apply_dns(data.host, *api, data.config.cluster);
}

Status run_proxy(InitData& data) {
  if (data.print_manifest) {
    data.host.print(manifests_text(proxy_objects(data.host, data.config.cluster, data.config.local_endpoint)));
    return {};
  }
  TRY_ASSIGN(Api* api, data.api());
  return apply_proxy(data.host, *api, data.config.cluster, data.config.local_endpoint);
}

InitPhase addon_phase() {
  const std::vector<std::string> common = {"config", "kubeconfig", "kubernetes-version", "image-repository", "dry-run", "print-manifest"};
  const std::vector<std::string> for_proxy = {"apiserver-advertise-address", "control-plane-endpoint", "apiserver-bind-port", "pod-network-cidr"};
  const std::vector<std::string> for_dns = {"feature-gates", "service-dns-domain", "service-cidr"};
  auto with = [&](std::initializer_list<const std::vector<std::string>*> more) {
    std::vector<std::string> flags = common;
    for (const auto* list : more) flags.insert(flags.end(), list->begin(), list->end());
    return flags;
  };
  InitPhase dns, proxy, phase;
  dns.name = "coredns";
  dns.short_help = "Install the CoreDNS addon to a Kubernetes cluster";
  dns.long_help = "Install the CoreDNS addon components via the API server. Please note that although the DNS server is deployed, it will not be scheduled until CNI is installed.";
  dns.flags = with({&for_dns});
  dns.run = run_dns;
  proxy.name = "kube-proxy";
  proxy.short_help = "Install the kube-proxy addon to a Kubernetes cluster";
  proxy.long_help = "Install the kube-proxy addon components via the API server.";
  proxy.flags = with({&for_proxy});
  proxy.run = run_proxy;
  phase.name = "addon";
  phase.short_help = "Install required addons for passing conformance tests";
  phase.long_help = kNotOnItsOwn;
  phase.children.push_back(all_of("Install all the addons", with({&for_proxy, &for_dns})));
  std::erase(phase.children.back().flags, "print-manifest");
  phase.children.push_back(std::move(dns));
  phase.children.push_back(std::move(proxy));
  return phase;
}

Status run_show_join(InitData& data) {
  for (const BootstrapToken& token : data.config.bootstrap_tokens) {
    JoinCommandOptions options{data.admin_conf(), token.token, data.config.certificate_key};
    options.hide_token = data.skip_token_print;
    options.hide_key = data.skip_certificate_key_print;
    auto worker = join_command(options);
    if (!worker.ok()) return worker.status().with_context("failed to print join command");
    std::string text = "\nYour Kubernetes control-plane has initialized successfully!\n\nTo start using your cluster, you need to run the following as a regular user:\n\n"
                       "  mkdir -p $HOME/.kube\n  sudo cp -i " + data.admin_conf() + " $HOME/.kube/config\n  sudo chown $(id -u):$(id -g) $HOME/.kube/config\n\n"
                       "Alternatively, if you are the root user, you can run:\n\n  export KUBECONFIG=/etc/kubernetes/admin.conf\n\n"
                       "You should now deploy a pod network to the cluster.\nRun \"kubectl apply -f [podnetwork].yaml\" with one of the options listed at:\n"
                       "  https://kubernetes.io/docs/concepts/cluster-administration/addons/\n\n";
    if (!data.config.cluster.control_plane_endpoint.empty()) {
      options.control_plane = true;
      auto plane = join_command(options);
      if (!plane.ok()) return plane.status().with_context("failed to print join command");
      if (data.upload_certs)
        text += "You can now join any number of the control-plane node running the following command on each as root:\n\n  " + *plane +
                "\n\nPlease note that the certificate-key gives access to cluster sensitive data, keep it secret!\n"
                "As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use\n"
                "\"kubeadm init phase upload-certs --upload-certs\" to reload certs afterward.\n\n";
      else
        text += "You can now join any number of control-plane nodes by copying certificate authorities\n"
                "and service account keys on each node and then running the following as root:\n\n  " + *plane + "\n\n";
    }
    data.host.print(text + "Then you can join any number of worker nodes by running the following on each as root:\n\n" + *worker + "\n");
  }
  return {};
}

InitPhase simple(const char* name, const char* help, Status (*run)(InitData&), std::vector<std::string> flags) {
  InitPhase phase;
  phase.name = name;
  phase.short_help = help;
  phase.run = run;
  phase.flags = std::move(flags);
  return phase;
}

}  // namespace

Result<Api*> InitData::api() {
  if (!api_) {
    if (dry_run) {
      api_ = make_dry_run_api(host, config);
    } else {
      TRY_ASSIGN(api_, connect(admin_conf()));
    }
  }
  return api_.get();
}

Workflow<InitData> init_workflow() {
  Workflow<InitData> workflow;
  auto add = [&workflow](InitPhase phase) { workflow.phases.push_back(std::move(phase)); };
  InitPhase preflight = simple("preflight", "Run pre-flight checks", run_preflight, {"config", "cri-socket", "image-repository", "ignore-preflight-errors", "dry-run"});
  preflight.long_help = "Run pre-flight checks for kubeadm init.";
  preflight.example = "  # Run pre-flight checks for kubeadm init using a config file.\n  kubeadm init phase preflight --config kubeadm-config.yaml";
  add(std::move(preflight));
  add(certs_phase());
  add(kubeconfig_phase());
  add(etcd_phase());
  add(control_plane_phase());
  InitPhase kubelet = simple("kubelet-start", "Write kubelet settings and (re)start the kubelet", run_kubelet_start,
                             {"config", "image-repository", "cri-socket", "node-name", "patches", "dry-run"});
  kubelet.long_help = "Write a file with KubeletConfiguration and an environment file with node specific kubelet settings, and then (re)start kubelet.";
  kubelet.example = "  # Writes a dynamic environment file with kubelet flags from a InitConfiguration file.\n  kubeadm init phase kubelet-start --config config.yaml";
  add(std::move(kubelet));
  InitPhase wait = simple("wait-control-plane", "", run_wait, {});
  wait.hidden = true;
  add(std::move(wait));
  add(upload_config_phase());
  InitPhase certs = simple("upload-certs", "Upload certificates to kubeadm-certs", run_upload_certs,
                           {"config", "kubeconfig", "upload-certs", "certificate-key", "skip-certificate-key-print", "dry-run"});
  certs.long_help = "Upload control plane certificates to the kubeadm-certs Secret";
  add(std::move(certs));
  InitPhase mark = simple("mark-control-plane", "Mark a node as a control-plane", run_mark, {"node-name", "config", "dry-run"});
  mark.example =
      "  # Applies control-plane label and taint to the current node, functionally equivalent to what executed by kubeadm init.\n"
      "  kubeadm init phase mark-control-plane --config config.yaml\n  \n  # Applies control-plane label and taint to a specific node\n"
      "  kubeadm init phase mark-control-plane --node-name myNode";
  add(std::move(mark));
  InitPhase token = simple("bootstrap-token", "Generates bootstrap tokens used to join a node to a cluster", run_bootstrap_token,
                           {"config", "kubeconfig", "skip-token-print", "dry-run"});
  token.aliases = {"bootstraptoken"};
  token.long_help =
      "Bootstrap tokens are used for establishing bidirectional trust between a node joining the cluster and a control-plane node.\n\n"
      "This command makes all the configurations required to make bootstrap tokens works and then creates an initial token.";
  token.example =
      "  # Make all the bootstrap token configurations and create an initial token, functionally\n  # equivalent to what generated by kubeadm init.\n  kubeadm init phase bootstrap-token";
  add(std::move(token));
  add(finalize_phase());
  add(addon_phase());
  InitPhase show = simple("show-join-command", "Show the join command for control-plane and worker node", run_show_join, {});
  show.dependencies = {"bootstrap-token", "upload-certs"};
  add(std::move(show));
  return workflow;
}

}  // namespace knarr::kubeadm
