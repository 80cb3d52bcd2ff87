// SPDX-License-Identifier: Apache-2.0
// The container runtime of the host, through crictl as upstream's kubeadm v1.28 does.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "kubeadm/host.h"

namespace knarr::kubeadm {

class Runtime {
 public:
  Runtime(Host& host, std::string socket) : host_(host), socket_(std::move(socket)) {}
  Status is_running();
  bool has_image(const std::string& image);
  // Tags and digests of all that it has, by one run; none when it does not say. A name that is not here may still be one (has_image).
  std::set<std::string> images();
  // Five attempts.
  Status pull(const std::string& image);
  Result<std::string> sandbox_image();
  Result<std::vector<std::string>> pods();                 // ids of sandboxes
  Status remove_pods(const std::vector<std::string>& ids); // stops and removes each; the failures together

 private:
  // Output of a run that succeeded; its failure holds both streams and the exit status.
  Result<ProgramOutput> crictl(std::vector<std::string> args, const std::string& failure);
  Host& host_;
  std::string socket_;
};

}  // namespace knarr::kubeadm
