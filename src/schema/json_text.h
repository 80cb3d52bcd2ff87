// SPDX-License-Identifier: Apache-2.0
// The texts of JSON scalars, as Go's encoding/json writes and reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace knarr::schema {

// Quoted; escapes control characters, and <, >, & and U+2028/9 as Go's HTML-safe encoder does;
// broken UTF-8 becomes \ufffd.
void append_json_string(std::string& out, std::string_view text);
void append_int(std::string& out, int64_t value);
void append_uint(std::string& out, uint64_t value);
// Shortest text that reads back; exponents below 1e-6 and from 1e21 on. NaN and infinities, which
// JSON lacks, become null.
void append_double(std::string& out, double value);
void append_float(std::string& out, float value);
// False when the literal overflows.
bool parse_double(std::string_view literal, double& value);
bool parse_float(std::string_view literal, float& value);
void append_base64(std::string& out, std::string_view bytes);
// Standard alphabet, padded, line ends ignored. On failure `bad_offset` is where Go says that the
// input is illegal.
bool parse_base64(std::string_view text, std::string& out, size_t& bad_offset);

}  // namespace knarr::schema
