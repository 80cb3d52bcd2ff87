// SPDX-License-Identifier: Apache-2.0
// This node on the API: registration, status (when it changes, else every five minutes), the heartbeat Lease.
//
// Periods are the contract with the node lifecycle controller: the lease is renewed each quarter of its duration. One executor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/informer.h"
#include "kubelet/context.h"
#include "kubelet/node/machine_info.h"
#include "kubelet/node/node_status.h"

namespace knarr::kubelet {

class NodeManager {
 public:
  NodeManager(Context& context, MachineInfo machine);
  ~NodeManager();

  // Asks the runtime who it is and whether it is ready; fills what the context tells others. Until it answers, tries again.
  Task<void> learn();
  // Registers, then keeps status and lease up to date.
  void start();
  void stop();
  // Something that shows in the status may have changed (an image was pulled).
  void wake();
  // What the node is short of.
  void set_pressure(bool memory, bool disk, bool pid);
  // Called when the network becomes ready or not.
  void on_network_change(std::function<void()> callback);
  // As last seen: kept current by a watch.
  const core::Node* node() const;
  // Reads it from the API now.
  Task<void> refresh();

 private:
  struct Impl;
  static Task<void> status_loop(std::shared_ptr<Impl> impl);
  static Task<void> lease_loop(std::shared_ptr<Impl> impl);
  static Task<bool> check_runtime(std::shared_ptr<Impl> impl);
  static Task<bool> register_node(std::shared_ptr<Impl> impl);
  static Task<bool> write_status(std::shared_ptr<Impl> impl);
  static Task<void> read_node(std::shared_ptr<Impl> impl);
  static void adopt(Impl& impl, core::Node node);
  static Task<bool> renew_lease(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
