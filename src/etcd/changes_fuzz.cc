// SPDX-License-Identifier: Apache-2.0
// Whatever comes instead of etcd's watch answers: two messages into one reader.
#include "etcd/changes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  knarr::etcd::ChangeReader reader;
  size_t half = size / 2;
  for (std::string_view message : {bytes.substr(0, half), bytes.substr(half)}) {
    auto events = reader.read(message);
    if (!events.ok()) return 0;
    for (size_t i = 1; i < events->size(); ++i)
      if ((*events)[i].revision < (*events)[i - 1].revision) __builtin_trap();
  }
  return 0;
}
