// SPDX-License-Identifier: Apache-2.0
// Names of fields as expressions write them: "my-field" is my__dash__field, "namespace" is
// __namespace__.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace knarr::cel {

// Nothing for names that no expression can write.
std::optional<std::string> escape_field(std::string_view name);
std::optional<std::string> unescape_field(std::string_view escaped);

}  // namespace knarr::cel
