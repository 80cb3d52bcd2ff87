// SPDX-License-Identifier: Apache-2.0
// Whatever comes in a datagram: what can be read is written, read again, and is the same.
#include "dns/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::dns;
  auto message = parse_message({reinterpret_cast<const char*>(data), size});
  if (!message.ok()) return 0;
  for (const Question& question : message->questions) {
    auto again = Name::from_text(question.name.text());
    KNARR_CHECK(again.ok() && again->wire() == question.name.wire());
  }
  std::string small, large;
  encode_message(*message, 512, &small);
  KNARR_CHECK(message->questions.size() > 1 || small.size() <= 512);
  encode_message(*message, 1 << 24, &large);
  if (large.size() > 65535) return 0;
  auto again = parse_message(large);
  KNARR_CHECK(again.ok() && again->answers == message->answers && again->authorities == message->authorities &&
              again->additionals == message->additionals && again->questions == message->questions && again->rcode == message->rcode);
  return 0;
}
