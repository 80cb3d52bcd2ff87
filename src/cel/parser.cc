// SPDX-License-Identifier: Apache-2.0
// A recursive descent parser for CEL.g4.
#include "cel/parser.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "cel/token_cursor.h"

namespace knarr::cel {
namespace {

using Kind = Token::Kind;

constexpr int kMostLevels = 250;
constexpr int32_t kMostCodePoints = 100000;
constexpr std::string_view kReserved[] = {
    "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
    "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};

// A subtree, and how deep it goes in operators, calls and selections.
struct Parsed {
  Expr* e;
  int height = 0;
};

class Parser : private TokenCursor {
 public:
  Parser(Ast& ast, const ParseOptions& options, Issues& issues)
      : TokenCursor(ast.source, issues), ast_(ast), options_(options) {}

  void run() {
    Parsed root = expr();
    if (too_deep_) return;
    if (!is(Kind::kEnd)) {
      bool only_one = tokens_[at_ + 1].kind == Kind::kEnd;
      report(std::string(only_one ? "extraneous" : "mismatched") + " input '" + shown(now()) +
             "' expecting <EOF>");
    }
    if (root.height > kMostLevels) issues_.add(-1, -1, "max recursion depth exceeded");
    ast_.root = root.e;
  }

 private:
  // Counts one more level of expressions as long as it lives.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.levels_ > kMostLevels) parser_.give_up();
    }
    ~Level() { --parser_.levels_; }

   private:
    Parser& parser_;
  };

  // An expression inside something that `first` or `second` ends or goes on with.
  Parsed enclosed(Kind first, Kind second, std::string_view expecting = kStartOfExpression) {
    followers_.emplace_back(first, second);
    expecting_ = expecting;
    Parsed made = expr();
    followers_.pop_back();
    return made;
  }

  // --- Nodes ---

  Expr* call(int32_t offset, std::string_view function, std::vector<Expr*> args) {
    Expr* made = ast_.make(Expr::Kind::kCall, offset);
    made->text = function;
    made->args = std::move(args);
    return made;
  }
  Expr* constant(int32_t offset, Value value) {
    Expr* made = ast_.make(Expr::Kind::kConst, offset);
    made->value = value;
    return made;
  }
  Expr* failed(int32_t offset, std::string message) {
    if (!too_deep_) issues_.add_at(offset, std::move(message));
    return ast_.make(Expr::Kind::kError, offset);
  }

  // --- Rules ---

  Parsed expr() {
    Level level(*this);
    Parsed condition = logical(Kind::kOr);
    if (!is(Kind::kQuestion)) return condition;
    int32_t offset = take().offset;
    followers_.emplace_back(Kind::kColon, Kind::kColon);
    Parsed yes = logical(Kind::kOr);
    followers_.pop_back();
    expect(Kind::kColon, "':'");
    Parsed no = expr();
    return {call(offset, "_?_:_", {condition.e, yes.e, no.e}),
            1 + std::max({condition.height, yes.height, no.height})};
  }

  // || over && over relations. Long chains become balanced trees.
  Parsed logical(Kind kind) {
    auto operand = [&] { return kind == Kind::kOr ? logical(Kind::kAnd) : relation(0); };
    Parsed first = operand();
    if (!is(kind)) return first;
    std::vector<Expr*> terms{first.e};
    std::vector<int32_t> offsets;
    int height = first.height;
    while (is(kind)) {
      offsets.push_back(take().offset);
      Parsed next = operand();
      terms.push_back(next.e);
      height = std::max(height, next.height);
    }
    return {balanced(kind == Kind::kOr ? "_||_" : "_&&_", terms, offsets, 0, offsets.size() - 1),
            height};
  }

  Expr* balanced(const char* function, const std::vector<Expr*>& terms,
                 const std::vector<int32_t>& offsets, size_t low, size_t high) {
    size_t middle = (low + high + 1) / 2;
    Expr* left =
        middle == low ? terms[middle] : balanced(function, terms, offsets, low, middle - 1);
    Expr* right =
        middle == high ? terms[middle + 1] : balanced(function, terms, offsets, middle + 1, high);
    return call(offsets[middle], function, {left, right});
  }

  Parsed relation(int precedence) {
    return binary(
        find_relation, precedence, [this] { return calc(0); },
        [this](int p) { return relation(p); });
  }
  Parsed calc(int precedence) {
    return binary(
        find_calculation, precedence, [this] { return unary(); },
        [this](int p) { return calc(p); });
  }

  template <class Find, class Operand, class Same>
  Parsed binary(const Find& find, int precedence, const Operand& operand, const Same& same_rule) {
    Parsed left = operand();
    for (const Operator* found;
         (found = find(now().kind)) != nullptr && found->precedence >= precedence;) {
      int32_t offset = take().offset;
      Parsed right = same_rule(found->precedence + 1);
      left = {call(offset, found->function, {left.e, right.e}),
              1 + std::max(left.height, right.height)};
    }
    return left;
  }

