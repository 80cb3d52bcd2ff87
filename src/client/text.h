// SPDX-License-Identifier: Apache-2.0
// Small helpers on text and files. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::client {

std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);  // standard alphabet, line breaks allowed
std::string_view trim(std::string_view text);
Result<std::string> read_text_file(const std::string& path);

}  // namespace knarr::client
