// SPDX-License-Identifier: Apache-2.0
// Columns of text as Go's text/tabwriter lays them out with (minimum width 10, padding 3).
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace knarr::kubeadm {

inline std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  constexpr size_t kLeast = 10, kPadding = 3;
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), kLeast);
    // The last cell of a row has no width: nothing follows it.
    for (size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size() + kPadding);
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size(), ' ');
    }
    out += "\n";
  }
  return out;
}

}  // namespace knarr::kubeadm
