// SPDX-License-Identifier: Apache-2.0
// Security settings of pods and containers as CRI wants them. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "kubelet/cri/runtime_service.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

// The user that an image runs as: a number, or a name, or neither (root).
struct ImageUser {
  std::optional<int64_t> uid;
  std::string name;
};

// The container's settings over the pod's.
core::SecurityContext effective_security_context(const core::Pod& pod, const core::Container& container);

// CreateContainerConfigError texts when runAsNonRoot is broken.
Status verify_run_as_non_root(const core::Pod& pod, const core::Container& container, const ImageUser& user);

struct SecurityDefaults {
  std::string seccomp_root;      // ROOT/seccomp, for Localhost profiles
  bool seccomp_default = false;  // RuntimeDefault where nothing is said
};
Result<cri::LinuxContainerSecurityContext> container_security_context(const core::Pod& pod, const core::Container& container,
                                                                      const ImageUser& user, const SecurityDefaults& defaults);
cri::LinuxSandboxSecurityContext sandbox_security_context(const core::Pod& pod);
cri::NamespaceOption namespaces_of(const core::Pod& pod);

}  // namespace knarr::kubelet
