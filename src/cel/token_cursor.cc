// SPDX-License-Identifier: Apache-2.0
#include "cel/token_cursor.h"

#include <algorithm>

namespace knarr::cel {

using Kind = Token::Kind;

namespace {

constexpr Operator kRelations[] = {
    {Kind::kLess, "_<_", 1},    {Kind::kLessEqual, "_<=_", 1}, {Kind::kGreaterEqual, "_>=_", 1},
    {Kind::kGreater, "_>_", 1}, {Kind::kEqual, "_==_", 1},     {Kind::kNotEqual, "_!=_", 1},
    {Kind::kIn, "@in", 1}};
constexpr Operator kCalculations[] = {{Kind::kStar, "_*_", 2},
                                      {Kind::kSlash, "_/_", 2},
                                      {Kind::kPercent, "_%_", 2},
                                      {Kind::kPlus, "_+_", 1},
                                      {Kind::kMinus, "_-_", 1}};

template <size_t N>
const Operator* find_operator(const Operator (&table)[N], Kind token) {
  const Operator* found =
      std::find_if(table, table + N, [&](const Operator& o) { return o.token == token; });
  return found == table + N ? nullptr : found;
}

}  // namespace

const Operator* find_relation(Kind token) { return find_operator(kRelations, token); }
const Operator* find_calculation(Kind token) { return find_operator(kCalculations, token); }

bool starts_expression(Kind kind) {
  switch (kind) {
    case Kind::kLeftBracket:
    case Kind::kLeftBrace:
    case Kind::kLeftParen:
    case Kind::kDot:
    case Kind::kMinus:
    case Kind::kNot:
    case Kind::kTrue:
    case Kind::kFalse:
    case Kind::kNull:
    case Kind::kFloat:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kIdent:
      return true;
    default:
      return false;
  }
}

Token TokenCursor::take() {
  Token token = now();
  if (!is(Kind::kEnd)) ++at_;
  recovering_ = false;
  expecting_ = kStartOfExpression;
  return token;
}
bool TokenCursor::take_if(Kind kind) {
  if (!is(kind)) return false;
  take();
  return true;
}

void TokenCursor::report(std::string message) {
  if (!recovering_ && !too_deep_) issues_.add_syntax_error(now().offset, message);
  recovering_ = true;
}

bool TokenCursor::may_follow(Kind kind, bool anywhere) const {
  if (kind == Kind::kDot || kind == Kind::kLeftBracket || kind == Kind::kQuestion ||
      kind == Kind::kAnd || kind == Kind::kOr)
    return true;
  if (find_relation(kind) != nullptr || find_calculation(kind) != nullptr) return true;
  if (followers_.empty()) return kind == Kind::kEnd;
  for (size_t i = followers_.size(); i-- > 0;) {
    if (followers_[i].first == kind || followers_[i].second == kind) return true;
    if (!anywhere) return false;
  }
  return kind == Kind::kEnd;
}
void TokenCursor::skip_to_follower() {
  while (!is(Kind::kEnd) && !may_follow(now().kind, true)) ++at_;
}

void TokenCursor::expect(Kind kind, std::string_view name, std::string_view expecting) {
  if (take_if(kind)) return;
  std::string wanted(expecting.empty() ? name : expecting);
  if (!is(Kind::kEnd) && tokens_[at_ + 1].kind == kind) {
    report("extraneous input '" + shown(now()) + "' expecting " + wanted);
    ++at_;
    take();
    return;
  }
  bool made_up = expecting.empty() && (kind == Kind::kColon ? starts_expression(now().kind)
                                                            : may_follow(now().kind, false));
  if (made_up) return report("missing " + wanted + " at '" + shown(now()) + "'");
  report("mismatched input '" + shown(now()) + "' expecting " + wanted);
  skip_to_follower();
}

void TokenCursor::give_up() {
  if (!too_deep_) issues_.add(-1, -1, "expression recursion limit exceeded: 250");
  too_deep_ = true;
  at_ = tokens_.size() - 1;  // everything ends here
}

}  // namespace knarr::cel
