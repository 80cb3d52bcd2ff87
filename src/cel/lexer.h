// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "cel/issues.h"

namespace knarr::cel {

struct Token {
  enum class Kind : uint8_t {
    kEnd,
    kIdent,
    kInt,
    kUint,
    kFloat,
    kString,
    kBytes,
    kTrue,
    kFalse,
    kNull,
    kIn,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreaterEqual,
    kGreater,
    kAnd,
    kOr,
    kLeftBracket,
    kRightBracket,
    kLeftBrace,
    kRightBrace,
    kLeftParen,
    kRightParen,
    kDot,
    kComma,
    kMinus,
    kNot,
    kQuestion,
    kColon,
    kPlus,
    kStar,
    kSlash,
    kPercent,
  };
  Kind kind = Kind::kEnd;
  std::string_view text;  // into the source
  int32_t offset = 0;     // in code points
};

// The whole text as tokens, the last one kEnd. What is no token is reported ("token recognition
// error at: '@'") and passed over.
std::vector<Token> tokenize(std::string_view source, Issues& issues);

// The text that a string or bytes literal means; false and upstream's reason when an escape is
// wrong.
bool unescape_literal(std::string_view token, bool is_bytes, std::string& out, std::string& reason);

}  // namespace knarr::cel
