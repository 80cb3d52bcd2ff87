// SPDX-License-Identifier: Apache-2.0
// What nft prints holds names of every program's chains.
#include "base/status.h"
#include "proxy/nftables_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::proxy;
  for (const std::string& name : parse_nft_names({reinterpret_cast<const char*>(data), size}, "ip kube-proxy", "chain"))
    KNARR_CHECK(name.find('\n') == std::string::npos);
  return 0;
}
