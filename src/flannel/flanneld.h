// SPDX-License-Identifier: Apache-2.0
// The network daemon of a node, as flanneld --kube-subnet-mgr: takes the node's share from its podCIDR, announces how to reach it, and follows the
// other nodes. One executor.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "client/informer.h"
#include "flannel/backend.h"
#include "flannel/iptables.h"

namespace knarr::flannel {

struct FlanneldOptions {
  std::string node_name;
  std::string annotation_prefix = "flannel.alpha.coreos.com";
  std::string net_config;  // the text of net-conf.json
  InterfaceOptions interface;
  std::string subnet_file = "/run/flannel/subnet.env";
  bool ip_masq = false, forward_rules = true, set_network_available = true;
  Duration resync = std::chrono::seconds(5);  // of iptables' rules
};

class Flanneld {
 public:
  // All outlive it.
  Flanneld(client::Client& client, client::InformerFactory& informers, Netlink& netlink, PacketFilter& filter, const Clock& clock,
           FlanneldOptions options);
  ~Flanneld();
  // Until the network of this node is up; an error ends the daemon, in upstream's words. Other nodes are followed from then on.
  Task<Status> start();
  void stop();

 private:
  using Node = api::core_v1::Node;
  Status prepare();
  Task<Status> acquire_lease(Announcement announcement);
  Task<Status> patch_status(std::string patch);
  Task<void> make_rules();
  void on_node(const std::string& name, const Node* node);
  static Task<void> resync_rules(Flanneld* self);
  static Task<void> check_routes(Flanneld* self);

  client::Client& client_;
  Executor executor_;
  client::Informer<Node> nodes_;
  Netlink& netlink_;
  PacketFilter& filter_;
  const Clock& clock_;
  FlanneldOptions options_;
  AnnotationNames names_;
  NetConfig config_;
  std::unique_ptr<Backend> backend_;
  Cidr subnet_;
  std::vector<RuleSet> rules_;
  std::map<std::string, Peer> peers_;  // by node: what the kernel has been told
  bool stopped_ = false;
};

}  // namespace knarr::flannel
