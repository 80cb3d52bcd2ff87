// SPDX-License-Identifier: Apache-2.0
// JSON into YAML, byte for byte as sigs.k8s.io/yaml writes it: the block style of libyaml's
// emitter, strings quoted where they would read as something else, long ones folded at column 80,
// keys in go-yaml's natural order.
#include <algorithm>

#include "schema/codec.h"
#include "schema/json.h"
#include "schema/json_text.h"
#include "schema/utf8.h"
#include "schema/yaml_scalar.h"

namespace knarr::schema {
namespace {

constexpr int kIndent = 2;
constexpr int kWidth = 80;
constexpr size_t kLongestSimpleKey = 128;

bool is_digit(uint32_t c) { return c >= '0' && c <= '9'; }
// Unicode's letters, near enough for an order of keys: the planes' scripts without punctuation,
// symbols and emoji.
bool is_letter(uint32_t c) {
  if (c < 0x80) return (c | 0x20) - 'a' < 26;
  if (c < 0xc0) return c == 0xaa || c == 0xb5 || c == 0xba;
  if (c < 0x2000) return c != 0xd7 && c != 0xf7;
  if (c < 0x2c00) return false;
  if (c < 0x3400) return c >= 0x3040 || c == 0x3005 || c == 0x3006;
  return c < 0xd800 || (c >= 0xf900 && c < 0xfe00) || (c >= 0xfe70 && c < 0xfeff) ||
         (c >= 0xff21 && c < 0xffdd) || (c >= 0x10000 && c < 0x1d000) ||
         (c >= 0x20000 && c < 0x40000);
}
bool is_break(uint32_t c) {
  return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}
bool is_blank(uint32_t c) { return c == ' ' || c == '\t'; }
bool is_printable(uint32_t c) {
  return c == '\n' || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c < 0xd800) ||
         (c >= 0xe000 && c <= 0xfffd && c != 0xfeff);
}

std::u32string runes(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    uint32_t code = decode_utf8(at, end);
    out += code == kBadUtf8 ? U'\xfffd' : static_cast<char32_t>(code);
  }
  return out;
}

// go-yaml's order of keys: runs of digits compare as numbers, letters come behind other characters.
bool key_less(const std::u32string& a, const std::u32string& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) continue;
    bool letter_a = is_letter(a[i]), letter_b = is_letter(b[i]);
    if (letter_a && letter_b) return a[i] < b[i];
    if (letter_a || letter_b) return letter_b;
    uint64_t number_a = 0, number_b = 0;
    if (a[i] == '0' || b[i] == '0') {
      for (size_t j = i; j-- > 0 && is_digit(a[j]);) {
        if (a[j] == '0') continue;
        number_a = number_b = 1;
        break;
      }
    }
    size_t end_a = i, end_b = i;
    for (; end_a < a.size() && is_digit(a[end_a]); ++end_a)
      number_a = number_a * 10 + (a[end_a] - '0');
    for (; end_b < b.size() && is_digit(b[end_b]); ++end_b)
      number_b = number_b * 10 + (b[end_b] - '0');
    auto signed_a = static_cast<int64_t>(number_a), signed_b = static_cast<int64_t>(number_b);
    if (signed_a != signed_b) return signed_a < signed_b;
    if (end_a != end_b) return end_a < end_b;
    return a[i] < b[i];
  }
  return a.size() < b.size();
}

// What styles a string may be written in.
struct Analysis {
  bool multiline = false, plain = true, single_quoted = true, block = true;
};

bool starts_with_indicator(const std::u32string& value) {
  char32_t first = value[0];
  bool followed_by_blank = value.size() == 1 || is_blank(value[1]);
  if (value.starts_with(U"---") || value.starts_with(U"...")) return true;
  if (std::u32string_view(U"#,[]{}&*!|>'\"%@`").find(first) != std::u32string_view::npos)
    return true;
  return (first == '?' || first == ':' || first == '-') && followed_by_blank;
}

Analysis analyze(const std::u32string& value) {
  Analysis result;
  if (value.empty()) {
    result.block = false;
    return result;
  }
  bool indicators = starts_with_indicator(value), special = false, edge_space = false,
       edge_break = false;
  bool trailing_space = false, break_space = false, space_break = false, previous_space = false,
       previous_break = false;
  for (size_t i = 0; i < value.size(); ++i) {
    char32_t c = value[i];
    bool last = i + 1 == value.size();
    if (c == ':' && i > 0 && (last || is_blank(value[i + 1]))) indicators = true;
    if (c == '#' && i > 0 &&
        (is_blank(value[i - 1]) || is_break(value[i - 1]) || value[i - 1] == 0))
      indicators = true;
    if (!is_printable(c)) special = true;
    if (c == ' ') {
      edge_space = edge_space || i == 0 || last;
      trailing_space = trailing_space || last;
      break_space = break_space || previous_break;
    } else if (is_break(c)) {
      result.multiline = true;
      edge_break = edge_break || i == 0 || last;
      space_break = space_break || previous_space;
    }
    previous_space = c == ' ';
    previous_break = is_break(c);
  }
  result.plain = !(edge_space || edge_break || break_space || space_break || special ||
                   result.multiline || indicators);
  result.single_quoted = !(break_space || space_break || special);
  result.block = !(trailing_space || space_break || special);
  return result;
}

