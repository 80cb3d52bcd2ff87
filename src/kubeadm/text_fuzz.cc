// SPDX-License-Identifier: Apache-2.0
// The small parsers: durations, times, ranges, endpoints, versions, kernel configurations, controllers, patch names.
#include "kubeadm/patches.h"
#include "kubeadm/system_check.h"
#include "kubeadm/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::kubeadm;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto duration = parse_duration(text); duration.ok()) {
    auto again = parse_duration(format_duration(*duration));
    if (!again.ok()) __builtin_trap();
  }
  (void)parse_rfc3339(text).ok();
  if (auto cidr = parse_cidr(text); cidr.ok()) (void)nth_address(*cidr, 10).ok();
  (void)parse_host_port(text).ok();
  (void)parse_version(text).has_value();
  (void)parse_kernel_config(text).size();
  (void)parse_cgroups_v1(text).size();
  (void)gunzip(text).ok();
  (void)parse_patch_name(text).ok();
  return 0;
}
