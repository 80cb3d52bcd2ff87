// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/node_graph.h"

#include <algorithm>

#include "apiserver/authz/pod_references.h"

namespace knarr::apiserver::authz {
namespace {

constexpr std::string_view kMirrorPod = "kubernetes.io/config.mirror";

std::string pod_key(std::string_view ns, std::string_view name) { return std::string(ns).append("/").append(name); }

}  // namespace

std::string NodeGraph::key_of(Kind kind, std::string_view ns, std::string_view name) {
  std::string key(1, static_cast<char>(kind));
  return key.append(ns).append("/").append(name);
}

void NodeGraph::put_pod(const api::core_v1::Pod& pod) {
  std::string_view ns = pod.metadata.namespace_;
  if (pod.spec.node_name.empty()) return;
  auto at = pods_.find(pod_key(ns, pod.metadata.name));
  // What a pod refers to does not change while it runs; its status does, often.
  if (at != pods_.end() && at->second.node == pod.spec.node_name.view() && at->second.uid == pod.metadata.uid.view()) return;
  remove_pod(ns, pod.metadata.name);
  PodEntry entry{pod.spec.node_name.str(), pod.metadata.uid.str(), {}};
  // Mirror pods grant nothing: their node wrote them.
  if (!pod.metadata.annotations.contains(kMirrorPod)) {
    auto add = [&](Kind kind) { return [&entry, kind, ns](std::string_view name) { entry.keys.push_back(key_of(kind, ns, name)); }; };
    if (!pod.spec.service_account_name.empty()) add(Kind::kServiceAccount)(pod.spec.service_account_name);
    visit_secrets(pod, add(Kind::kSecret));
    visit_config_maps(pod, add(Kind::kConfigMap));
    visit_claims(pod, add(Kind::kClaim));
    std::sort(entry.keys.begin(), entry.keys.end());
    entry.keys.erase(std::unique(entry.keys.begin(), entry.keys.end()), entry.keys.end());
  }
  for (const std::string& key : entry.keys) ++references_[key][entry.node];
  pods_[pod_key(ns, pod.metadata.name)] = std::move(entry);
}

void NodeGraph::remove_pod(std::string_view ns, std::string_view name) {
  auto at = pods_.find(pod_key(ns, name));
  if (at == pods_.end()) return;
  for (const std::string& key : at->second.keys) {
    auto nodes = references_.find(key);
    if (--nodes->second[at->second.node] == 0) nodes->second.erase(at->second.node);
    if (nodes->second.empty()) references_.erase(nodes);
  }
  pods_.erase(at);
}

void NodeGraph::clear_pods() {
  pods_.clear();
  references_.clear();
}

void NodeGraph::put_volume(const api::core_v1::PersistentVolume& volume) {
  std::string name = volume.metadata.name.str();
  remove_volume(name);
  if (!volume.spec.claim_ref) return;
  VolumeEntry entry;
  entry.claim = key_of(Kind::kClaim, volume.spec.claim_ref->namespace_, volume.spec.claim_ref->name);
  visit_node_secrets(volume, [&](std::string_view ns, std::string_view secret) { entry.secrets.push_back(key_of(Kind::kSecret, ns, secret)); });
  for (const std::string& secret : entry.secrets) secret_volumes_[secret].insert(name);
  volumes_[name] = std::move(entry);
}

void NodeGraph::remove_volume(std::string_view name) {
  auto at = volumes_.find(name);
  if (at == volumes_.end()) return;
  for (const std::string& secret : at->second.secrets) {
    auto volumes = secret_volumes_.find(secret);
    if (volumes == secret_volumes_.end()) continue;
    volumes->second.erase(name);
    if (volumes->second.empty()) secret_volumes_.erase(volumes);
  }
  volumes_.erase(at);
}

void NodeGraph::clear_volumes() {
  volumes_.clear();
  secret_volumes_.clear();
}

void NodeGraph::put_attachment(std::string_view name, std::string_view node) {
  if (node.empty()) return remove_attachment(name);
  attachments_[name] = node;
}
void NodeGraph::remove_attachment(std::string_view name) { attachments_.erase(name); }
void NodeGraph::clear_attachments() { attachments_.clear(); }

bool NodeGraph::pod_refers(std::string_view node, std::string_view key) const {
  auto at = references_.find(key);
  return at != references_.end() && at->second.contains(node);
}

bool NodeGraph::volume_reached(std::string_view node, std::string_view name) const {
  auto at = volumes_.find(name);
  return at != volumes_.end() && pod_refers(node, at->second.claim);
}

bool NodeGraph::reaches(std::string_view node, Kind kind, std::string_view ns, std::string_view name) const {
  if (kind == Kind::kVolume) return volume_reached(node, name);
  if (kind == Kind::kAttachment) {
    auto at = attachments_.find(name);
    return at != attachments_.end() && at->second == node;
  }
  std::string key = key_of(kind, ns, name);
  if (pod_refers(node, key)) return true;
  if (kind != Kind::kSecret) return false;
  auto volumes = secret_volumes_.find(key);
  return volumes != secret_volumes_.end() &&
         std::any_of(volumes->second.begin(), volumes->second.end(), [&](const std::string& volume) { return volume_reached(node, volume); });
}

}  // namespace knarr::apiserver::authz
