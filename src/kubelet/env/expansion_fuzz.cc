// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "kubelet/env/expansion.h"
#include "kubelet/env/field_path.h"
#include "kubelet/env/pod_network_files.h"
#include "kubelet/volume/mount_table.h"
#include "kubelet/volume/tree.h"

// Expansion and the small text parsers of the kubelet.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t missing = 0;
  // Without variables nothing changes but that "$$" loses a dollar.
  std::string out = knarr::kubelet::expand_variables(
      text, [](std::string_view) { return std::optional<std::string_view>(); }, &missing);
  if (out.size() > text.size()) __builtin_trap();
  (void)knarr::kubelet::go_quote(text);
  (void)knarr::kubelet::split_subscript(text);
  (void)knarr::kubelet::parse_resolv_conf(text);
  (void)knarr::kubelet::mount_points_below(text, "/var/lib");
  std::string clean = knarr::kubelet::clean_path(text);
  if (knarr::kubelet::clean_path(clean) != clean) __builtin_trap();
  return 0;
}
