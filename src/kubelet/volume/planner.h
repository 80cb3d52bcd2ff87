// SPDX-License-Identifier: Apache-2.0
// The waiting half of making volumes: gathers all that a volume's set-up needs from the API
// (ConfigMaps, Secrets, tokens, claims) into a job that blocks on nothing but the file system. One
// executor.
#pragma once

#include <string>
#include <string_view>

#include "kubelet/volume/payload.h"
#include "kubelet/volume/set_up.h"
#include "kubelet/volume/token_source.h"
#include "kubelet/volume/volume_manager.h"

namespace knarr::kubelet {

class VolumePlanner {
 public:
  VolumePlanner(client::Client& client, ObjectSource& objects, TokenSource& tokens,
                VolumeManager::Config config)
      : client_(client), objects_(objects), tokens_(tokens), config_(std::move(config)) {}

  // `volume` lies in *pod. Failures are worded as upstream's events have them.
  Task<Result<SetUpJob>> plan(PodPtr pod, const api::core_v1::Volume& volume);

  std::string pod_dir(std::string_view uid) const {
    return config_.root_dir + "/pods/" + std::string(uid);
  }
  std::string volume_path(std::string_view uid, std::string_view plugin,
                          std::string_view name) const {
    return pod_dir(uid) + "/volumes/kubernetes.io~" + std::string(plugin) + "/" + std::string(name);
  }

 private:
  schema::Map<schema::Quantity> allocatable() const {
    return config_.allocatable ? config_.allocatable() : schema::Map<schema::Quantity>();
  }
  Task<Result<Payload>> collect(PodPtr pod, const api::core_v1::VolumeSource& source);
  Task<Result<Payload>> collect_projection(PodPtr pod,
                                           const api::core_v1::VolumeProjection& projection,
                                           int32_t mode);
  Task<Result<Payload>> config_map_files(PodPtr pod, std::string name, const ItemList& items,
                                         int32_t mode, bool optional);
  Task<Result<Payload>> secret_files(PodPtr pod, std::string name, const ItemList& items,
                                     int32_t mode, bool optional);
  // hostPath and local volumes behind a claim.
  Task<Result<SetUpJob>> plan_claim(PodPtr pod, SetUpJob job, std::string claim, bool read_only);

  client::Client& client_;
  ObjectSource& objects_;
  TokenSource& tokens_;
  VolumeManager::Config config_;
};

// Content that follows its source.
bool is_projection(const api::core_v1::VolumeSource& source);

}  // namespace knarr::kubelet
