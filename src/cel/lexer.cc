// SPDX-License-Identifier: Apache-2.0
#include "cel/lexer.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>

#include "schema/utf8.h"

namespace knarr::cel {
namespace {

using Kind = Token::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

struct Sign {
  std::string_view text;
  Kind kind;
};
// Longer ones first.
constexpr Sign kSigns[] = {
    {"==", Kind::kEqual},        {"!=", Kind::kNotEqual},  {"<=", Kind::kLessEqual},
    {">=", Kind::kGreaterEqual}, {"&&", Kind::kAnd},       {"||", Kind::kOr},
    {"<", Kind::kLess},          {">", Kind::kGreater},    {"[", Kind::kLeftBracket},
    {"]", Kind::kRightBracket},  {"{", Kind::kLeftBrace},  {"}", Kind::kRightBrace},
    {"(", Kind::kLeftParen},     {")", Kind::kRightParen}, {".", Kind::kDot},
    {",", Kind::kComma},         {"-", Kind::kMinus},      {"!", Kind::kNot},
    {"?", Kind::kQuestion},      {":", Kind::kColon},      {"+", Kind::kPlus},
    {"*", Kind::kStar},          {"/", Kind::kSlash},      {"%", Kind::kPercent},
};
constexpr Sign kWords[] = {
    {"true", Kind::kTrue}, {"false", Kind::kFalse}, {"null", Kind::kNull}, {"in", Kind::kIn}};

class Lexer {
 public:
  Lexer(std::string_view source, Issues& issues) : source_(source), issues_(issues) {}

