// SPDX-License-Identifier: Apache-2.0
// What is wrong with an expression, worded and laid out as cel-go prints it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::cel {

struct Issue {
  int line = -1;    // from 1; -1 for the expression as a whole
  int column = -1;  // from 0, in code points
  std::string message;
};

class Issues {
 public:
  Issues() = default;
  explicit Issues(std::string_view source);

  void add(int line, int column, std::string message);
  void add_at(int32_t offset, std::string message);  // exact
  void add_checked(int32_t offset,
                   std::string message);  // as the checker counts lines: the first column of a
                                          // later line shows on the one before
  void add_syntax_error(int32_t offset, std::string_view message);  // "Syntax error: message"
  bool empty() const { return count_ == 0; }
  const std::vector<Issue>& list() const { return list_; }
  // "ERROR: <input>:1:5: message\n | source\n | ....^", in the order of lines and columns. At most
  // 100.
  std::string to_string() const;

 private:
  std::string line_text(int line, bool& found) const;
  std::string source_;
  std::vector<int32_t> line_ends_;  // offsets of the starts of the next lines
  std::vector<Issue> list_;
  size_t count_ = 0;
};

}  // namespace knarr::cel
