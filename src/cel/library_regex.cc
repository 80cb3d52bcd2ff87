// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include "cel/library.h"
#include "schema/utf8.h"

namespace knarr::cel {
namespace {

// RE2 and Go's regexp are of one family: the same mistakes by other words.
std::string_view go_words(RE2::ErrorCode code) {
  switch (code) {
    case RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
      return "invalid character class";
    case RE2::ErrorBadCharRange:
      return "invalid character class range";
    case RE2::ErrorMissingBracket:
      return "missing closing ]";
    case RE2::ErrorMissingParen:
      return "missing closing )";
    case RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    default:
      return "expression too large";
  }
}

class Re2Regex : public Regex {
 public:
  explicit Re2Regex(std::string_view pattern)
      : re_(re2::StringPiece(pattern.data(), pattern.size()), options()) {}
  bool ok() const { return re_.ok(); }
  std::string error(std::string_view pattern) const {
    // Go shows the whole pattern for parentheses that do not match, the part that is wrong
    // otherwise.
    bool whole = re_.error_code() == RE2::ErrorMissingParen ||
                 re_.error_code() == RE2::ErrorUnexpectedParen ||
                 re_.error_code() == RE2::ErrorPatternTooLarge;
    std::string_view part = whole || re_.error_code() == RE2::ErrorTrailingBackslash
                                ? pattern
                                : std::string_view(re_.error_arg());
    if (re_.error_code() == RE2::ErrorTrailingBackslash) part = "";
    return "error parsing regexp: " + std::string(go_words(re_.error_code())) + ": `" +
           std::string(part) + "`";
  }

  bool matches(std::string_view text) const override {
    return re_.Match(piece(text), 0, text.size(), RE2::UNANCHORED, nullptr, 0);
  }

  bool find(std::string_view text, std::string_view& out) const override {
    re2::StringPiece found;
    if (!re_.Match(piece(text), 0, text.size(), RE2::UNANCHORED, &found, 1)) return false;
    out = {found.data(), found.size()};
    return true;
  }

  // An empty match next to the match before it does not count.
  std::vector<std::string_view> find_all(std::string_view text, int64_t limit) const override {
    std::vector<std::string_view> out;
    size_t at = 0, previous_end = std::string_view::npos;
    re2::StringPiece found;
    while ((limit < 0 || out.size() < static_cast<uint64_t>(limit)) && at <= text.size() &&
           re_.Match(piece(text), at, text.size(), RE2::UNANCHORED, &found, 1)) {
      size_t from = static_cast<size_t>(found.data() - text.data()), end = from + found.size();
      if (found.size() != 0 || from != previous_end) out.push_back(text.substr(from, found.size()));
      previous_end = end;
      at = end;
      if (found.size() != 0) continue;
      if (at >= text.size()) break;
      const char* next = text.data() + at;
      (void)schema::decode_utf8(next, text.data() + text.size());
      at = static_cast<size_t>(next - text.data());
    }
    return out;
  }

 private:
  static re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }
  static RE2::Options options() {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(int64_t{4} << 20);
    return options;
  }
  RE2 re_;
};

// The regex of a call: of its constant pattern, or compiled now.
const Regex* regex_of(const Call& call, std::shared_ptr<const Regex>& made, std::string& error) {
  if (call.regex != nullptr) return call.regex;
  made = Regex::compile(call.args[1].text(), error);
  return made.get();
}

}  // namespace

std::shared_ptr<const Regex> Regex::compile(std::string_view pattern, std::string& error) {
  auto made = std::make_shared<const Re2Regex>(pattern);
  if (made->ok()) return made;
  error = made->error(pattern);
  return nullptr;
}

namespace functions {

Value matches(const Call& call) {
  if (!call.args[0].is(Value::Kind::kString))
    return call.regex != nullptr ? cel::no_such_overload() : no_such_overload(call);
  if (!call.args[1].is(Value::Kind::kString)) return cel::no_such_overload();
  std::shared_ptr<const Regex> made;
  std::string error;
  const Regex* regex = regex_of(call, made, error);
  return regex == nullptr ? Value::error(call.arena, error)
                          : Value::boolean(regex->matches(call.args[0].text()));
}

Value find(const Call& call) {
  if (!call.args[0].is(Value::Kind::kString)) return cel::no_such_overload();
  std::shared_ptr<const Regex> made;
  std::string error;
  const Regex* regex = regex_of(call, made, error);
  if (regex == nullptr) return Value::error(call.arena, "Illegal regex: " + error);
  std::string_view found = "";
  (void)regex->find(call.args[0].text(), found);
  return Value::string(found);
}

Value find_all(const Call& call) {
  if (!call.args[0].is(Value::Kind::kString) ||
      (call.args.size() > 2 && !call.args[2].is(Value::Kind::kInt)))
    return cel::no_such_overload();
  std::shared_ptr<const Regex> made;
  std::string error;
  const Regex* regex = regex_of(call, made, error);
  if (regex == nullptr) return Value::error(call.arena, "Illegal regex: " + error);
  std::vector<std::string_view> found =
      regex->find_all(call.args[0].text(), call.args.size() > 2 ? call.args[2].as_int() : -1);
  Value* items = call.arena.values(found.size());
  for (size_t i = 0; i < found.size(); ++i) items[i] = Value::string(found[i]);
  return Value::list(items, found.size());
}

}  // namespace functions
}  // namespace knarr::cel
