// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "kubelet/image/image_name.h"
#include "kubelet/runtime/pod_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)knarr::kubelet::with_default_tag(text).ok();
  (void)knarr::kubelet::tail_of_cri_log(text, 80, 2048);
  return 0;
}
