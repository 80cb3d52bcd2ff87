// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "trace/answer.h"

// What is read is written and read again as it was.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  knarr::trace::Ring ring(4);
  (void)knarr::trace::answer_query(ring, text).ok();
  auto answer = knarr::trace::parse_answer(text);
  if (!answer.ok()) return 0;
  std::string once = knarr::trace::write_answer(*answer);
  auto again = knarr::trace::parse_answer(once);
  if (!again.ok() || knarr::trace::write_answer(*again) != once) __builtin_trap();
  return 0;
}
