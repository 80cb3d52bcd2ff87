// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "api/meta_v1.h"
#include "schema/json_reader.h"
#include "schema/selector.h"

namespace knarr::schema {
namespace {

using Op = LabelSelector::Op;
using Requirement = LabelSelector::Requirement;

Status bad_request(std::string_view text) { return Status::make(400, "BadRequest", text); }

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out += between;
    out += parts[i];
  }
  return out;
}

// ---- requirements
// ---------------------------------------------------------------------------------------------------------------

std::string_view op_text(Op op) {
  switch (op) {
    case Op::kEquals:
      return "=";
    case Op::kDoubleEquals:
      return "==";
    case Op::kNotEquals:
      return "!=";
    case Op::kIn:
      return " in ";
    case Op::kNotIn:
      return " notin ";
    case Op::kGreaterThan:
      return ">";
    case Op::kLessThan:
      return "<";
    default:
      return "";
  }
}

bool parse_int(std::string_view text, int64_t& value) {
  if (!text.empty() && text[0] == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text[0] == '-') return false;
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string go_strings(const std::vector<std::string>& values) {
  if (values.empty()) return "[]string(nil)";
  std::string out = "[]string{";
  for (size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ", ") + go_quote(values[i]);
  return out + "}";
}

// Upstream's NewRequirement: the rules that an operator's values obey.
Status check(const Requirement& requirement) {
  std::vector<std::string> errors;
  std::vector<std::string> problems = check_qualified_name(requirement.key);
  if (!problems.empty())
    errors.push_back("key: Invalid value: " + go_quote(requirement.key) + ": " +
                     join(problems, "; "));
  size_t count = requirement.values.size();
  auto wrong_values = [&](std::string_view text) {
    errors.push_back("values: Invalid value: " + go_strings(requirement.values) + ": " +
                     std::string(text));
  };
  switch (requirement.op) {
    case Op::kIn:
    case Op::kNotIn:
      if (count == 0) wrong_values("for 'in', 'notin' operators, values set can't be empty");
      break;
    case Op::kEquals:
    case Op::kDoubleEquals:
    case Op::kNotEquals:
      if (count != 1) wrong_values("exact-match compatibility requires one single value");
      break;
    case Op::kExists:
    case Op::kDoesNotExist:
      if (count != 0) wrong_values("values set must be empty for exists and does not exist");
      break;
    case Op::kGreaterThan:
    case Op::kLessThan:
      if (count != 1) wrong_values("for 'Gt', 'Lt' operators, exactly one value is required");
      for (size_t i = 0; i < count; ++i) {
        int64_t number;
        if (!parse_int(requirement.values[i], number))
          errors.push_back("values[" + std::to_string(i) +
                           "]: Invalid value: " + go_quote(requirement.values[i]) +
                           ": for 'Gt', 'Lt' operators, the value must be an integer");
      }
  }
  for (size_t i = 0; i < count; ++i) {
    problems = check_label_value(requirement.values[i]);
    if (!problems.empty())
      errors.push_back("values[" + std::to_string(i) + "][" + requirement.key +
                       "]: Invalid value: " + go_quote(requirement.values[i]) + ": " +
                       join(problems, "; "));
  }
  if (errors.empty()) return {};
  return bad_request(errors.size() == 1 ? errors[0] : "[" + join(errors, ", ") + "]");
}

// ---- the query language
// -----------------------------------------------------------------------------------------------------------

enum class Token : uint8_t {
  kError,
  kEnd,
  kClose,
  kComma,
  kNot,
  kDoubleEquals,
  kEquals,
  kGreater,
  kIdentifier,
  kIn,
  kLess,
  kNotEquals,
  kNotIn,
  kOpen
};
struct Item {
  Token token;
  std::string text;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Item next() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    // A zero byte ends the text, as for upstream's lexer.
    if (at_ >= text_.size() || text_[at_] == '\0') return {Token::kEnd, ""};
    if (is_symbol(text_[at_])) return symbol();
    size_t from = at_;
    while (at_ < text_.size() && text_[at_] != '\0' && !is_symbol(text_[at_]) &&
           !is_space(text_[at_]))
      ++at_;
    std::string word(text_.substr(from, at_ - from));
    Token token = word == "in" ? Token::kIn : word == "notin" ? Token::kNotIn : Token::kIdentifier;
    return {token, std::move(word)};
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  static bool is_symbol(char c) {
    return std::string_view("=!(),><").find(c) != std::string_view::npos;
  }

  static Token known(std::string_view text) {
    static constexpr std::pair<std::string_view, Token> kSymbols[] = {
        {")", Token::kClose},         {",", Token::kComma},      {"!", Token::kNot},
        {"==", Token::kDoubleEquals}, {"=", Token::kEquals},     {">", Token::kGreater},
        {"<", Token::kLess},          {"!=", Token::kNotEquals}, {"(", Token::kOpen}};
    for (auto [symbol, token] : kSymbols)
      if (symbol == text) return token;
    return Token::kError;
  }

  // The longest symbol that the characters make; "!!" is two.
  Item symbol() {
    Item item{Token::kError, ""};
    std::string text;
    while (at_ < text_.size() && is_symbol(text_[at_])) {
      text += text_[at_];
      Token token = known(text);
      if (token != Token::kError) {
        item = {token, text};
      } else if (item.token != Token::kError) {
        break;
      }
      ++at_;
    }
    if (item.token == Token::kError) item.text = "error expected: keyword found '" + text + "'";
    return item;
  }

  std::string_view text_;
  size_t at_ = 0;
};

class Parser {
 public:
  explicit Parser(std::string_view text) {
    Lexer lexer(text);
    do items_.push_back(lexer.next());
    while (items_.back().token != Token::kEnd);
  }

  Result<std::vector<Requirement>> run() {
    std::vector<Requirement> requirements;
    while (true) {
      const Item& item = look();
      if (item.token == Token::kEnd) return requirements;
      if (!starts_requirement(item.token))
        return bad_request("found '" + item.text +
                           "', expected: !, identifier, or 'end of string'");
      Result<Requirement> requirement = parse_requirement();
      if (!requirement.ok())
        return bad_request("unable to parse requirement: " +
                           std::string(requirement.status().message()));
      requirements.push_back(std::move(*requirement));
      const Item& after = take();
      if (after.token == Token::kEnd) return requirements;
      if (after.token != Token::kComma)
        return bad_request("found '" + after.text + "', expected: ',' or 'end of string'");
      if (!starts_requirement(look().token))
        return bad_request("found '" + look().text + "', expected: identifier after ','");
    }
  }

 private:
  static bool starts_requirement(Token token) {
    return is_identifier(token) || token == Token::kNot;
  }
  // Where no operator can stand, "in" and "notin" are names like others.
  static bool is_identifier(Token token) {
    return token == Token::kIdentifier || token == Token::kIn || token == Token::kNotIn;
  }

  const Item& look() const { return items_[std::min(at_, items_.size() - 1)]; }
  const Item& take() {
    const Item& item = look();
    ++at_;
    return item;
  }

  Result<Requirement> parse_requirement() {
    Requirement requirement;
    bool negated = look().token == Token::kNot;
    if (negated) take();
    const Item& key = take();
    if (!is_identifier(key.token))
      return bad_request("found '" + key.text + "', expected: identifier");
    std::vector<std::string> problems = check_qualified_name(key.text);
    if (!problems.empty())
      return bad_request("<nil>: Invalid value: " + go_quote(key.text) + ": " +
                         join(problems, "; "));
    requirement.key = key.text;
    Token next = look().token;
    if (negated || next == Token::kEnd || next == Token::kComma) {
      requirement.op = negated ? Op::kDoesNotExist : Op::kExists;
      TRY(check(requirement));
      return requirement;
    }
    TRY(parse_operator(requirement));
    bool set = requirement.op == Op::kIn || requirement.op == Op::kNotIn;
    TRY(set ? parse_values(requirement.values) : parse_exact(requirement.values));
    std::sort(requirement.values.begin(), requirement.values.end());
    requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()),
                             requirement.values.end());
    TRY(check(requirement));
    return requirement;
  }

  Status parse_operator(Requirement& requirement) {
    const Item& item = take();
    switch (item.token) {
      case Token::kIn:
        requirement.op = Op::kIn;
        return {};
      case Token::kNotIn:
        requirement.op = Op::kNotIn;
        return {};
      case Token::kEquals:
        requirement.op = Op::kEquals;
        return {};
      case Token::kDoubleEquals:
        requirement.op = Op::kDoubleEquals;
        return {};
      case Token::kNotEquals:
        requirement.op = Op::kNotEquals;
        return {};
      case Token::kGreater:
        requirement.op = Op::kGreaterThan;
        return {};
      case Token::kLess:
        requirement.op = Op::kLessThan;
        return {};
      default:
        return bad_request("found '" + item.text + "', expected: in, notin, =, ==, !=, gt, lt");
    }
  }

  Status parse_values(std::vector<std::string>& values) {
    const Item& open = take();
    if (open.token != Token::kOpen) return bad_request("found '" + open.text + "' expected: '('");
    Item first = look();
    if (first.token == Token::kClose) {
      take();
      values.emplace_back();
      return {};
    }
    if (!is_identifier(first.token) && first.token != Token::kComma)
      return bad_request("found '" + first.text + "', expected: ',', ')' or identifier");
    TRY(parse_identifiers(values));
    if (take().token != Token::kClose)
      return bad_request("found '" + first.text + "', expected: ')'");
    return {};
  }

  // Identifiers between commas; nothing between two commas is the empty value.
  Status parse_identifiers(std::vector<std::string>& values) {
    while (true) {
      const Item& item = take();
      if (is_identifier(item.token)) {
        values.push_back(item.text);
        if (look().token == Token::kComma) continue;
        if (look().token == Token::kClose) return {};
        return bad_request("found '" + look().text + "', expected: ',' or ')'");
      }
      if (item.token != Token::kComma)
        return bad_request("found '" + item.text + "', expected: ',', or identifier");
      if (values.empty()) values.emplace_back();
      if (look().token == Token::kClose) {
        values.emplace_back();
        return {};
      }
      if (look().token == Token::kComma) {
        take();
        values.emplace_back();
      }
    }
  }

  Status parse_exact(std::vector<std::string>& values) {
    Token token = look().token;
    if (token == Token::kEnd || token == Token::kComma) {
      values.emplace_back();
      return {};
    }
    const Item& item = take();
    if (!is_identifier(item.token))
      return bad_request("found '" + item.text + "', expected: identifier");
    values.push_back(item.text);
    return {};
  }

  std::vector<Item> items_;
  size_t at_ = 0;
};

}  // namespace

