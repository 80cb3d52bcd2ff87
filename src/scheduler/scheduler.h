// SPDX-License-Identifier: Apache-2.0
// The scheduler: one pod after another is filtered, scored, assumed on its node, and bound while the next is looked at.
//
// One executor. A cycle does not suspend until its pod is assumed; binding is a task of its own. Messages, events and conditions are those of
// kube-scheduler 1.28.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "client/client.h"
#include "client/informer.h"
#include "scheduler/framework.h"

namespace knarr::trace {
class Ring;
}

namespace knarr::scheduler {

struct Options {
  std::string name = "default-scheduler";   // pods with this spec.schedulerName
  int percentage_of_nodes_to_score = 0;     // 0 = adaptive
  uint64_t seed = 1;                        // for the choice among equal nodes
  std::shared_ptr<trace::Ring> trace;       // where steps of pods are recorded; null: a ring of its own
};

// What became of one pod in a cycle, before anything is written.
struct Decision {
  NodeInfo* node = nullptr;                 // null: none fits
  std::string message;                      // why none does, as the event and the condition say it
  uint32_t wake_events = 0;                 // after which another try makes sense
  int evaluated = 0, feasible = 0;
};

class Scheduler {
 public:
  Scheduler(client::Client& client, client::InformerFactory& informers, const Clock& clock, Executor executor, Options options = {});
  ~Scheduler();
  void start();
  void stop();
  // scheduler_* in Prometheus' text format. On the executor.
  std::string metrics() const;
  const trace::Ring& trace() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// One pure cycle over a cache: what start() does for each pod. `start_at` rotates where the search begins and is moved on; `random` breaks ties.
Decision decide(Handle& handle, const PodInfo& pod, int percentage_of_nodes_to_score, size_t* start_at, uint64_t* random);

}  // namespace knarr::scheduler
