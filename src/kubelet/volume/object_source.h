// SPDX-License-Identifier: Apache-2.0
// The ConfigMaps and Secrets that this node's pods use, each kept current by a watch of its own
// (field selector metadata.name), shared by all pods that name it and dropped with the last one:
// upstream's watch-based manager. What may be read is therefore exactly what the node authorizer
// allows. Reads of an object that no registered pod names go to the API server. One executor; never
// polls.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "client/client.h"

namespace knarr::kubelet {

using PodPtr = std::shared_ptr<const api::core_v1::Pod>;
using ConfigMapPtr = std::shared_ptr<const api::core_v1::ConfigMap>;
using SecretPtr = std::shared_ptr<const api::core_v1::Secret>;

class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  // Starts (or keeps) watches of everything that `pod` refers to: volumes, env, envFrom, image pull
  // secrets. Called again for an updated pod.
  virtual void register_pod(PodPtr pod) = 0;
  virtual void unregister_pod(std::string_view uid) = 0;
  // NotFound has upstream's message: configmap "x" not found. A cache that does not sync within a
  // second is an error.
  virtual Task<Result<ConfigMapPtr>> config_map(std::string ns, std::string name) = 0;
  virtual Task<Result<SecretPtr>> secret(std::string ns, std::string name) = 0;
  // `changed(uid)` is called for each registered pod that uses an object which appeared, changed or
  // went.
  virtual void on_change(std::function<void(const std::string& uid)> changed) = 0;
};

std::unique_ptr<ObjectSource> make_object_source(client::Client& client, Executor executor);

// Names that a pod refers to (also used by tests).
struct PodReferences {
  std::vector<std::string> config_maps, secrets;  // sorted, without duplicates
};
PodReferences references_of(const api::core_v1::Pod& pod);

}  // namespace knarr::kubelet
