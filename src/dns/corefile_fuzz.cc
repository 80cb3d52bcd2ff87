// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto config = knarr::dns::read_corefile({reinterpret_cast<const char*>(data), size});
  (void)config.ok();
  return 0;
}
