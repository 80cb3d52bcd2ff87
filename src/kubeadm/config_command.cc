// SPDX-License-Identifier: Apache-2.0
// `kubeadm config`: defaults, images, migration and validation of configuration files.
#include "base/version.h"
#include "kubeadm/component_configs.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/phases.h"
#include "kubeadm/preflight.h"
#include "kubeadm/runtime.h"

namespace knarr::kubeadm {
namespace {

struct ConfigFlags {
  std::string kubeconfig, config_file, old_config, new_config, repository = kDefaultRepository, version = "stable-1", feature_gates, socket, output = "text";
  std::vector<std::string> component_configs;
  bool experimental = false;
};

Status print_init_defaults(Host& host, const ConfigFlags& flags) {
  InitConfiguration config = static_init_configuration(host);
  config.node.taints.reset();
  std::string text = init_configuration_yaml(config);
  for (const std::string& kind : flags.component_configs) {
    if (kind == "KubeletConfiguration") text += "---\n" + to_yaml(config.cluster.kubelet.document);
    else if (kind == "KubeProxyConfiguration") text += "---\n" + to_yaml(config.cluster.proxy.document);
    else return Status::error("unknown component config " + quote(kind) + ": available are KubeProxyConfiguration, KubeletConfiguration");
  }
  host.print(text);
  return {};
}

Status print_join_defaults(Host& host) {
  JoinConfiguration config;
  Discovery::Token& token = config.discovery.bootstrap_token.emplace();
  token.token = "abcdef.0123456789abcdef";
  token.api_server_endpoint = "kube-apiserver:6443";
  token.unsafe_skip_ca_verification = true;
  config.node.cri_socket = kDefaultSocket;
  set_defaults(config);
  TRY(set_dynamic_defaults(host, config));
  host.print(to_yaml(encode(config)));
  return {};
}

Status print_reset_defaults(Host& host) {
  json::Value object = json::Value::object();
  object["apiVersion"] = "kubeadm.k8s.io/v1beta4";
  object["certificatesDir"] = kCertificatesDir;
  object["criSocket"] = kDefaultSocket;
  object["kind"] = "ResetConfiguration";
  host.print(to_yaml(object));
  return {};
}

Result<InitConfiguration> image_configuration(Host& host, const ConfigFlags& flags, const std::string& socket) {
  if (!flags.config_file.empty()) {
    auto text = host.read_file(flags.config_file);
    if (!text.ok()) return text.status().with_context("unable to read config from " + quote(flags.config_file) + " ");
    return load_init_configuration(host, *text, false);
  }
  InitConfiguration config;
  config.node.cri_socket = socket;
  config.cluster.image_repository = flags.repository;
  config.cluster.kubernetes_version = flags.version;
  TRY_ASSIGN(config.cluster.feature_gates, parse_feature_gates(flags.feature_gates));
  set_defaults(config);
  set_defaults(config.cluster);
  TRY(set_dynamic_defaults(host, config));
  TRY(aggregate(validate(config)));
  return config;
}

Status list_images(Host& host, const ConfigFlags& flags) {
  TRY_ASSIGN(InitConfiguration config, image_configuration(host, flags, kUnknownSocket));
  std::vector<std::string> images = control_plane_images(config.cluster);
  if (flags.output == "text") {
    host.print(join(images, "\n") + "\n");
    return {};
  }
  json::Value object = json::Value::object();
  object["kind"] = "Images";
  object["apiVersion"] = "output.kubeadm.k8s.io/v1alpha2";
  for (const std::string& image : images) object["images"].push_back(image);
  host.print(flags.output == "yaml" ? to_yaml(object) : json::to_pretty(object, 4) + "\n");
  return {};
}

Status pull_images(Host& host, const ConfigFlags& flags) {
  TRY_ASSIGN(InitConfiguration config, image_configuration(host, flags, flags.socket));
  if (host.look_path("crictl").empty()) return Status::error("crictl is required by the container runtime: exec: \"crictl\": executable file not found in $PATH");
  for (const std::string& image : control_plane_images(config.cluster)) {
    Runtime runtime(host, config.node.cri_socket);
    TRY(runtime.pull(image).with_context("failed to pull image " + quote(image)));
    host.print("[config/images] Pulled " + image + "\n");
  }
  return {};
}

Status migrate(Host& host, const ConfigFlags& flags) {
  if (flags.old_config.empty()) return Status::error("the --old-config flag is mandatory");
  TRY_ASSIGN(std::string text, host.read_file(flags.old_config));
  TRY_ASSIGN(std::string migrated, migrate_documents(host, text));
  if (flags.new_config.empty()) {
    host.print(migrated);
    return {};
  }
  return host.write_file(flags.new_config, migrated, 0644).with_context("failed to write the new configuration to the file " + quote(flags.new_config));
}

Status validate_file(Host& host, const ConfigFlags& flags) {
  if (flags.config_file.empty()) return Status::error("the --config flag is mandatory");
  TRY_ASSIGN(std::string text, host.read_file(flags.config_file));
  TRY(validate_documents(host, text));
  host.print("ok\n");
  return {};
}

constexpr char kLongHelp[] = R"(
There is a ConfigMap in the kube-system namespace called "kubeadm-config" that kubeadm uses to store internal configuration about the
cluster. kubeadm CLI v1.8.0+ automatically creates this ConfigMap with the config used with 'kubeadm init', but if you
initialized your cluster using kubeadm v1.7.x or lower, you must use the 'config upload' command to create this
ConfigMap. This is required so that 'kubeadm upgrade' can configure your upgraded cluster correctly.
)";

void add_print(Command& group, Host& host, const std::shared_ptr<ConfigFlags>& flags) {
  Command& print = group.add("print", "Print configuration");
  print.long_help = "\nThis command prints configurations for subcommands provided.\nFor details, see: https://pkg.go.dev/k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm#section-directories";
  print.help_fails = true;
  Command& init = print.add("init-defaults", "Print default init configuration, that can be used for 'kubeadm init'");
  init.flags.list(flags->component_configs, "component-configs",
                  "A comma-separated list for component config API objects to print the default values for. Available values: [KubeProxyConfiguration KubeletConfiguration]. "
                  "If this flag is not set, no component configs will be printed.");
  init.run = [flags, &host](const Invocation&) { return print_init_defaults(host, *flags); };
  Command& join_defaults = print.add("join-defaults", "Print default join configuration, that can be used for 'kubeadm join'");
  join_defaults.run = [&host](const Invocation&) { return print_join_defaults(host); };
  Command& reset = print.add("reset-defaults", "Print default reset configuration, that can be used for 'kubeadm reset'");
  reset.run = [&host](const Invocation&) { return print_reset_defaults(host); };
}

void add_images(Command& group, Host& host, const std::shared_ptr<ConfigFlags>& flags) {
  Command& images = group.add("images", "Interact with container images used by kubeadm");
  images.help_fails = true;
  auto common = [&](Command& command) {
    command.flags.text(flags->config_file, "config", kConfigUsage);
    command.flags.text(flags->feature_gates, "feature-gates", kFeatureGatesUsage);
    command.flags.text(flags->repository, "image-repository", "Choose a container registry to pull control plane images from");
    command.flags.text(flags->version, "kubernetes-version", "Choose a specific Kubernetes version for the control plane.");
  };
  Command& list = images.add("list", "Print a list of images kubeadm will use. The configuration file is used in case any images or image repositories are customized");
  common(list);
  list.flags.text(flags->output, "experimental-output", "Output format. One of: text|json|yaml.", "o");
  list.run = [flags, &host](const Invocation&) { return list_images(host, *flags); };
  Command& pull = images.add("pull", "Pull images used by kubeadm");
  common(pull);
  pull.flags.text(flags->socket, "cri-socket", kCriSocketUsage);
  pull.run = [flags, &host](const Invocation&) { return pull_images(host, *flags); };
}

}  // namespace

