// SPDX-License-Identifier: Apache-2.0
// The CNI plugin `flannel`: turns its configuration and subnet.env into one for bridge with host-local addresses, and has that plugin do the work,
// as flannel-io/cni-plugin. CNI 0.1.0 to 1.0.0.
#pragma once

#include <string>
#include <string_view>

#include "flannel/net_config.h"
#include "schema/json.h"

namespace knarr::flannel {

struct PluginConfig {
  std::string name, cni_version;
  std::string subnet_file = "/run/flannel/subnet.env";
  std::string data_dir = "/var/lib/cni/flannel";
  json::Value ipam, delegate, runtime_config;  // null when absent
};
Result<PluginConfig> parse_plugin_config(std::string_view json);

// What the delegate reads on its standard input.
Result<json::Value> delegate_config(const PluginConfig& config, const SubnetEnv& env);

// The protocol: CNI_COMMAND and its fellows in the environment, the configuration on standard input, the result on standard output.
// The exit code.
int run_plugin();

}  // namespace knarr::flannel
