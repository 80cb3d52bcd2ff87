// SPDX-License-Identifier: Apache-2.0
// Bytes read back from disk are judged like any other input.
#include "store/pending.h"
#include "store/records.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::store;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto changes = decode_changes(bytes);
  // What was accepted is said the same way again.
  if (changes.ok() && !changes->empty() && encode_changes(*changes) != bytes) __builtin_trap();
  (void)LogRecord::parse(bytes);
  (void)State::parse(bytes);
  return 0;
}