void add_config(Command& root, Host& host) {
  auto flags = std::make_shared<ConfigFlags>();
  Command& group = root.add("config", "Manage configuration for a kubeadm cluster persisted in a ConfigMap in the cluster");
  group.long_help = kLongHelp;
  group.help_fails = true;
  group.inherited.text(flags->kubeconfig, "kubeconfig", kKubeconfigUsage);
  group.inherited.show_default("kubeconfig", quote(kAdminConf));
  add_print(group, host, flags);
  add_images(group, host, flags);
  constexpr char kExperimental[] = "Allow migration to experimental, unreleased APIs.";
  Command& migrate_command =
      group.add("migrate", "Read an older version of the kubeadm configuration API types from a file, and output the similar config object for the newer version");
  migrate_command.flags.on(flags->experimental, "allow-experimental-api", kExperimental);
  migrate_command.flags.text(flags->new_config, "new-config", "Path to the resulting equivalent kubeadm config file using the new API version. Optional, if not specified output will be sent to STDOUT.");
  migrate_command.flags.text(flags->old_config, "old-config", "Path to the kubeadm config file that is using an old API version and should be converted. This flag is mandatory.");
  migrate_command.run = [flags, &host](const Invocation&) { return migrate(host, *flags); };
  Command& validate_command = group.add("validate", "Read a file containing the kubeadm configuration API and report any validation problems");
  validate_command.flags.on(flags->experimental, "allow-experimental-api", "Allow validation of experimental, unreleased APIs.");
  validate_command.flags.text(flags->config_file, "config", kConfigUsage);
  validate_command.run = [flags, &host](const Invocation&) { return validate_file(host, *flags); };
}

}  // namespace knarr::kubeadm
