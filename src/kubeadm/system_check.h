// SPDX-License-Identifier: Apache-2.0
// What the kernel must offer: k8s.io/system-validators as pure functions over texts of /proc.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr::kubeadm {

bool kernel_release_is_supported(std::string_view release);            // 3.10 or later
// Options of a kernel configuration: CONFIG_X=y|m|n. Other lines are passed over.
std::map<std::string, char> parse_kernel_config(std::string_view text);
// gzip as /proc/config.gz has it; bounded to 16 MiB.
Result<std::string> gunzip(std::string_view bytes);

enum class Verdict { kGood, kBad, kWarn };
struct ReportLine {
  std::string key, value;
  Verdict verdict;
};
// Appends a line per option; the names of required options that are missing.
std::vector<std::string> check_kernel_config(const std::map<std::string, char>& config, std::vector<ReportLine>& report);
std::vector<std::string> parse_cgroups_v1(std::string_view proc_cgroups);  // enabled controllers
struct CgroupFindings {
  std::vector<std::string> missing_required, missing_optional;
};
CgroupFindings check_cgroups(const std::vector<std::string>& enabled, bool unified, std::vector<ReportLine>& report);
std::string format_report(const std::vector<ReportLine>& report);       // colored, as on a terminal

}  // namespace knarr::kubeadm
