// SPDX-License-Identifier: Apache-2.0
// What iptables-save prints holds chains and comments of every program on the machine.
#include "base/status.h"
#include "proxy/iptables_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::proxy;
  SavedTable table = parse_saved_table({reinterpret_cast<const char*>(data), size});
  for (const Jump& jump : kJumps) (void)find_jump(table, jump);
  for (const std::string& rule : table.rules) KNARR_CHECK(rule.starts_with("-A "));
  return 0;
}