class YamlWriter {
 public:
  explicit YamlWriter(std::string& out) : out_(out) {}

  void document(const json::Value& value) {
    node(value, false, false);
    write_indent();
  }

 private:
  enum class Style { kPlain, kSingle, kDouble, kLiteral };

  // ---- the emitter's ground: libyaml's state and its four primitives
  // ------------------------------------------------------
  void put(char32_t c) {
    append_utf8(out_, c);
    ++column_;
  }
  void put_text(std::string_view ascii) {
    out_ += ascii;
    column_ += static_cast<int>(ascii.size());
  }
  void put_break() {
    out_ += '\n';
    column_ = 0;
  }
  void write_break(char32_t c) {
    if (c == '\n') {
      put_break();
      return;
    }
    append_utf8(out_, c);
    column_ = 0;
  }
  void write_indent() {
    int indent = std::max(indent_, 0);
    if (!indention_ || column_ > indent || (column_ == indent && !whitespace_)) put_break();
    while (column_ < indent) put(' ');
    whitespace_ = indention_ = true;
  }
  void write_indicator(std::string_view text, bool need_whitespace, bool is_whitespace,
                       bool is_indention) {
    if (need_whitespace && !whitespace_) put(' ');
    put_text(text);
    whitespace_ = is_whitespace;
    indention_ = indention_ && is_indention;
  }

  // ---- nodes
  // ---------------------------------------------------------------------------------------------------------------
  void node(const json::Value& value, bool in_mapping, bool simple_key) {
    switch (value.type()) {
      case json::Value::Type::kNull:
        return scalar(U"null", Style::kPlain, simple_key);
      case json::Value::Type::kBool:
        return scalar(value.as_bool() ? U"true" : U"false", Style::kPlain, simple_key);
      case json::Value::Type::kInt: {
        std::string text;
        append_int(text, value.as_int());
        return scalar(runes(text), Style::kPlain, simple_key);
      }
      case json::Value::Type::kDouble:
        return scalar(runes(number_text(value.as_double())), Style::kPlain, simple_key);
      case json::Value::Type::kString:
        return string(value.as_string(), simple_key);
      case json::Value::Type::kArray:
        return sequence(value.items(), in_mapping);
      case json::Value::Type::kObject:
        return mapping(value.members());
    }
  }

  // Between 2^63 and 2^64 the JSON text held an integer, which go-yaml reads as one.
  static std::string number_text(double number) {
    if (number < 9223372036854775808.0 || number >= 18446744073709551616.0)
      return format_yaml_float(number);
    std::string text;
    append_double(text, number);
    return text;
  }

  void sequence(const json::Value::Array& items, bool in_mapping) {
    if (items.empty()) return write_empty("[", "]");
    int outer = indent_;
    bool indentless = in_mapping && !indention_;
    indent_ = indent_ < 0 ? 0 : indentless ? indent_ : indent_ + kIndent;
    for (const json::Value& item : items) {
      write_indent();
      write_indicator("-", true, false, true);
      node(item, false, false);
    }
    indent_ = outer;
  }

