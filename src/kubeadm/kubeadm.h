// SPDX-License-Identifier: Apache-2.0
// `kubeadm`, the program: its tree of commands and its exit codes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubeadm/cli.h"
#include "kubeadm/host.h"

namespace knarr::kubeadm {

// args without the program's name. Exit codes as upstream's: 0, 1, 2 for failed host checks, 3 for an invalid configuration.
int run(Host& host, const std::vector<std::string>& args);

// Each command adds itself; what its flags write to lives in the command's functions.
void add_init(Command& root, Host& host);
void add_join(Command& root, Host& host);
void add_reset(Command& root, Host& host);
void add_token(Command& root, Host& host);
void add_certs(Command& root, Host& host);
void add_config(Command& root, Host& host);
void add_kubeconfig(Command& root, Host& host);
void add_version(Command& root, Host& host);

// --config may stand beside few flags.
Status check_mixed_flags(const Invocation& invocation);
// The kubeconfig of a command that speaks to the cluster: the flag, $KUBECONFIG, ~/.kube/config, admin.conf.
std::string find_kubeconfig(const Host& host, const std::string& flag);
// PublicKeysECDSA=true,... of --feature-gates.
Result<std::map<std::string, bool>> parse_feature_gates(const std::string& text);

// ---- flags that several commands have
inline constexpr char kIgnoreChecksUsage[] =
    "A list of checks whose errors will be shown as warnings. Example: 'IsPrivilegedUser,Swap'. Value 'all' ignores errors from all checks.";
inline constexpr char kCriSocketUsage[] =
    "Path to the CRI socket to connect. If empty kubeadm will try to auto-detect this value; use this option only if you have more than one CRI installed or if you "
    "have non-standard CRI socket.";
inline constexpr char kKubeconfigUsage[] =
    "The kubeconfig file to use when talking to the cluster. If the flag is not set, a set of standard locations can be searched for an existing kubeconfig file.";
inline constexpr char kPatchesUsage[] =
    "Path to a directory that contains files named \"target[suffix][+patchtype].extension\". For example, \"kube-apiserver0+merge.yaml\" or just \"etcd.json\". "
    "\"target\" can be one of \"kube-apiserver\", \"kube-controller-manager\", \"kube-scheduler\", \"etcd\", \"kubeletconfiguration\". \"patchtype\" can be one of "
    "\"strategic\", \"merge\" or \"json\" and they match the patch formats supported by kubectl. The default \"patchtype\" is \"strategic\". \"extension\" must be either "
    "\"json\" or \"yaml\". \"suffix\" is an optional string that can be used to determine which patches are applied first alpha-numerically.";
inline constexpr char kFeatureGatesUsage[] =
    "A set of key=value pairs that describe feature gates for various features. Options are:\nEtcdLearnerMode=true|false (ALPHA - default=false)\n"
    "PublicKeysECDSA=true|false (ALPHA - default=false)\nRootlessControlPlane=true|false (ALPHA - default=false)\n"
    "UpgradeAddonsBeforeControlPlane=true|false (DEPRECATED - default=false)";
inline constexpr char kDryRunUsage[] = "Don't apply any changes; just output what would be done.";
inline constexpr char kConfigUsage[] = "Path to a kubeadm configuration file.";
inline constexpr char kAdvertiseUsage[] =
    "The IP address the API Server will advertise it's listening on. If not set the default network interface will be used.";

}  // namespace knarr::kubeadm
