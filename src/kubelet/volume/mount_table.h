// SPDX-License-Identifier: Apache-2.0
// Reading /proc/self/mountinfo. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace knarr::kubelet {

// Mount points at or below `path` in the text of a mountinfo file, deepest first. Malformed lines
// are passed over.
std::vector<std::string> mount_points_below(std::string_view table, std::string_view path);

}  // namespace knarr::kubelet
