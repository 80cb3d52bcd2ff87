// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/status.h"
#include "client/leader_election.h"
#include "scheduler/scheduler.h"

namespace knarr::cmd {

struct SchedulerSettings {
  std::string kubeconfig;
  bool leader_elect = true;
  client::LeaderElectionOptions election = {.name = "kube-scheduler"};
  scheduler::Options scheduler;
};

// Puts what a KubeSchedulerConfiguration file (v1, v1beta3, v1beta2) says into `settings`; one profile.
Status apply_scheduler_configuration(const std::string& file, SchedulerSettings& settings);

}  // namespace knarr::cmd
