// SPDX-License-Identifier: Apache-2.0
#include "proxy/tracker.h"

namespace knarr::proxy {

std::string service_of(const api::discovery_v1::EndpointSlice& slice) {
  std::string_view name = schema::get_or_empty(slice.metadata.labels, "kubernetes.io/service-name");
  return name.empty() ? std::string() : slice.metadata.namespace_.str() + "/" + std::string(name);
}

ServiceObjects& Tracker::change(const std::string& key) {
  Entry& entry = services_[key];
  if (changed_.insert(key).second) entry.written = entry.now;
  return entry.now;
}

bool Tracker::update_service(const ServicePtr& old, const ServicePtr& now) {
  ServicePtr kept = now != nullptr && is_proxied(now->metadata.labels) ? now : nullptr;
  const ServicePtr& any = now != nullptr ? now : old;
  if (any == nullptr) return false;
  std::string key = any->metadata.namespace_.str() + "/" + any->metadata.name.str();
  auto at = services_.find(key);
  ServicePtr held = at == services_.end() ? nullptr : at->second.now.service;
  if (held == kept) return false;
  // A status update of conditions or a label is no news for a node.
  bool same = held != nullptr && kept != nullptr && held->spec == kept->spec && held->status.load_balancer == kept->status.load_balancer &&
              held->metadata.annotations == kept->metadata.annotations;
  if (same) {
    at->second.now.service = std::move(kept);
    return false;
  }
  change(key).service = std::move(kept);
  return true;
}

bool Tracker::update_slice(const SlicePtr& old, const SlicePtr& now) {
  auto belongs = [](const SlicePtr& slice) {
    if (slice == nullptr || !is_proxied(slice->metadata.labels)) return std::string();
    if (slice->address_type != "IPv4" && slice->address_type != "IPv6") return std::string();
    return service_of(*slice);
  };
  std::string before = belongs(old), after = belongs(now);
  bool changed = false;
  if (!before.empty() && before != after) {
    auto at = services_.find(before);
    if (at != services_.end() && at->second.now.slices.count(old->metadata.name.view()) > 0) {
      ServiceObjects& objects = change(before);
      objects.slices.erase(objects.slices.find(old->metadata.name.view()));
      changed = true;
    }
  }
  if (after.empty()) return changed;
  std::string name = now->metadata.name.str();
  auto at = services_.find(after);
  if (at != services_.end()) {
    auto slice = at->second.now.slices.find(name);
    if (slice != at->second.now.slices.end() && slice->second->endpoints == now->endpoints && slice->second->ports == now->ports) {
      slice->second = now;
      return changed;
    }
  }
  change(after).slices[name] = now;
  return true;
}

std::vector<ServiceChange> Tracker::take_changes() {
  std::vector<ServiceChange> changes;
  changes.reserve(changed_.size());
  for (const std::string& key : changed_) {
    auto at = services_.find(key);
    changes.push_back({key, std::move(at->second.written), at->second.now});
    at->second.written = {};
    if (at->second.now.empty()) services_.erase(at);
  }
  changed_.clear();
  return changes;
}

}  // namespace knarr::proxy
