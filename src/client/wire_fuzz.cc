// SPDX-License-Identifier: Apache-2.0
// Whatever a server sends on a watch or as a list: no crash, no read past the end.
#include "api/core_v1.h"
#include "client/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::client;
  using knarr::api::core_v1::ConfigMap;
  if (size == 0) return 0;
  bool protobuf = (data[0] & 1) != 0;
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  FrameSplitter splitter(protobuf);
  size_t half = bytes.size() / 2;
  for (std::string_view piece : {bytes.substr(0, half), bytes.substr(half)}) {
    splitter.append(piece);
    while (true) {
      auto frame = splitter.next();
      if (!frame.ok() || frame->empty()) break;
      auto event = decode_watch_event(protobuf, *frame, ConfigMap::table());
      (void)event.ok();
    }
  }
  auto list = decode_list(protobuf ? kProtobufType : kJsonType, bytes, ConfigMap::table());
  (void)list.ok();
  return 0;
}
