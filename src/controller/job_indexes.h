// SPDX-License-Identifier: Apache-2.0
// Completion indexes of an Indexed Job, kept as ordered intervals: .status.completedIndexes is "1,3-5,7".
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::controller {

class IndexSet {
 public:
  struct Interval {
    int64_t first, last;
    friend bool operator==(const Interval&, const Interval&) = default;
  };

  IndexSet() = default;
  explicit IndexSet(const std::set<int>& indexes);
  // Indexes from `completions` on are left out (an elastic Job shrinks), and so is what cannot be read.
  static IndexSet parse(std::string_view text, int completions);

  IndexSet merged(const IndexSet& more) const;
  bool contains(int index) const;
  int total() const;
  // "1,2,4-6": two neighbours stay apart, three or more become a range.
  std::string to_string() const;
  const std::vector<Interval>& intervals() const { return intervals_; }

 private:
  void append(Interval next);
  std::vector<Interval> intervals_;
};

// The lowest `count` indexes below `completions` that are not in `taken`.
std::vector<int> first_free_indexes(const IndexSet& taken, int count, int completions);

}  // namespace knarr::controller
