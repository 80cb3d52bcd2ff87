// SPDX-License-Identifier: Apache-2.0
// The parser's place among the tokens, and what it says about tokens that do not fit. Syntax errors
// are worded as the generated parser of cel-go words the common ones: one superfluous or missing
// token is passed over, then parsing goes on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cel/issues.h"
#include "cel/lexer.h"

namespace knarr::cel {

// What may stand at a place, in the words of the messages.
inline constexpr std::string_view kStartOfExpression =
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, "
    "BYTES, IDENTIFIER}";
inline constexpr std::string_view kStartOfArguments =
    "{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
    "STRING, BYTES, IDENTIFIER}";
inline constexpr std::string_view kStartOfIndex =
    "{'[', '{', '(', '.', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, "
    "STRING, BYTES, IDENTIFIER}";
inline constexpr std::string_view kStartOfList =
    "{'[', ']', '{', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, "
    "NUM_UINT, STRING, BYTES, IDENTIFIER}";
inline constexpr std::string_view kStartOfMap =
    "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, "
    "NUM_UINT, STRING, BYTES, IDENTIFIER}";

struct Operator {
  Token::Kind token;
  const char* function;
  int precedence;
};
// Null when the token is no operator of the kind.
const Operator* find_relation(Token::Kind token);
const Operator* find_calculation(Token::Kind token);
bool starts_expression(Token::Kind kind);

class TokenCursor {
 protected:
  using Kind = Token::Kind;
  TokenCursor(std::string_view source, Issues& issues)
      : issues_(issues), tokens_(tokenize(source, issues)) {}

  const Token& now() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1]; }  // not at the end
  bool is(Kind kind) const { return now().kind == kind; }
  static std::string shown(const Token& token) {
    return token.kind == Kind::kEnd ? "<EOF>" : std::string(token.text);
  }
  Token take();
  bool take_if(Kind kind);
  void pass_over() { ++at_; }

  // One mistake is reported once: nothing more until a token fits again.
  void report(std::string message);
  // Whether a complete operand may be followed by the token, here or, with `anywhere`, in something
  // around this.
  bool may_follow(Kind kind, bool anywhere) const;
  void skip_to_follower();
  // The token that must come now. One before it is passed over; it is made up when what stands
  // there could follow it.
  void expect(Kind kind, std::string_view name, std::string_view expecting = "");
  void give_up();  // too deep: everything ends here

  Issues& issues_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  bool recovering_ = false, too_deep_ = false;
  std::string_view expecting_ = kStartOfExpression;  // what a message says may stand here
  std::vector<std::pair<Kind, Kind>>
      followers_;  // what may come after the expressions around this place
};

}  // namespace knarr::cel
