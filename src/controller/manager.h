// SPDX-License-Identifier: Apache-2.0
// kube-controller-manager as an object: the selected controllers over one client, led by one among several when asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/leader_election.h"
#include "controller/controller.h"

namespace knarr::controller {

struct ManagerOptions {
  Options controllers;
  std::vector<std::string> selection = {"*"};
  bool leader_elect = true;
  // Caches to share with others of the process (they outlive the manager, which then does not stop them); null: its own.
  client::InformerFactory* informers = nullptr;
  ClientFor client_for;                      // one identity a controller; null: all are the manager's
  client::LeaderElectionOptions leader_election = {.name = "kube-controller-manager"};
};

// Make, use and destroy it on `executor`; the client outlives it.
class ControllerManager {
 public:
  ControllerManager(client::Client& client, Executor executor, const Clock& clock, ManagerOptions options);
  ~ControllerManager();
  // Waits to lead, then runs until stop() (OK) or until leadership is lost (a failure: the process should end).
  Task<Status> run();
  void stop();
  bool is_leader() const;
  // workqueue_* and leader_election_master_status, in Prometheus' text format. On the executor.
  std::string metrics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The same as one call, for a command's main. The manager is kept alive until it ends.
Task<Status> run_controller_manager(std::shared_ptr<ControllerManager> manager);

}  // namespace knarr::controller
