// SPDX-License-Identifier: Apache-2.0
// The program that runs the host's services: systemd or OpenRC, asked through its command line as upstream does.
#pragma once

#include <memory>
#include <string>

#include "kubeadm/host.h"

namespace knarr::kubeadm {

class InitSystem {
 public:
  virtual ~InitSystem() = default;
  virtual bool exists(const std::string& service) = 0;
  virtual bool is_enabled(const std::string& service) = 0;
  virtual bool is_active(const std::string& service) = 0;
  virtual std::string enable_command(const std::string& service) const = 0;
  virtual Status restart(const std::string& service) = 0;
  virtual Status stop(const std::string& service) = 0;
};

// Null when the host has neither.
std::unique_ptr<InitSystem> find_init_system(Host& host);
inline constexpr char kNoInitSystem[] = "no supported init system detected, skipping checking for services";

// What the phases do with the kubelet: failures are told, never fatal.
void try_stop_kubelet(Host& host);
void try_start_kubelet(Host& host);
void try_restart_kubelet(Host& host);

}  // namespace knarr::kubeadm
