// SPDX-License-Identifier: Apache-2.0
// How packets get to other nodes: through a vxlan device, or by routes through the nodes themselves. One executor.
#pragma once

#include <memory>

#include "flannel/interface.h"
#include "flannel/lease.h"
#include "flannel/net_config.h"
#include "flannel/netlink.h"

namespace knarr::flannel {

class Backend {
 public:
  virtual ~Backend() = default;
  // What to tell other nodes; before that, makes what it takes.
  virtual Result<Announcement> prepare() = 0;
  // The node's share is known.
  virtual Status configure(const Cidr& subnet) = 0;
  virtual int mtu() const = 0;  // of pods
  virtual Status add(const Peer& peer) = 0;
  virtual Status remove(const Peer& peer) = 0;
  // Puts back what somebody else took away. Upstream does that for routes of host-gw.
  virtual void check() {}
};

// "vxlan" or "host-gw"; else an error with upstream's words. `netlink` outlives it.
Result<std::unique_ptr<Backend>> make_backend(Netlink& netlink, const NetConfig& config, const ExternalInterface& external);

}  // namespace knarr::flannel
