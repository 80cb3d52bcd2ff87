// SPDX-License-Identifier: Apache-2.0
// Pod statuses on their way to the API server: one patch at a time for each pod, the newest wins, unchanged ones are not sent.
//
// Also ends a deletion: once a pod's last status is written and nothing of it is left on the node, it is deleted with grace 0 and its UID as
// a precondition. One executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "client/client.h"
#include "kubelet/types.h"
#include "trace/ring.h"

namespace knarr::kubelet {

// The status to be written over `old` (the API's): conditions that are not the kubelet's stay, a terminal phase waits for the
// last container. Pure.
core::PodStatus merge_pod_status(const core::PodStatus& old, core::PodStatus status, bool could_have_running_containers);

// A strategic merge patch of the status subresource, "" when there is nothing to change.
std::string status_patch(const core::Pod& pod, const core::PodStatus& status);

class StatusManager {
 public:
  StatusManager(client::Client& client, const Clock& clock, Executor executor,
                std::shared_ptr<trace::Ring> trace = std::make_shared<trace::Ring>());
  ~StatusManager();

  // A newer version of the pod from the API; what others changed in the kubelet's part of its status is written again.
  void pod_updated(PodPtr pod);
  // `finished`: nothing of the pod is left on the node. `running`: containers may still run.
  void set_status(const PodPtr& pod, core::PodStatus status, bool finished, bool running);
  // Last set; null when there is none.
  const core::PodStatus* get(std::string_view uid) const;
  // The pod as last seen from the API, with the kubelet's newest status.
  PodPtr with_status(const PodPtr& pod) const;
  void forget(std::string_view uid);
  // Static pods have their status on a mirror pod.
  void set_mirror(std::string_view uid, PodPtr mirror);

 private:
  struct Entry;
  struct Shared;
  void wake(const std::shared_ptr<Entry>& entry);
  static Task<void> write_loop(std::shared_ptr<Shared> shared, std::shared_ptr<Entry> entry);
  static Task<bool> write_once(std::shared_ptr<Shared> shared, std::shared_ptr<Entry> entry);
  static void adopt(Entry& entry, PodPtr pod);

  std::shared_ptr<Shared> shared_;
  std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries_;
};

}  // namespace knarr::kubelet