// ---- LabelSelector
// --------------------------------------------------------------------------------------------------------------

bool LabelSelector::Requirement::matches(const Map<Str>& labels) const {
  const Str* value = labels.find(key);
  auto listed = [&] {
    return std::find(values.begin(), values.end(), value->view()) != values.end();
  };
  switch (op) {
    case Op::kEquals:
    case Op::kDoubleEquals:
    case Op::kIn:
      return value != nullptr && listed();
    case Op::kNotEquals:
    case Op::kNotIn:
      return value == nullptr || !listed();
    case Op::kExists:
      return value != nullptr;
    case Op::kDoesNotExist:
      return value == nullptr;
    case Op::kGreaterThan:
    case Op::kLessThan: {
      int64_t have = 0, limit = 0;
      if (value == nullptr || values.size() != 1 || !parse_int(*value, have) ||
          !parse_int(values[0], limit))
        return false;
      return op == Op::kGreaterThan ? have > limit : have < limit;
    }
  }
  return false;
}

LabelSelector LabelSelector::nothing() {
  LabelSelector selector;
  selector.nothing_ = true;
  return selector;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  TRY_ASSIGN(std::vector<Requirement> requirements, Parser(text).run());
  LabelSelector selector;
  for (Requirement& requirement : requirements) selector.add(std::move(requirement));
  return selector;
}

