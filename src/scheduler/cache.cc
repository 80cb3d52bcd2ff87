// SPDX-License-Identifier: Apache-2.0
#include "scheduler/cache.h"

#include <algorithm>
#include <map>

#include "schema/quantity.h"

namespace knarr::scheduler {
namespace {

std::string zone_of(const api::core_v1::Node& node) {
  std::string zone(get_or_empty(node.metadata.labels, "topology.kubernetes.io/region"));
  zone += '\0';
  zone += get_or_empty(node.metadata.labels, "topology.kubernetes.io/zone");
  return zone;
}

}  // namespace

PodInfo::PodInfo(PodPtr p) : pod(std::move(p)), requests(pod_requests(*pod)), priority(pod->spec.priority.value_or(0)) {
  for (const auto& container : pod->spec.containers) {
    for (const auto& port : container.ports) {
      if (port.host_port <= 0) continue;
      host_ports.push_back({port.host_ip.empty() ? "0.0.0.0" : port.host_ip.str(), port.protocol.empty() ? "TCP" : port.protocol.str(),
                            port.host_port});
    }
  }
  if (!pod->spec.affinity) return;
  const auto& affinity = *pod->spec.affinity;
  has_required_anti_affinity =
      affinity.pod_anti_affinity && !affinity.pod_anti_affinity->required_during_scheduling_ignored_during_execution.empty();
  has_affinity = affinity.pod_affinity || affinity.pod_anti_affinity;
}

void NodeInfo::add_pod(PodInfoPtr pod) {
  requested.add(pod->requests.total);
  nonzero_milli_cpu += pod->requests.nonzero_milli_cpu;
  nonzero_memory += pod->requests.nonzero_memory;
  host_ports.insert(host_ports.end(), pod->host_ports.begin(), pod->host_ports.end());
  pods.push_back(std::move(pod));
}

bool NodeInfo::remove_pod(std::string_view uid) {
  auto at = std::find_if(pods.begin(), pods.end(), [&](const PodInfoPtr& p) { return p->pod->metadata.uid == uid; });
  if (at == pods.end()) return false;
  const PodInfo& pod = **at;
  requested.add(pod.requests.total, -1);
  nonzero_milli_cpu -= pod.requests.nonzero_milli_cpu;
  nonzero_memory -= pod.requests.nonzero_memory;
  for (const HostPort& port : pod.host_ports) {
    auto used = std::find(host_ports.begin(), host_ports.end(), port);
    if (used != host_ports.end()) host_ports.erase(used);
  }
  std::swap(*at, pods.back());
  pods.pop_back();
  return true;
}

void NodeInfo::set_node(NodePtr to) {
  node = std::move(to);
  allocatable = Resources::of(node->status.allocatable);
  const schema::Quantity* allowed = node->status.allocatable.find("pods");
  allowed_pods = allowed == nullptr ? 0 : schema::QuantityValue::of(*allowed).value();
  image_sizes.clear();
  for (const auto& image : node->status.images)
    for (const auto& name : image.names) image_sizes[name.str()] = image.size_bytes;
}

NodeInfo& Cache::info(std::string_view name) {
  std::unique_ptr<NodeInfo>& slot = infos_[std::string(name)];
  if (slot == nullptr) slot = std::make_unique<NodeInfo>();
  return *slot;
}

NodeInfo* Cache::find(std::string_view name) {
  auto at = infos_.find(name);
  return at == infos_.end() || at->second->node == nullptr ? nullptr : at->second.get();
}

void Cache::count_images(const NodeInfo& info, int by) {
  for (const auto& [name, size] : info.image_sizes) {
    int& count = image_nodes_[name];
    if ((count += by) <= 0) image_nodes_.erase(name);
  }
}

int Cache::nodes_with_image(std::string_view image) const {
  auto at = image_nodes_.find(image);
  return at == image_nodes_.end() ? 0 : at->second;
}

void Cache::set_node(const NodePtr& node) {
  NodeInfo& to = info(node->metadata.name);
  bool is_new = to.node == nullptr;
  bool moved = !is_new && zone_of(*to.node) != zone_of(*node);
  count_images(to, -1);
  to.set_node(node);
  count_images(to, 1);
  if (is_new || moved) reorder();
}

void Cache::remove_node(std::string_view name) {
  auto at = infos_.find(name);
  if (at == infos_.end() || at->second->node == nullptr) return;
  count_images(*at->second, -1);
  at->second->image_sizes.clear();
  at->second->node = nullptr;
  // Its pods are deleted one by one after it; until then they are remembered.
  if (at->second->pods.empty()) infos_.erase(at);
  reorder();
}

// Round robin over zones, so that the first nodes that are looked at lie in different ones.
void Cache::reorder() {
  std::map<std::string, std::vector<NodeInfo*>> zones;
  size_t count = 0;
  for (auto& [name, info] : infos_) {
    if (info->node == nullptr) continue;
    zones[zone_of(*info->node)].push_back(info.get());
    ++count;
  }
  for (auto& [zone, nodes] : zones)
    std::sort(nodes.begin(), nodes.end(), [](const NodeInfo* a, const NodeInfo* b) { return a->name() < b->name(); });
  ordered_.clear();
  ordered_.reserve(count);
  for (size_t i = 0; ordered_.size() < count; ++i)
    for (auto& [zone, nodes] : zones)
      if (i < nodes.size()) ordered_.push_back(nodes[i]);
}

void Cache::drop(std::string_view uid) {
  auto at = placed_.find(uid);
  if (at == placed_.end()) return;
  auto node = infos_.find(at->second.node);
  if (node != infos_.end()) {
    node->second->remove_pod(uid);
    if (node->second->node == nullptr && node->second->pods.empty()) infos_.erase(node);
  }
  placed_.erase(at);
}

void Cache::set_pod(const PodPtr& pod) {
  drop(pod->metadata.uid);
  info(pod->spec.node_name).add_pod(std::make_shared<PodInfo>(pod));
  placed_[pod->metadata.uid.str()] = Placed{pod->spec.node_name.str(), false};
}

void Cache::remove_pod(const api::core_v1::Pod& pod) { drop(pod.metadata.uid); }

void Cache::assume(const PodPtr& pod, std::string_view node_name) {
  drop(pod->metadata.uid);
  info(node_name).add_pod(std::make_shared<PodInfo>(pod));
  placed_[pod->metadata.uid.str()] = Placed{std::string(node_name), true};
}

void Cache::forget(std::string_view uid) {
  if (is_assumed(uid)) drop(uid);
}

bool Cache::is_assumed(std::string_view uid) const {
  auto at = placed_.find(uid);
  return at != placed_.end() && at->second.assumed;
}

}  // namespace knarr::scheduler
