// SPDX-License-Identifier: Apache-2.0
// The node agent: everything of one node, wired together.
//
// Pods come from the API (those bound to this node) and from a folder of manifests; each gets a worker. The runtime tells of ended
// containers by events. Knows the API through client::Client only. One executor, which it shares with nothing that blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "client/client.h"
#include "kubelet/config.h"
#include "kubelet/cri/runtime_service.h"
#include "kubelet/server/server.h"

namespace knarr::kubelet {

class Kubelet {
 public:
  // `client` outlives it.
  Kubelet(Config config, client::Client& client, Executor executor);
  ~Kubelet();

  // Before start(): the client certificate came with the kubeconfig and is replaced at the first opportunity (config.rotate_certificates).
  void rotate_client_at_once();
  // Returns once the runtime has answered and the work has begun; registration and pods go on by themselves.
  Task<Status> start();
  // Stops watching and serving. Containers go on running, as when upstream's kubelet stops.
  Task<void> stop();

  // The server's view of this node (exec, logs), also for an in-process API server.
  ServerHost& host();
  RuntimeService& runtime();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