Result<LabelSelector> LabelSelector::from(const api::meta_v1::LabelSelector* selector) {
  if (selector == nullptr) return nothing();
  LabelSelector made;
  for (const auto& entry : selector->match_labels) {
    Requirement requirement{entry.key.str(), Op::kEquals, {entry.value.str()}};
    TRY(check(requirement));
    made.add(std::move(requirement));
  }
  for (const auto& expression : selector->match_expressions) {
    Requirement requirement{expression.key.str(), Op::kIn, {}};
    std::string_view name = expression.operator_;
    if (name == "In") {
      requirement.op = Op::kIn;
    } else if (name == "NotIn") {
      requirement.op = Op::kNotIn;
    } else if (name == "Exists") {
      requirement.op = Op::kExists;
    } else if (name == "DoesNotExist") {
      requirement.op = Op::kDoesNotExist;
    } else {
      return bad_request(go_quote(name) + " is not a valid label selector operator");
    }
    for (const Str& value : expression.values) requirement.values.push_back(value.str());
    TRY(check(requirement));
    std::sort(requirement.values.begin(), requirement.values.end());
    made.add(std::move(requirement));
  }
  return made;
}

LabelSelector LabelSelector::from_set(const Map<Str>& labels) {
  LabelSelector made;
  for (const auto& entry : labels) made.add({entry.key.str(), Op::kEquals, {entry.value.str()}});
  return made;
}

void LabelSelector::add(Requirement requirement) {
  auto at =
      std::upper_bound(requirements_.begin(), requirements_.end(), requirement,
                       [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  requirements_.insert(at, std::move(requirement));
}

bool LabelSelector::matches(const Map<Str>& labels) const {
  if (nothing_) return false;
  for (const Requirement& requirement : requirements_)
    if (!requirement.matches(labels)) return false;
  return true;
}

std::string LabelSelector::to_string() const {
  std::string out;
  for (const Requirement& requirement : requirements_) {
    if (!out.empty()) out += ',';
    if (requirement.op == Op::kDoesNotExist) out += '!';
    out += requirement.key;
    if (requirement.op == Op::kExists || requirement.op == Op::kDoesNotExist) continue;
    out += op_text(requirement.op);
    bool set = requirement.op == Op::kIn || requirement.op == Op::kNotIn;
    if (set) out += '(';
    out += join(requirement.values, ",");
    if (set) out += ')';
  }
  return out;
}

}  // namespace knarr::schema
