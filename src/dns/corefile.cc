// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile.h"

#include <fmt/core.h>

#include <cstdlib>

namespace knarr::dns {
namespace {

constexpr size_t kMaxFile = 1 << 20;

struct Token {
  std::string text;
  int line = 0;
  bool quoted = false;
};

// The name in {$NAME} at `at`; "" when there is none.
std::string_view variable_at(std::string_view text, size_t at) {
  if (!text.substr(at).starts_with("{$")) return {};
  size_t end = text.find('}', at);
  if (end == std::string_view::npos) return {};
  std::string_view name = text.substr(at + 2, end - at - 2);
  return name.find_first_of(" \t\n{") == std::string_view::npos ? name : std::string_view();
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> tokens() {
    std::vector<Token> tokens;
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') {
        ++line_;
        ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (c == '"') {
        TRY_ASSIGN(Token token, quoted());
        tokens.push_back(std::move(token));
      } else {
        tokens.push_back(word());
      }
    }
    return tokens;
  }

 private:
  Result<Token> quoted() {
    Token token{"", line_, true};
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return token;
      }
      if (c == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '"') c = text_[++at_];
      if (c == '\n') ++line_;
      token.text += c;
    }
    return Status::error(fmt::format("Corefile:{} - Error during parsing: a quoted word does not end", token.line));
  }
  Token word() {
    Token token{"", line_, false};
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) == std::string_view::npos) {
      std::string_view name = variable_at(text_, at_);
      if (name.empty()) {
        token.text += text_[at_++];
        continue;
      }
      const char* value = std::getenv(std::string(name).c_str());
      if (value != nullptr) token.text += value;
      at_ += name.size() + 3;
    }
    return token;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<std::vector<ServerBlock>> blocks() {
    std::vector<ServerBlock> blocks;
    while (at_ < tokens_.size()) {
      ServerBlock block;
      while (at_ < tokens_.size() && !is("{")) {
        std::string key = tokens_[at_++].text;
        while (key.ends_with(',')) key.pop_back();
        if (!key.empty()) block.keys.push_back(std::move(key));
      }
      if (block.keys.empty()) return fail("a server block without a name");
      if (at_ == tokens_.size()) return fail("EOF in place of {");
      ++at_;
      while (!is("}")) {
        if (at_ == tokens_.size()) return fail("EOF in place of }");
        TRY_ASSIGN(Directive directive, next_directive());
        block.directives.push_back(std::move(directive));
      }
      ++at_;
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  bool is(std::string_view brace) const { return at_ < tokens_.size() && !tokens_[at_].quoted && tokens_[at_].text == brace; }
  Status fail(std::string_view why) const {
    int line = tokens_.empty() ? 1 : tokens_[std::min(at_, tokens_.size() - 1)].line;
    return Status::error(fmt::format("Corefile:{} - Error during parsing: {}", line, why));
  }
  std::vector<std::string> rest_of_line() {
    std::vector<std::string> words;
    for (int line = tokens_[at_].line; at_ < tokens_.size() && tokens_[at_].line == line && !is("{") && !is("}");) words.push_back(tokens_[at_++].text);
    return words;
  }
  Result<Directive> next_directive() {
    Directive directive;
    directive.line = tokens_[at_].line;
    directive.words = rest_of_line();
    if (directive.words.empty()) return fail("a directive without a name");
    if (!is("{") || tokens_[at_].line != directive.line) return directive;
    ++at_;
    while (!is("}")) {
      if (at_ == tokens_.size()) return fail("EOF in place of }");
      std::vector<std::string> words = rest_of_line();
      if (words.empty()) return fail("a block within a block");
      directive.block.push_back(std::move(words));
    }
    ++at_;
    return directive;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace

Result<std::vector<ServerBlock>> parse_corefile(std::string_view text) {
  if (text.size() > kMaxFile) return Status::error("the Corefile has more than 1 MiB");
  TRY_ASSIGN(std::vector<Token> tokens, Lexer(text).tokens());
  return Parser(std::move(tokens)).blocks();
}

}  // namespace knarr::dns