  Parsed unary() {
    Kind sign = now().kind;
    if (sign != Kind::kNot && sign != Kind::kMinus) return member();
    // A single minus before a number belongs to it.
    auto is_number = [&](size_t i) {
      return tokens_[i].kind == Kind::kInt || tokens_[i].kind == Kind::kFloat;
    };
    if (sign == Kind::kMinus && is_number(at_ + 1)) return member();
    int32_t offset = now().offset;
    size_t count = 0;
    for (; is(sign); ++count) take();
    Parsed operand = member();
    if (count % 2 == 0) return operand;
    return {call(offset, sign == Kind::kNot ? "!_" : "-_", {operand.e}), operand.height};
  }

  Parsed member() {
    Parsed target = primary();
    while (!too_deep_) {
      if (is(Kind::kDot)) {
        target = selection(target);
      } else if (is(Kind::kLeftBracket)) {
        target = index(target);
      } else {
        break;
      }
    }
    return target;
  }

  Parsed selection(Parsed target) {
    Token dot = take();
    bool is_optional = take_if(Kind::kQuestion);
    if (!is(Kind::kIdent)) {
      bool is_word = is(Kind::kTrue) || is(Kind::kFalse) || is(Kind::kNull);
      if (is_optional && may_follow(now().kind, false)) {
        report("missing IDENTIFIER at '" + shown(now()) + "'");
      } else if (is_word || is_optional) {
        report("mismatched input '" + shown(now()) + "' expecting IDENTIFIER");
      } else {
        report("no viable alternative at input '." + std::string(now().text) + "'");
      }
      skip_to_follower();
      return {ast_.make(Expr::Kind::kError, dot.offset), target.height + 1};
    }
    Token name = take();
    if (is(Kind::kLeftParen) && !is_optional) return method(target, name);
    if (is_optional) {
      if (!options_.optional_syntax)
        return {failed(dot.offset, "unsupported syntax '.?'"), target.height + 1};
      return {call(dot.offset, "_?._",
                   {target.e, constant(name.offset, Value::string(ast_.arena.copy(name.text)))}),
              target.height + 1};
    }
    Expr* made = ast_.make(Expr::Kind::kSelect, dot.offset);
    made->text = name.text;
    made->args = {target.e};
    return {made, target.height + 1};
  }

  Parsed method(Parsed target, const Token& name) {
    int32_t offset = take().offset;
    int height = target.height;
    std::vector<Expr*> args = arguments(height);
    if (Expr* expanded = expand_macro(ast_, offset, name.text, target.e, args, options_, issues_))
      return {expanded, height + 1};
    args.insert(args.begin(), target.e);
    Expr* made = call(offset, name.text, std::move(args));
    made->has_target = true;
    return {made, height + 1};
  }

  // After "(", through ")".
  std::vector<Expr*> arguments(int& height) {
    std::vector<Expr*> args;
    if (!is(Kind::kEnd) && !is(Kind::kRightParen) && tokens_[at_ + 1].kind == Kind::kRightParen &&
        !starts_expression(now().kind)) {
      report("extraneous input '" + shown(now()) + "' expecting " + std::string(kStartOfArguments));
      ++at_;
    }
    if (take_if(Kind::kRightParen)) return args;
    std::string_view expecting = kStartOfArguments;
    do {
      Parsed arg = enclosed(Kind::kComma, Kind::kRightParen, expecting);
      args.push_back(arg.e);
      height = std::max(height, arg.height);
      expecting = kStartOfExpression;
    } while (take_if(Kind::kComma));
    expect(Kind::kRightParen, "')'");
    return args;
  }

  Parsed index(Parsed target) {
    int32_t offset = take().offset;
    bool is_optional = take_if(Kind::kQuestion);
    Parsed key = enclosed(Kind::kRightBracket, Kind::kRightBracket,
                          is_optional ? kStartOfExpression : kStartOfIndex);
    expect(Kind::kRightBracket, "']'");
    int height = 1 + std::max(target.height, key.height);
    if (is_optional && !options_.optional_syntax)
      return {failed(offset, "unsupported syntax '[?'"), height};
    return {call(offset, is_optional ? "_[?_]" : "_[_]", {target.e, key.e}), height};
  }

