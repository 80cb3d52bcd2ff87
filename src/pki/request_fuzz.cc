// SPDX-License-Identifier: Apache-2.0
#include "pki/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)knarr::pki::read_certificate_request(text);
  return 0;
}
