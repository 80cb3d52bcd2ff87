// SPDX-License-Identifier: Apache-2.0
// Which objects the pods of a node refer to, so that the node may read them and no others.
//
// Upstream walks a graph from the object to the node. The ways are few and known, so this counts references by node instead: each question is a
// look-up or two, however many pods share the object. Not locked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "base/string_map.h"

namespace knarr::apiserver::authz {

class NodeGraph {
 public:
  enum class Kind : char { kSecret = 's', kConfigMap = 'c', kClaim = 'p', kServiceAccount = 'a', kVolume = 'v', kAttachment = 't' };

  void put_pod(const api::core_v1::Pod& pod);
  void remove_pod(std::string_view ns, std::string_view name);
  void clear_pods();
  void put_volume(const api::core_v1::PersistentVolume& volume);
  void remove_volume(std::string_view name);
  void clear_volumes();
  void put_attachment(std::string_view name, std::string_view node);
  void remove_attachment(std::string_view name);
  void clear_attachments();

  // Whether something on the node leads to the object. Namespace "" for volumes and attachments.
  bool reaches(std::string_view node, Kind kind, std::string_view ns, std::string_view name) const;

 private:
  using Keys = std::vector<std::string>;
  struct PodEntry {
    std::string node, uid;
    Keys keys;  // what it refers to
  };
  struct VolumeEntry {
    std::string claim;  // key
    Keys secrets;
  };
  static std::string key_of(Kind kind, std::string_view ns, std::string_view name);
  bool pod_refers(std::string_view node, std::string_view key) const;
  bool volume_reached(std::string_view node, std::string_view name) const;

  StringMap<PodEntry> pods_;                                             // "namespace/name"
  StringMap<StringMap<uint32_t>> references_;    // key -> node -> pods
  StringMap<VolumeEntry> volumes_;
  StringMap<StringSet> secret_volumes_;          // secret's key -> volumes
  StringMap<std::string> attachments_;                                  // -> node
};

}  // namespace knarr::apiserver::authz
