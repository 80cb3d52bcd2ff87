// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "base/version.h"
#include "cmd/commands.h"

namespace knarr::cmd {

int version_main(int, char**) {
  std::printf("knarr %s (Kubernetes %s)\n", kKnarrVersion, kKubernetesVersion);
  return 0;
}

}  // namespace knarr::cmd
