// SPDX-License-Identifier: Apache-2.0
// Addresses come from objects that any user may write.
#include "base/status.h"
#include "proxy/address.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::proxy;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto address = parse_address(text)) KNARR_CHECK(parse_address(address->text()) == address);
  if (auto cidr = parse_cidr(text)) KNARR_CHECK(cidr->contains(cidr->address));
  return 0;
}
