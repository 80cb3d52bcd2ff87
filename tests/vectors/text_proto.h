// SPDX-License-Identifier: Apache-2.0
// Reads protobuf's text form, as far as the conformance files of cel-spec use it, into a tree:
// messages are objects whose repeated fields are members of the same name.
#pragma once

#include <string>
#include <string_view>

#include "schema/json.h"
#include "schema/utf8.h"

namespace knarr {

class TextProto {
 public:
  explicit TextProto(std::string_view text) : text_(text) {}

  json::Value message() {
    json::Value made = json::Value::object();
    while (skip_space(), at_ < text_.size() && text_[at_] != '}') {
      std::string name = this->name();
      skip_space();
      if (take(':')) skip_space();
      if (take('{')) {
        made.members().emplace_back(name, message());
        take('}');
      } else {
        made.members().emplace_back(name, scalar());
      }
      skip_space();
      if (!take(',')) take(';');
    }
    return made;
  }

 private:
  void skip_space() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        ++at_;
      } else if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // An identifier, or [a.type/name].
  std::string name() {
    size_t from = at_;
    if (text_[at_] == '[') {
      at_ = text_.find(']', at_) + 1;
    } else {
      while (at_ < text_.size() &&
             (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
        ++at_;
      if (at_ == from) ++at_;
    }
    return std::string(text_.substr(from, at_ - from));
  }
  json::Value scalar() {
    if (text_[at_] == '"' || text_[at_] == '\'') {
      std::string out;
      while (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) {
        quoted(out);
        skip_space();
      }
      return json::Value("\"" + out);  // marked as a string
    }
    size_t from = at_;
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n,;}").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return json::Value(text_.substr(from, at_ - from));
  }
  void quoted(std::string& out) {
    char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        out += text_[at_++];
      } else {
        ++at_;
        escape(out);
      }
    }
    ++at_;
  }
  void escape(std::string& out) {
    char c = text_[at_++];
    constexpr std::string_view kLetters = "abfnrtv", kMeanings = "\a\b\f\n\r\t\v";
    if (size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      out += kMeanings[letter];
    } else if (c == 'x' || c == 'X') {
      out += static_cast<char>(std::stoi(std::string(text_.substr(at_, 2)), nullptr, 16));
      at_ += 2;
    } else if (c == 'u' || c == 'U') {
      size_t digits = c == 'u' ? 4 : 8;
      schema::append_utf8(out, static_cast<uint32_t>(std::stoul(
                                   std::string(text_.substr(at_, digits)), nullptr, 16)));
      at_ += digits;
    } else if (c >= '0' && c <= '7') {
      size_t digits = 1;
      while (digits < 3 && text_[at_ - 1 + digits] >= '0' && text_[at_ - 1 + digits] <= '7')
        ++digits;
      out += static_cast<char>(std::stoi(std::string(text_.substr(at_ - 1, digits)), nullptr, 8));
      at_ += digits - 1;
    } else {
      out += c;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace knarr