  Parsed primary() {
    switch (now().kind) {
      case Kind::kLeftParen: {
        take();
        Parsed inner = enclosed(Kind::kRightParen, Kind::kRightParen);
        expect(Kind::kRightParen, "')'");
        return inner;
      }
      case Kind::kLeftBracket:
        return list();
      case Kind::kLeftBrace:
        return map();
      case Kind::kDot:
      case Kind::kIdent:
        return name();
      default:
        break;
    }
    if (starts_expression(now().kind) && !is(Kind::kNot)) return {literal()};
    // Something that cannot stand here. One token too many is passed over.
    int32_t offset = now().offset;
    bool skips = !is(Kind::kEnd) && starts_expression(tokens_[at_ + 1].kind);
    report(std::string(skips ? "extraneous" : "mismatched") + " input '" + shown(now()) +
           "' expecting " + std::string(expecting_));
    if (skips) {
      ++at_;
      return primary();
    }
    return {ast_.make(Expr::Kind::kError, offset)};
  }

  // a, .a, f(x), a.b.C{...}
  Parsed name() {
    Token first = now();
    std::string text;
    if (take_if(Kind::kDot)) text = ".";
    if (!is(Kind::kIdent)) {
      report("no viable alternative at input '." + std::string(now().text) + "'");
      skip_to_follower();
      return {ast_.make(Expr::Kind::kError, first.offset)};
    }
    if (size_t end = message_name_end()) return message(text, end);
    Token id = take();
    bool is_reserved =
        std::find(std::begin(kReserved), std::end(kReserved), id.text) != std::end(kReserved);
    text += id.text;
    if (!is(Kind::kLeftParen)) {
      if (is_reserved)
        return {failed(first.offset, "reserved identifier: " + std::string(id.text))};
      Expr* made = ast_.make(Expr::Kind::kIdent, id.offset);
      made->text = text;
      return {made};
    }
    int32_t offset = take().offset;
    int height = 0;
    std::vector<Expr*> args = arguments(height);
    if (is_reserved)
      return {failed(first.offset, "reserved identifier: " + std::string(id.text)), height};
    if (Expr* expanded = expand_macro(ast_, offset, text, nullptr, args, options_, issues_))
      return {expanded, height};
    return {call(offset, text, std::move(args)), height};
  }

  // The place of the "{" when a message name stands here; else 0.
  size_t message_name_end() const {
    size_t i = at_ + 1;
    while (tokens_[i].kind == Kind::kDot && tokens_[i + 1].kind == Kind::kIdent) i += 2;
    return tokens_[i].kind == Kind::kLeftBrace ? i : 0;
  }

  Parsed message(std::string name, size_t brace) {
    for (; at_ < brace; take()) name += now().text;
    Expr* made = ast_.make(Expr::Kind::kMessage, take().offset);
    made->text = name;
    int height = 0;
    bool goes_on = true, has_gap = false;
    while (is(Kind::kIdent) || is(Kind::kQuestion)) {
      bool is_optional = take_optional_mark();
      if (!is(Kind::kIdent)) {
        report("mismatched input '" + shown(now()) + "' expecting IDENTIFIER");
        break;
      }
      made->fields.emplace_back(take().text);
      int32_t colon = now().offset;
      if (!expect_colon()) {
        goes_on = take_if(Kind::kComma);
        has_gap = true;
        break;
      }
      add_value(made, is_optional, colon, Kind::kRightBrace, height);
      if (!(goes_on = take_if(Kind::kComma))) break;
    }
    close(made, has_gap, goes_on, Kind::kRightBrace, "'}'", "{'}', ',', '?', IDENTIFIER}");
    made->fields.resize(made->args.size());
    return {made, height};
  }

  bool take_optional_mark() {
    int32_t offset = now().offset;
    if (!take_if(Kind::kQuestion)) return false;
    if (!options_.optional_syntax) failed(offset, "unsupported syntax '?'");
    return options_.optional_syntax;
  }

  void add_value(Expr* to, bool is_optional, int32_t position, Kind closer, int& height) {
    Parsed value = enclosed(Kind::kComma, closer);
    to->args.push_back(value.e);
    to->optionals.push_back(is_optional);
    to->positions.push_back(position);
    height = std::max(height, value.height);
  }

  Parsed list() {
    Expr* made = ast_.make(Expr::Kind::kList, take().offset);
    int height = 0;
    bool goes_on = true;
    while (starts_element(goes_on)) {
      bool is_optional = take_optional_mark();
      add_value(made, is_optional, now().offset, Kind::kRightBracket, height);
      if (!(goes_on = take_if(Kind::kComma))) break;
    }
    close(made, false, goes_on, Kind::kRightBracket, "']'", kStartOfList);
    return {made, height};
  }

  Parsed map() {
    Expr* made = ast_.make(Expr::Kind::kMap, take().offset);
    int height = 0;
    bool goes_on = true, has_gap = false;
    while (starts_element(goes_on)) {
      bool is_optional = take_optional_mark();
      Parsed key = enclosed(Kind::kColon, Kind::kColon);
      height = std::max(height, key.height);
      int32_t colon = now().offset;
      if (!expect_colon()) {
        goes_on = take_if(Kind::kComma);
        has_gap = true;
        break;
      }
      made->args.push_back(key.e);
      add_value(made, is_optional, colon, Kind::kRightBrace, height);
      if (!(goes_on = take_if(Kind::kComma))) break;
    }
    close(made, has_gap, goes_on, Kind::kRightBrace, "'}'", kStartOfMap);
    return {made, height};
  }

