// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/kubeadm.h"

#include "cmd/commands.h"

namespace knarr::cmd {

int kubeadm_main(int argc, char** argv) { return kubeadm::run(kubeadm::this_host(), std::vector<std::string>(argv + 1, argv + argc)); }

}  // namespace knarr::cmd
