// SPDX-License-Identifier: Apache-2.0
// `kubeadm version` and `kubeadm kubeconfig user`.
#include "base/version.h"
#include "kubeadm/certs.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "kubeadm/kubeadm.h"
#include "kubeadm/kubeconfigs.h"

namespace knarr::kubeadm {
namespace {

// What upstream's `version.Info` holds; there is no Go here, the compiler is g++.
json::Value version_info() {
  json::Value info = json::Value::object();
  info["buildDate"] = "1970-01-01T00:00:00Z";
  info["compiler"] = "g++";
  info["gitCommit"] = std::string("knarr-") + kKnarrVersion;
  info["gitTreeState"] = "clean";
  info["gitVersion"] = kKubernetesVersion;
  info["goVersion"] = std::string("c++20");
  info["major"] = kKubernetesMajor;
  info["minor"] = kKubernetesMinor;
  info["platform"] = "linux/amd64";
  return info;
}

Status print_version(Host& host, const std::string& output) {
  json::Value info = version_info();
  auto text = [&info](const char* name) { return info.at({name}).as_string(); };
  if (output.empty()) {
    host.print("kubeadm version: &version.Info{Major:" + quote(text("major")) + ", Minor:" + quote(text("minor")) + ", GitVersion:" + quote(text("gitVersion")) +
               ", GitCommit:" + quote(text("gitCommit")) + ", GitTreeState:" + quote(text("gitTreeState")) + ", BuildDate:" + quote(text("buildDate")) + ", GoVersion:" +
               quote(text("goVersion")) + ", Compiler:" + quote(text("compiler")) + ", Platform:" + quote(text("platform")) + "}\n");
    return {};
  }
  if (output == "short") {
    host.print(text("gitVersion") + "\n");
    return {};
  }
  json::Value object = json::Value::object();
  object["clientVersion"] = std::move(info);
  if (output == "yaml") host.print(to_yaml(object) + "\n");
  else if (output == "json") host.print(json::to_pretty(object, 2) + "\n");
  else return Status::error("invalid output format: " + output);
  return {};
}

struct UserFlags {
  std::string config_file, client_name, token;
  std::vector<std::string> organizations;
  Duration validity = std::chrono::hours(24 * 365);
};

Result<InitConfiguration> user_configuration(Host& host, const std::string& file) {
  if (!file.empty()) {
    auto text = host.read_file(file);
    if (!text.ok()) return text.status().with_context("unable to read config from " + quote(file) + " ");
    return load_init_configuration(host, *text, false);
  }
  InitConfiguration config;
  config.node.cri_socket = kUnknownSocket;
  set_defaults(config);
  set_defaults(config.cluster);
  TRY(set_dynamic_defaults(host, config));
  return config;
}

Status print_user(Host& host, const UserFlags& flags) {
  if (flags.client_name.empty()) return Status::error("required flag(s) \"client-name\" not set");
  TRY_ASSIGN(InitConfiguration config, user_configuration(host, flags.config_file));
  auto ca = load_cert(host, config.cluster.certificates_dir, "ca");
  if (!ca.ok()) return ca.status().with_context("couldn't create a kubeconfig; the CA files couldn't be loaded: failed to load certificate");
  std::string server = control_plane_url(config.cluster.control_plane_endpoint, config.local_endpoint);
  if (!flags.token.empty()) {
    client::ClusterAccess access;
    access.server = server;
    access.ca_pem = ca->pair.cert_pem;
    access.token = flags.token;
    host.print(client::write_kubeconfig(access, config.cluster.cluster_name, flags.client_name) + "\n");
    return {};
  }
  if (ca->pair.key_pem.empty()) return Status::error("couldn't create a kubeconfig; the CA files couldn't be loaded: failed to load key");
  TRY_ASSIGN(std::string text, make_kubeconfig(host, ca->pair, server, config.cluster.cluster_name, flags.client_name, flags.organizations,
                                               host.clock().now() + flags.validity));
  host.print(text + "\n");
  return {};
}

}  // namespace

void add_version(Command& root, Host& host) {
  auto output = std::make_shared<std::string>();
  Command& command = root.add("version", "Print the version of kubeadm");
  command.flags.text(*output, "output", "Output format; available options are 'yaml', 'json' and 'short'", "o");
  command.run = [output, &host](const Invocation&) { return print_version(host, *output); };
}

void add_kubeconfig(Command& root, Host& host) {
  auto flags = std::make_shared<UserFlags>();
  Command& group = root.add("kubeconfig", "Kubeconfig file utilities");
  group.long_help = "Kubeconfig file utilities.";
  group.help_fails = true;
  Command& user = group.add("user", "Output a kubeconfig file for an additional user");
  user.long_help = "Output a kubeconfig file for an additional user.";
  user.example = "  # Output a kubeconfig file for an additional user named foo\n  kubeadm kubeconfig user --client-name=foo\n  \n"
                 "  # Output a kubeconfig file for an additional user named foo using a kubeadm config file bar\n  kubeadm kubeconfig user --client-name=foo --config=bar";
  user.flags.text(flags->client_name, "client-name", "The name of user. It will be used as the CN if client certificates are created");
  user.flags.text(flags->config_file, "config", kConfigUsage);
  user.flags.list(flags->organizations, "org", "The organizations of the client certificate. It will be used as the O if client certificates are created");
  user.flags.text(flags->token, "token", "The token that should be used as the authentication mechanism for this kubeconfig, instead of client certificates");
  user.flags.duration(flags->validity, "validity-period", "The validity period of the client certificate. It is an offset from the current time.");
  user.run = [flags, &host](const Invocation&) { return print_user(host, *flags); };
}

}  // namespace knarr::kubeadm
