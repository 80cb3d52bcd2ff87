// SPDX-License-Identifier: Apache-2.0
#include "kubelet/env/expansion.h"

namespace knarr::kubelet {

std::string expand_variables(std::string_view text, const VariableLookup& lookup, size_t* missing) {
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  bool may_close =
      true;  // false once no ')' is left, so that many "$(" do not each scan to the end
  while (at < text.size()) {
    size_t dollar = text.find('$', at);
    // A lone '$' at the very end is plain text.
    if (dollar == std::string_view::npos || dollar + 1 == text.size()) break;
    out.append(text, at, dollar - at);
    char next = text[dollar + 1];
    if (next == '$') {
      out += '$';
      at = dollar + 2;
      continue;
    }
    size_t close = std::string_view::npos;
    if (next == '(' && may_close) {
      close = text.find(')', dollar + 2);
      may_close = close != std::string_view::npos;
    }
    if (close == std::string_view::npos) {
      // Not a reference (or one that never ends): both characters stay, and scanning goes on after
      // them.
      out += '$';
      out += next;
      at = dollar + 2;
      continue;
    }
    std::string_view name = text.substr(dollar + 2, close - dollar - 2);
    if (std::optional<std::string_view> value = lookup(name)) {
      out.append(*value);
    } else {
      out.append(text, dollar, close + 1 - dollar);
      if (missing != nullptr) ++*missing;
    }
    at = close + 1;
  }
  out.append(text, at, std::string_view::npos);
  return out;
}

}  // namespace knarr::kubelet
