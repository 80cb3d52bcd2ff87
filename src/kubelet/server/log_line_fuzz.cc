// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "kubelet/server/log_line.h"

// The first byte chooses options, the rest is a log file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  knarr::kubelet::LogOptions options;
  options.timestamps = (data[0] & 1) != 0;
  options.limit_bytes = (data[0] & 2) != 0 ? data[0] : -1;
  knarr::kubelet::LogFormatter formatter(options);
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  std::string out;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    size_t length = end == std::string_view::npos ? rest.size() : end + 1;
    formatter.add(rest.substr(0, length), out);
    rest.remove_prefix(length);
  }
  if (options.limit_bytes >= 0 && out.size() > static_cast<size_t>(options.limit_bytes))
    __builtin_trap();
  return 0;
}
