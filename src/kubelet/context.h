// SPDX-License-Identifier: Apache-2.0
// What all parts of one kubelet share. Made by Kubelet, outlives them all; one executor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "kubelet/backoff.h"
#include "kubelet/cgroup/cgroup_manager.h"
#include "kubelet/config.h"
#include "kubelet/cri/runtime_service.h"
#include "kubelet/event_sink.h"
#include "kubelet/qos.h"
#include "kubelet/volume/object_source.h"
#include "kubelet/volume/volume_manager.h"
#include "trace/ring.h"

namespace knarr::kubelet {

struct Context {
  const Config& config;
  Executor executor;
  const Clock& clock;
  client::Client& client;
  RuntimeService& runtime;
  ImageService& images;
  EventSink& events;
  VolumeManager& volumes;
  ObjectSource& objects;
  CgroupManager& cgroups;
  Backoff& restart_backoff;
  Backoff& image_backoff;
  // The services that a pod may see.
  std::function<Task<std::vector<std::shared_ptr<const core::Service>>>(PodPtr pod)> services;

  // Learnt at start and kept current by the node's part.
  std::string runtime_name = "containerd";
  std::vector<std::string> host_ips;
  int64_t memory_capacity = 0;
  ResourceList allocatable;
  bool swap_accounting = false;
  bool static_pods = false;   // pods from files were seen: one of them may be the API server
  std::string network_error;  // why the network is not ready; "" = it is

  const std::shared_ptr<trace::Ring> trace = std::make_shared<trace::Ring>();
};

}  // namespace knarr::kubelet
