// SPDX-License-Identifier: Apache-2.0
// /etc/kube-flannel/net-conf.json and /run/flannel/subnet.env: what flanneld is told, and what it tells the CNI plugin. Values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flannel/cidr.h"

namespace knarr::flannel {

struct NetConfig {
  Cidr network;
  std::string backend_type;  // "vxlan", "host-gw"
  // Of vxlan.
  uint32_t vni = 1;
  uint16_t port = 0;         // 0: the kernel's (8472)
  int mtu = 0;               // of the outer interface; 0: as it is
  bool gbp = false, learning = false, direct_routing = false;
};
// IPv6 is refused by name.
Result<NetConfig> parse_net_config(std::string_view json);

struct SubnetEnv {
  std::vector<Cidr> networks;
  Cidr subnet;
  int mtu = 0;
  bool ip_masq = false;
};
// `subnet` is the node's network; the file shows its first usable address.
std::string write_subnet_env(const SubnetEnv& env);
// Hostile-safe: a line that is not understood is skipped, one that is malformed is an error. `path` is named in errors.
Result<SubnetEnv> parse_subnet_env(std::string_view text, const std::string& path);

}  // namespace knarr::flannel
