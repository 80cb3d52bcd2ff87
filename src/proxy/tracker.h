// SPDX-License-Identifier: Apache-2.0
// Which services differ from what was last written to the kernel. Holds the informers' objects by pointer; one executor.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxy/model.h"

namespace knarr::proxy {

struct ServiceChange {
  std::string key;                 // "namespace/name"
  ServiceObjects before, after;
};

class Tracker {
 public:
  // Adds, replaces or (when `now` is null) removes. True when something may have to be written.
  bool update_service(const ServicePtr& old, const ServicePtr& now);
  bool update_slice(const SlicePtr& old, const SlicePtr& now);
  // Everything that changed since the last call; from here on it counts as written.
  std::vector<ServiceChange> take_changes();
  size_t pending() const { return changed_.size(); }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [key, entry] : services_) visit(key, entry.now);
  }

 private:
  struct Entry {
    ServiceObjects now;
    ServiceObjects written;        // differs from `now` only while the service is in changed_
  };
  ServiceObjects& change(const std::string& key);
  std::map<std::string, Entry> services_;
  std::set<std::string> changed_;
};

// The service that a slice belongs to ("namespace/name"), or "" when its label is missing.
std::string service_of(const api::discovery_v1::EndpointSlice& slice);

}  // namespace knarr::proxy
