// SPDX-License-Identifier: Apache-2.0
// The one JSON tokenizer, under both the tree parser and the table-driven decoder.
//
// It walks a text that must outlive it, never allocates but for strings with escapes, bounds depth,
// and words syntax errors as Go's encoding/json does, because clients and tests see them. The first
// error sticks; every function answers false from then on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::schema {

class JsonReader {
 public:
  // Documents nested this deep are refused, as upstream does.
  static constexpr int kMaxDepth = 10000;

  explicit JsonReader(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  bool failed() const { return failed_; }
  // 400 BadRequest with Go's wording; OK when nothing failed.
  Status status() const;
  const std::string& error_text() const { return error_; }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  const char* position() const { return at_; }

  // The first character of the next value, 0 at the end of the text (or after a failure).
  char peek() {
    while (at_ < end_) {
      char c = *at_;
      if (static_cast<uint8_t>(c) > ' ') return c;
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c;
      ++at_;
    }
    return '\0';
  }

  // Objects: begin_object(), then next_key() until it answers false; failed() tells an error from
  // the end.
  bool begin_object() { return open('{'); }
  bool next_key(std::string_view& key);
  // Arrays: begin_array(), then next_element() until it answers false.
  bool begin_array() { return open('['); }
  bool next_element();

  // The view lies in the input or in this reader's scratch buffer: it is good until the next
  // read_string or next_key. Broken UTF-8 and lone surrogates become U+FFFD.
  bool read_string(std::string_view& out);
  // The literal's text, checked against the grammar.
  bool read_number(std::string_view& literal);
  bool read_bool(bool& value);
  bool read_null() { return word("null"); }
  // Passes over one value of any kind, checking it. *spaced is set when there is white space
  // between its tokens.
  bool skip_value(bool* spaced = nullptr);
  // True when only white space is left; else fails.
  bool finish();

  bool fail(std::string_view text);

 private:
  bool open(char bracket);
  bool word(std::string_view expected);
  bool read_string_slow(std::string_view& out, const char* from);
  bool skip_string();
  bool read_escape(std::string& out);
  // "invalid character 'x' " + where, or "unexpected end of JSON input".
  bool unexpected(std::string_view where);

  const char* begin_;
  const char* at_;
  const char* end_;
  int depth_ = 0;
  bool first_ = false;  // nothing of the innermost open object or array was read yet
  bool failed_ = false;
  std::string scratch_;
  std::string error_;
};

// `text` of one JSON value without the white space between its tokens. The text must be well
// formed.
void append_compact_json(std::string& out, std::string_view text, bool escape_html);
// Whether `text` is exactly one JSON value.
bool is_valid_json(std::string_view text);
// As Go's strconv.Quote: what error messages put into quotes.
std::string go_quote(std::string_view text);

}  // namespace knarr::schema