  std::vector<Token> run() {
    while (skip_space(), at_ < source_.size()) token();
    tokens_.push_back({Kind::kEnd, source_.substr(source_.size()), offset_});
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  void advance(size_t bytes) {
    const char *from = source_.data() + at_, *end = from + bytes;
    while (from < end) {
      (void)schema::decode_utf8(from, end);
      ++offset_;
    }
    at_ += bytes;
  }

  void skip_space() {
    while (at_ < source_.size()) {
      if (std::strchr("\t \r\n\f", source_[at_]) != nullptr && source_[at_] != '\0') {
        advance(1);
      } else if (source_.compare(at_, 2, "//") == 0) {
        advance(std::min(source_.find('\n', at_), source_.size()) - at_);
      } else {
        return;
      }
    }
  }

  void emit(Kind kind, size_t size) {
    tokens_.push_back({kind, source_.substr(at_, size), offset_});
    advance(size);
  }

  // Size of the code point at `position`, for messages and for skipping it.
  size_t code_point(size_t position) const {
    if (position >= source_.size()) return 0;
    const char *from = source_.data() + position, *start = from;
    (void)schema::decode_utf8(from, source_.data() + source_.size());
    return static_cast<size_t>(from - start);
  }

  // Nothing matches from here up to and with the code point at `failed`.
  void fail(size_t failed) {
    size_t end = failed + code_point(failed);
    issues_.add_syntax_error(offset_, "token recognition error at: '" +
                                          std::string(source_.substr(at_, end - at_)) + "'");
    advance(end - at_);
  }

  void token() {
    char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    size_t failed = at_;
    if (is_string_start()) {
      size_t prefix = 0;
      while (peek(prefix) != '"' && peek(prefix) != '\'') ++prefix;
      bool is_bytes = prefix > 0 && (c == 'b' || c == 'B');
      bool is_raw = prefix == 2 || (prefix == 1 && !is_bytes);
      if (size_t size = string(at_ + prefix, is_raw, failed))
        return emit(is_bytes ? Kind::kBytes : Kind::kString, prefix + size);
      if (prefix == 0) return fail(failed);
    }
    if (is_letter(c)) return word();
    for (const Sign& sign : kSigns)
      if (source_.compare(at_, sign.text.size(), sign.text) == 0)
        return emit(sign.kind, sign.text.size());
    // The first half of a two-letter sign fails at what follows it.
    fail(c == '=' || c == '&' || c == '|' ? at_ + 1 : at_);
  }

  bool is_string_start() const {
    size_t i = 0;
    if (peek(i) == 'b' || peek(i) == 'B') ++i;
    if (peek(i) == 'r' || peek(i) == 'R') ++i;
    return peek(i) == '"' || peek(i) == '\'';
  }

  // The size of the literal whose quote is at `from`; 0 when it does not end, with the place where
  // that shows.
  size_t string(size_t from, bool is_raw, size_t& failed) const {
    char quote = source_[from];
    if (source_.size() >= from + 3 && source_[from + 1] == quote && source_[from + 2] == quote) {
      std::string_view end(source_.data() + from, 3);
      for (size_t i = from + 3; i < source_.size();) {
        if (source_.compare(i, 3, end) == 0) return i + 3 - from;
        size_t step = !is_raw && source_[i] == '\\' ? escape(i) : 1;
        if (step == 0) break;
        i += step;
      }
      return 2;  // "" and then something else
    }
    for (size_t i = from + 1;;) {
      failed = i;
      if (i >= source_.size() || source_[i] == '\n' || source_[i] == '\r') return 0;
      if (source_[i] == quote) return i + 1 - from;
      size_t step = !is_raw && source_[i] == '\\' ? escape(i, &failed) : 1;
      if (step == 0) return 0;
      i += step;
    }
  }

  // The size of the escape at `from`, 0 when it is none.
  size_t escape(size_t from, size_t* failed = nullptr) const {
    auto at = [&](size_t i) { return from + i < source_.size() ? source_[from + i] : '\0'; };
    auto stop = [&](size_t i) {
      if (failed != nullptr) *failed = std::min(from + i, source_.size());
      return size_t{0};
    };
    char c = at(1);
    if (c != '\0' && std::strchr("abfnrtv\"'\\?`", c) != nullptr) return 2;
    size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    for (size_t i = 0; i < digits; ++i)
      if (!is_hex(at(2 + i))) return stop(2 + i);
    if (digits != 0) return 2 + digits;
    if (c < '0' || c > '3') return stop(1);
    for (size_t i = 2; i < 4; ++i)
      if (at(i) < '0' || at(i) > '7') return stop(i);
    return 4;
  }

  void word() {
    size_t size = 1;
    while (is_letter(peek(size)) || is_digit(peek(size))) ++size;
    std::string_view text = source_.substr(at_, size);
    const Sign* word = std::find_if(std::begin(kWords), std::end(kWords),
                                    [&](const Sign& w) { return w.text == text; });
    emit(word == std::end(kWords) ? Kind::kIdent : word->kind, size);
  }

  size_t digits_from(size_t i) const {
    while (is_digit(peek(i))) ++i;
    return i;
  }

  void number() {
    size_t size = 0;
    if (peek() == '0' && peek(1) == 'x' && is_hex(peek(2))) {
      for (size = 2; is_hex(peek(size));) ++size;
      return integer(size);
    }
    size = digits_from(0);
    bool is_float = false;
    if (peek(size) == '.' && is_digit(peek(size + 1))) {
      is_float = true;
      size = digits_from(size + 1);
    }
    if (peek(size) == 'e' || peek(size) == 'E') {
      size_t exponent = size + 1;
      if (peek(exponent) == '+' || peek(exponent) == '-') ++exponent;
      if (is_digit(peek(exponent))) {
        is_float = true;
        size = digits_from(exponent);
      }
    }
    if (is_float) return emit(Kind::kFloat, size);
    integer(size);
  }

  void integer(size_t size) {
    bool is_unsigned = peek(size) == 'u' || peek(size) == 'U';
    emit(is_unsigned ? Kind::kUint : Kind::kInt, size + (is_unsigned ? 1 : 0));
  }

  std::string_view source_;
  Issues& issues_;
  size_t at_ = 0;
  int32_t offset_ = 0;
  std::vector<Token> tokens_;
};

int hex_value(char c) { return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

// One escape after its backslash. In bytes, \x and octal ones are bytes and \u is not allowed; in
// strings they are code points.
bool take_escape(std::string_view& text, bool is_bytes, std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv", kMeanings = "\a\b\f\n\r\t\v";
  char c = text[0];
  if (size_t letter = kLetters.find(c); letter != std::string_view::npos) {
    out += kMeanings[letter];
    text.remove_prefix(1);
    return true;
  }
  if (std::strchr("\\'\"`?", c) != nullptr) {
    out += c;
    text.remove_prefix(1);
    return true;
  }
  uint32_t code = 0;
  bool is_octal = is_digit(c);
  size_t digits = is_octal ? 3 : c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : 8;
  if (!is_octal) text.remove_prefix(1);
  if (is_bytes && digits > 3) return false;
  for (size_t i = 0; i < digits; ++i)
    code = code * (is_octal ? 8 : 16) + static_cast<uint32_t>(hex_value(text[i]));
  text.remove_prefix(digits);
  if (is_bytes) {
    out += static_cast<char>(code);
    return true;
  }
  if (code > 0x10ffff) return false;
  schema::append_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
  return true;
}

}  // namespace

std::vector<Token> tokenize(std::string_view source, Issues& issues) {
  return Lexer(source, issues).run();
}

bool unescape_literal(std::string_view token, bool is_bytes, std::string& out,
                      std::string& reason) {
  bool is_raw = false;
  while (token[0] != '"' && token[0] != '\'') {
    is_raw |= token[0] == 'r' || token[0] == 'R';
    token.remove_prefix(1);
  }
  size_t quotes = token.size() >= 6 && token[1] == token[0] && token[2] == token[0] ? 3 : 1;
  token = token.substr(quotes, token.size() - 2 * quotes);
  while (!token.empty()) {
    char c = token[0];
    if (c == '\r') {  // line ends are \n, however they were written
      out += '\n';
      token.remove_prefix(token.size() > 1 && token[1] == '\n' ? 2 : 1);
      continue;
    }
    token.remove_prefix(1);
    if (c != '\\' || is_raw) {
      out += c;
    } else if (!take_escape(token, is_bytes, out)) {
      reason = "unable to unescape string";
      return false;
    }
  }
  return true;
}

}  // namespace knarr::cel
