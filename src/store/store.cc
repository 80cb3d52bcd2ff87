// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

namespace knarr::store {

Task<Status> Store::catch_up() { co_return Status(); }

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    auto last = static_cast<unsigned char>(end.back());
    if (last != 0xff) {
      end.back() = static_cast<char>(last + 1);
      return end;
    }
    end.pop_back();
  }
  return end;  // empty: no key is greater, the range is open
}

}  // namespace knarr::store
