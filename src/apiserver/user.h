// SPDX-License-Identifier: Apache-2.0
// Who asks.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::apiserver {

struct User {
  std::string name, uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  bool in_group(std::string_view group) const {
    for (const std::string& g : groups)
      if (g == group) return true;
    return false;
  }
};

}  // namespace knarr::apiserver