  // Between a key and its value inside braces. False when there is no value either.
  bool expect_colon() {
    followers_.emplace_back(Kind::kComma, Kind::kRightBrace);
    expect(Kind::kColon, "':'");
    followers_.pop_back();
    return !recovering_ || starts_expression(now().kind);
  }

  // The end of a literal, after `goes_on` a comma. An empty one may have a comma too.
  void close(const Expr* made, bool has_gap, bool goes_on, Kind closer, std::string_view name,
             std::string_view start) {
    bool nothing = made->args.empty() && !has_gap;
    if (nothing && !is(closer) && !is(Kind::kComma)) return expect(closer, name, start);
    if (nothing) goes_on = take_if(Kind::kComma);
    std::string both = "{" + std::string(name) + ", ','}";
    expect(closer, name, goes_on || nothing ? std::string_view() : both);
  }

  // Elements go on after a comma, which may also be the last thing before the closer.
  bool starts_element(bool goes_on) const {
    return goes_on && (starts_expression(now().kind) || is(Kind::kQuestion));
  }

  Expr* literal() {
    int32_t offset = now().offset;
    bool is_negative = take_if(Kind::kMinus);
    if (is_negative && !is(Kind::kInt) && !is(Kind::kFloat)) {
      report("mismatched input '" + shown(now()) + "' expecting " +
             std::string(kStartOfExpression));
      return ast_.make(Expr::Kind::kError, offset);
    }
    Token token = take();
    switch (token.kind) {
      case Kind::kTrue:
        return constant(offset, Value::boolean(true));
      case Kind::kFalse:
        return constant(offset, Value::boolean(false));
      case Kind::kNull:
        return constant(offset, Value::null());
      case Kind::kInt:
        return integer(offset, token.text, is_negative);
      case Kind::kUint:
        return uinteger(offset, token.text.substr(0, token.text.size() - 1));
      case Kind::kFloat: {
        double value = 0;
        auto error =
            std::from_chars(token.text.data(), token.text.data() + token.text.size(), value).ec;
        if (error == std::errc::result_out_of_range &&
            token.text.find_first_of("eE") != std::string_view::npos &&
            token.text.find('-') != std::string_view::npos)
          value = 0;  // too small, not too large
        else if (error != std::errc())
          return failed(offset, "invalid double literal");
        return constant(offset, Value::number(is_negative ? -value : value));
      }
      default:
        return text(token);
    }
  }

  Expr* integer(int32_t offset, std::string_view text, bool is_negative) {
    int base = text.starts_with("0x") ? 16 : 10;
    std::string digits = (is_negative ? "-" : "") + std::string(base == 16 ? text.substr(2) : text);
    int64_t value = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), value, base).ec !=
        std::errc())
      return failed(offset, "invalid int literal");
    return constant(offset, Value::integer(value));
  }

  Expr* uinteger(int32_t offset, std::string_view text) {
    int base = text.starts_with("0x") ? 16 : 10;
    if (base == 16) text.remove_prefix(2);
    uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value, base).ec != std::errc())
      return failed(offset, "invalid uint literal");
    return constant(offset, Value::uinteger(value));
  }

  Expr* text(const Token& token) {
    bool is_bytes = token.kind == Kind::kBytes;
    std::string made, reason;
    if (!unescape_literal(token.text, is_bytes, made, reason)) return failed(token.offset, reason);
    std::string_view kept = ast_.arena.copy(made);
    return constant(token.offset, is_bytes ? Value::bytes(kept) : Value::string(kept));
  }

  Ast& ast_;
  const ParseOptions& options_;
  int levels_ = 0;
};

}  // namespace

void parse(Ast& ast, const ParseOptions& options, Issues& issues) {
  size_t size = count_code_points(ast.source);
  if (size > static_cast<size_t>(kMostCodePoints)) {
    issues.add(-1, -1,
               "expression code point size exceeds limit: size: " + std::to_string(size) +
                   ", limit " + std::to_string(kMostCodePoints));
    return;
  }
  Parser(ast, options, issues).run();
}

std::string qualified_name(const Expr& e) {
  if (e.kind == Expr::Kind::kIdent) return e.text;
  if (e.kind != Expr::Kind::kSelect || e.test_only) return "";
  std::string prefix = qualified_name(*e.args[0]);
  return prefix.empty() ? "" : prefix + "." + e.text;
}

}  // namespace knarr::cel
