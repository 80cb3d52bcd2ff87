// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/kubeadm.h"

#include "kubeadm/constants.h"
#include "kubeadm/text.h"

namespace knarr::kubeadm {
namespace {

constexpr char kLongHelp[] = R"(

    ┌──────────────────────────────────────────────────────────┐
    │ KUBEADM                                                  │
    │ Easily bootstrap a secure Kubernetes cluster             │
    │                                                          │
    │ Please give us feedback at:                              │
    │ https://github.com/kubernetes/kubeadm/issues             │
    └──────────────────────────────────────────────────────────┘

Example usage:

    Create a two-machine cluster with one control-plane node
    (which controls the cluster), and one worker node
    (where your workloads, like Pods and Deployments run).

    ┌──────────────────────────────────────────────────────────┐
    │ On the first machine:                                    │
    ├──────────────────────────────────────────────────────────┤
    │ control-plane# kubeadm init                              │
    └──────────────────────────────────────────────────────────┘

    ┌──────────────────────────────────────────────────────────┐
    │ On the second machine:                                   │
    ├──────────────────────────────────────────────────────────┤
    │ worker# kubeadm join <arguments-returned-from-init>      │
    └──────────────────────────────────────────────────────────┘

    You can then repeat the second step on as many other machines as you like.
)";

// klog's flags, taken everywhere; of them -v means something.
struct GlobalFlags {
  bool add_dir_header = false, one_output = false, skip_headers = false, skip_log_headers = false;
  std::string log_file, log_file_max_size = "1800", rootfs;
};

void add_global_flags(Command& root, GlobalFlags& flags, Host& host) {
  root.inherited.on(flags.add_dir_header, "add-dir-header", "If true, adds the file directory to the header of the log messages");
  root.inherited.text(flags.log_file, "log-file", "If non-empty, use this log file (no effect when -logtostderr=true)");
  Flag size{"log-file-max-size", "", "uint",
            "Defines the maximum size a log file can grow to (no effect when -logtostderr=true). Unit is megabytes. If the value is 0, the maximum file size is unlimited.",
            "1800", [&flags](const std::string& value) {
              flags.log_file_max_size = value;
              return Status();
            }};
  root.inherited.add(std::move(size));
  root.inherited.on(flags.one_output, "one-output",
                    "If true, only write logs to their native severity level (vs also writing to each lower severity level; no effect when -logtostderr=true)");
  root.inherited.text(flags.rootfs, "rootfs", "[EXPERIMENTAL] The path to the 'real' host root filesystem.");
  root.inherited.on(flags.skip_headers, "skip-headers", "If true, avoid header prefixes in the log messages");
  root.inherited.on(flags.skip_log_headers, "skip-log-headers", "If true, avoid headers when opening log files (no effect when -logtostderr=true)");
  Flag level{"v", "v", "Level", "number for the log level verbosity", "", [&host](const std::string& value) {
               host.verbosity = std::atoi(value.c_str());
               return Status();
             }};
  root.inherited.add(std::move(level));
}

}  // namespace

int run(Host& host, const std::vector<std::string>& args) {
  Command root;
  GlobalFlags flags;
  root.name = "kubeadm";
  root.short_help = "kubeadm: easily bootstrap a secure Kubernetes cluster";
  root.long_help = kLongHelp;
  add_global_flags(root, flags, host);
  add_certs(root, host);
  add_config(root, host);
  add_init(root, host);
  add_join(root, host);
  add_kubeconfig(root, host);
  add_reset(root, host);
  add_token(root, host);
  add_version(root, host);
  Status status = execute(root, args, host);
  if (status.ok()) return 0;
  if (status.is(kQuietReason)) return 1;
  host.print_error(std::string(status.message()) + "\nTo see the stack trace of this error execute with --v=5 or higher\n");
  return status.is("Invalid") && status.code() == 422 ? 3 : 1;
}

Status check_mixed_flags(const Invocation& invocation) {
  static const std::vector<std::string> kAllowed = {"config", "ignore-preflight-errors", "dry-run", "kubeconfig", "node-name", "kubeconfig-dir",
                                                    "upload-certs", "print-join-command", "rootfs", "v", "log-file"};
  if (!invocation.has("config")) return {};
  std::vector<std::string> mixed;
  for (const std::string& flag : invocation.changed)
    if (!contains(kAllowed, flag) && !flag.starts_with("skip-")) mixed.push_back(flag);
  return mixed.empty() ? Status() : Status::error("can not mix '--config' with arguments " + bracketed(mixed));
}

std::string find_kubeconfig(const Host& host, const std::string& flag) {
  if (!flag.empty()) return flag;
  for (const std::string& file : split(host.environment("KUBECONFIG"), ':'))
    if (!file.empty() && host.exists(file)) return file;
  std::string own = host.environment("HOME") + "/.kube/config";
  if (host.exists(own)) return own;
  return kAdminConf;
}

Result<std::map<std::string, bool>> parse_feature_gates(const std::string& text) {
  static const std::vector<std::string> kKnown = {"PublicKeysECDSA", "RootlessControlPlane", "UpgradeAddonsBeforeControlPlane", "EtcdLearnerMode"};
  std::map<std::string, bool> gates;
  for (std::string pair : split(text, ',')) {
    pair = trim_space(pair);
    if (pair.empty()) continue;
    size_t equals = pair.find('=');
    if (equals == std::string::npos) return Status::error("missing bool value for feature-gate key:" + pair);
    std::string name = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (!contains(kKnown, name)) return Status::error("unrecognized feature-gate key: " + name);
    if (value != "true" && value != "false") return Status::error("invalid value " + value + " for feature-gate key: " + name + ", use true|false instead");
    gates[name] = value == "true";
  }
  return gates;
}

}  // namespace knarr::kubeadm