  void mapping(const json::Value::Members& members) {
    if (members.empty()) return write_empty("{", "}");
    std::vector<std::pair<std::u32string, const json::Value::Member*>> order;
    order.reserve(members.size());
    for (const json::Value::Member& member : members)
      order.emplace_back(runes(member.first), &member);
    // The order is not a strict one (as upstream's): only a stable sort is safe with it.
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return key_less(a.first, b.first); });
    int outer = indent_;
    indent_ = indent_ < 0 ? 0 : indent_ + kIndent;
    for (const auto& [key, member] : order) {
      write_indent();
      if (member->first.size() <= kLongestSimpleKey && !analyze(key).multiline) {
        string(member->first, true);
        write_indicator(":", false, false, false);
      } else {
        write_indicator("?", true, false, true);
        string(member->first, false);
        write_indent();
        write_indicator(":", true, false, true);
      }
      node(member->second, true, false);
    }
    indent_ = outer;
  }

  void write_empty(std::string_view open, std::string_view close) {
    write_indicator(open, true, true, false);
    write_indicator(close, false, false, false);
  }

  // ---- scalars
  // -------------------------------------------------------------------------------------------------------------
  void string(const std::string& text, bool simple_key) {
    Result<YamlScalar> resolved = resolve_yaml_scalar("", text);
    bool plain = resolved.ok() && resolved->tag == YamlTag::kString && !is_base60_float(text);
    Style style = text.find('\n') != std::string::npos ? Style::kLiteral
                  : plain                              ? Style::kPlain
                                                       : Style::kDouble;
    scalar(runes(text), style, simple_key);
  }

  void scalar(const std::u32string& value, Style style, bool simple_key) {
    Analysis allowed = analyze(value);
    if (simple_key && allowed.multiline) style = Style::kDouble;
    if (style == Style::kPlain && !allowed.plain) style = Style::kSingle;
    if (style == Style::kSingle && !allowed.single_quoted) style = Style::kDouble;
    if (style == Style::kLiteral && (!allowed.block || simple_key)) style = Style::kDouble;
    int outer = indent_;
    indent_ = indent_ < 0 ? kIndent : indent_ + kIndent;
    switch (style) {
      case Style::kPlain:
        plain(value, !simple_key);
        break;
      case Style::kSingle:
        single_quoted(value, !simple_key);
        break;
      case Style::kDouble:
        double_quoted(value, !simple_key);
        break;
      case Style::kLiteral:
        literal(value);
        break;
    }
    indent_ = outer;
  }

  static bool is_space_at(const std::u32string& value, size_t i) {
    return i < value.size() && value[i] == ' ';
  }

  void plain(const std::u32string& value, bool allow_breaks) {
    if (!whitespace_) put(' ');
    bool spaces = false;
    for (size_t i = 0; i < value.size(); ++i) {
      if (value[i] == ' ') {
        if (allow_breaks && !spaces && column_ > kWidth && !is_space_at(value, i + 1)) {
          write_indent();
        } else {
          put(' ');
        }
        spaces = true;
      } else {
        put(value[i]);
        indention_ = false;
        spaces = false;
      }
    }
    whitespace_ = indention_ = false;
  }

  void single_quoted(const std::u32string& value, bool allow_breaks) {
    write_indicator("'", true, false, false);
    bool spaces = false, breaks = false;
    for (size_t i = 0; i < value.size(); ++i) {
      char32_t c = value[i];
      if (c == ' ') {
        if (allow_breaks && !spaces && column_ > kWidth && i > 0 && i + 1 < value.size() &&
            !is_space_at(value, i + 1)) {
          write_indent();
        } else {
          put(' ');
        }
        spaces = true;
      } else if (is_break(c)) {
        if (!breaks && c == '\n') put_break();
        write_break(c);
        indention_ = true;
        breaks = true;
      } else {
        if (breaks) write_indent();
        if (c == '\'') put('\'');
        put(c);
        indention_ = false;
        spaces = breaks = false;
      }
    }
    write_indicator("'", false, false, false);
    whitespace_ = indention_ = false;
  }

  void double_quoted(const std::u32string& value, bool allow_breaks) {
    write_indicator("\"", true, false, false);
    bool spaces = false;
    // go-yaml looks for the byte order mark at the start of the text, whichever character it is at.
    bool escape_all = value.starts_with(U'\xfeff');
    for (size_t i = 0; i < value.size(); ++i) {
      char32_t c = value[i];
      if (escape_all || !is_printable(c) || is_break(c) || c == '"' || c == '\\') {
        escape(c);
        spaces = false;
      } else if (c == ' ') {
        if (allow_breaks && !spaces && column_ > kWidth && i > 0 && i + 1 < value.size()) {
          write_indent();
          if (is_space_at(value, i + 1)) put('\\');
        } else {
          put(' ');
        }
        spaces = true;
      } else {
        put(c);
        spaces = false;
      }
    }
    write_indicator("\"", false, false, false);
    whitespace_ = indention_ = false;
  }

  void escape(char32_t c) {
    static constexpr std::pair<char32_t, char> kShort[] = {
        {0, '0'},     {7, 'a'},    {8, 'b'},    {9, 't'},      {10, 'n'},
        {11, 'v'},    {12, 'f'},   {13, 'r'},   {27, 'e'},     {'"', '"'},
        {'\\', '\\'}, {0x85, 'N'}, {0xa0, '_'}, {0x2028, 'L'}, {0x2029, 'P'}};
    put('\\');
    for (auto [code, name] : kShort) {
      if (code != c) continue;
      put(static_cast<char32_t>(name));
      return;
    }
    int digits = c <= 0xff ? 2 : c <= 0xffff ? 4 : 8;
    put(digits == 2 ? 'x' : digits == 4 ? 'u' : 'U');
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
      put(static_cast<char32_t>("0123456789ABCDEF"[c >> shift & 15]));
  }

  void literal(const std::u32string& value) {
    write_indicator("|", true, false, false);
    if (value[0] == ' ' || is_break(value[0])) write_indicator("2", false, false, false);
    size_t size = value.size();
    if (!is_break(value[size - 1])) {
      write_indicator("-", false, false, false);
    } else if (size == 1 || is_break(value[size - 2])) {
      write_indicator("+", false, false, false);
    }
    put_break();
    whitespace_ = indention_ = true;
    bool breaks = true;
    for (char32_t c : value) {
      if (is_break(c)) {
        write_break(c);
        indention_ = true;
        breaks = true;
        continue;
      }
      if (breaks) write_indent();
      put(c);
      indention_ = breaks = false;
    }
  }

  std::string& out_;
  int column_ = 0;
  int indent_ = -1;
  bool whitespace_ = true, indention_ = true;
};

}  // namespace

Result<std::string> json_to_yaml(std::string_view json) {
  TRY_ASSIGN(json::Value value, json::parse(json));
  std::string out;
  YamlWriter(out).document(value);
  return out;
}

}  // namespace knarr::schema
