// SPDX-License-Identifier: Apache-2.0
// One of several candidates leads: client-go's leader election on a Lease, with upstream's times (15 s lease, 10 s to renew, 2 s between
// tries) and the identity HOSTNAME_UUID. Works among upstream's candidates and ours. One executor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/client.h"
#include "client/events.h"

namespace knarr::client {

struct LeaderElectionOptions {
  std::string namespace_ = "kube-system";
  std::string name;                          // of the Lease: "kube-controller-manager"
  std::string identity;                      // "" = HOSTNAME_UUID
  Duration lease = std::chrono::seconds(15);
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry = std::chrono::seconds(2);
  EventRecorder* events = nullptr;           // "became leader", "stopped leading"
};

class LeaderElector {
 public:
  LeaderElector(Client& client, Executor executor, LeaderElectionOptions options);
  ~LeaderElector();
  // Returns once this candidate leads (or stop() was called: false).
  Task<bool> acquire();
  // Renews until leadership is lost or stop() is called. The caller then ends what it started (upstream ends the process).
  Task<void> hold();
  Task<void> ended();  // after stop(): until hold() has given the lease up, two seconds at most
  void stop();     // and gives the lease up when held
  bool is_leader() const;
  std::string leader() const;                // as last seen
  const std::string& identity() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::client
