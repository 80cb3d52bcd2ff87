// SPDX-License-Identifier: Apache-2.0
// Small file operations with errors as values. Blocking; for start-up and tools, or inside run_blocking().
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr {

Result<std::string> read_file(const std::string& path);
// Written beside, synced, renamed: readers see the old or the new file, also after a crash.
Status write_file(const std::string& path, std::string_view content, mode_t mode = 0644);
Status make_dirs(const std::string& path, mode_t mode = 0755);
bool file_exists(const std::string& path);
Result<std::vector<std::string>> list_dir(const std::string& path);  // names, sorted
std::string dir_name(std::string_view path);
std::string base_name(std::string_view path);
// Of the running program, through /proc/self/exe.
std::string executable_path();

}  // namespace knarr
