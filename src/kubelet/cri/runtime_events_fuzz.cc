// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "kubelet/cri/runtime_events.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)knarr::kubelet::parse_event({reinterpret_cast<const char*>(data), size}).ok();
  return 0;
}
