// SPDX-License-Identifier: Apache-2.0
// Nodes and what runs on them, as the scheduler believes: the API's pods, and those it has placed and not yet heard of ("assumed").
//
// One executor. A scheduling cycle never suspends between its first filter and its assume(), so the cache cannot change under it and no
// snapshot is taken; upstream needs one because it filters on many threads.
#pragma once



#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "base/string_map.h"
#include "scheduler/resources.h"

namespace knarr::scheduler {

using PodPtr = std::shared_ptr<const api::core_v1::Pod>;
using NodePtr = std::shared_ptr<const api::core_v1::Node>;

struct HostPort {
  std::string ip;         // "0.0.0.0" for any
  std::string protocol;   // "TCP"
  int32_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// A pod with what filters need of it, computed once.
struct PodInfo {
  explicit PodInfo(PodPtr p);
  PodPtr pod;
  PodRequests requests;
  std::vector<HostPort> host_ports;
  bool has_affinity = false;            // any inter-pod term
  bool has_required_anti_affinity = false;
  int32_t priority = 0;
};
using PodInfoPtr = std::shared_ptr<const PodInfo>;

struct NodeInfo {
  NodePtr node;                          // null while only pods of it are known
  Resources allocatable;
  int64_t allowed_pods = 0;
  Resources requested;
  int64_t nonzero_milli_cpu = 0, nonzero_memory = 0;
  std::vector<PodInfoPtr> pods;
  std::vector<HostPort> host_ports;
  StringMap<int64_t> image_sizes;   // by every name of the image

  std::string_view name() const { return node->metadata.name; }
  void add_pod(PodInfoPtr pod);
  // False when it is not there.
  bool remove_pod(std::string_view uid);
  void set_node(NodePtr to);
};

class Cache {
 public:
  void set_node(const NodePtr& node);
  void remove_node(std::string_view name);
  // A pod bound to a node, as the API tells it; confirms an assumed one.
  void set_pod(const PodPtr& pod);
  void remove_pod(const api::core_v1::Pod& pod);
  void assume(const PodPtr& pod, std::string_view node_name);
  // The binding failed.
  void forget(std::string_view uid);
  bool is_assumed(std::string_view uid) const;

  // Nodes that exist, in a stable order that interleaves zones as upstream's node tree does.
  const std::vector<NodeInfo*>& nodes() const { return ordered_; }
  NodeInfo* find(std::string_view name);
  // How many nodes have the image (ImageLocality spreads by it).
  int nodes_with_image(std::string_view image) const;

 private:
  struct Placed {
    std::string node;
    bool assumed = false;
  };
  NodeInfo& info(std::string_view name);
  void drop(std::string_view uid);
  void reorder();
  void count_images(const NodeInfo& info, int by);

  StringMap<std::unique_ptr<NodeInfo>> infos_;
  StringMap<Placed> placed_;   // by pod uid
  StringMap<int> image_nodes_;
  std::vector<NodeInfo*> ordered_;
};

}  // namespace knarr::scheduler
