// SPDX-License-Identifier: Apache-2.0
// Which interface carries the traffic between nodes. Pure over what netlink lists.
#pragma once

#include <string>
#include <vector>

#include "flannel/netlink.h"

namespace knarr::flannel {

struct InterfaceOptions {
  std::vector<std::string> names;    // --iface: names or addresses, the first match wins
  std::vector<std::string> regexes;  // --iface-regex: of addresses, then of names
  std::string can_reach;             // --iface-can-reach
  std::string public_ip;             // --public-ip
};

struct ExternalInterface {
  Link link;
  Ipv4 address = 0;    // of the interface
  Ipv4 public_ip = 0;  // what other nodes are told
};

Result<ExternalInterface> find_interface(Netlink& netlink, const InterfaceOptions& options);

}  // namespace knarr::flannel
