// SPDX-License-Identifier: Apache-2.0
#include "controller/job_indexes.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/log.h"

namespace knarr::controller {
namespace {

std::optional<int64_t> parse_index(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view take_until(std::string_view& rest, char separator) {
  size_t at = rest.find(separator);
  std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

}  // namespace

IndexSet::IndexSet(const std::set<int>& indexes) {
  for (int index : indexes) append({index, index});
}

void IndexSet::append(Interval next) {
  if (intervals_.empty() || next.first > intervals_.back().last + 1) {
    intervals_.push_back(next);
  } else {
    intervals_.back().last = std::max(intervals_.back().last, next.last);
  }
}

IndexSet IndexSet::parse(std::string_view text, int completions) {
  IndexSet set;
  bool more = !text.empty();
  while (more) {
    more = text.find(',') != std::string_view::npos;
    std::string_view part = take_until(text, ','), rest = part;
    bool is_range = part.find('-') != std::string_view::npos;
    std::optional<int64_t> first = parse_index(take_until(rest, '-'));
    if (first && *first >= completions) break;
    std::optional<int64_t> last = is_range ? parse_index(take_until(rest, '-')) : first;
    if (!first || !last) {
      log_warning("Ignored a corrupted interval of indexes", {{"interval", part}});
      continue;
    }
    Interval interval{*first, std::min<int64_t>(*last, completions - 1)};
    if (!set.intervals_.empty() && set.intervals_.back().last == interval.first - 1) {
      set.intervals_.back().last = interval.last;
    } else {
      set.intervals_.push_back(interval);
    }
  }
  return set;
}

IndexSet IndexSet::merged(const IndexSet& more) const {
  std::vector<Interval> both;
  std::merge(intervals_.begin(), intervals_.end(), more.intervals_.begin(), more.intervals_.end(), std::back_inserter(both),
             [](const Interval& a, const Interval& b) { return a.first < b.first; });
  IndexSet result;
  for (const Interval& interval : both) result.append(interval);
  return result;
}

bool IndexSet::contains(int index) const {
  auto at =
      std::lower_bound(intervals_.begin(), intervals_.end(), index, [](const Interval& one, int wanted) { return one.last < wanted; });
  return at != intervals_.end() && at->first <= index;
}

int IndexSet::total() const {
  int64_t count = 0;
  for (const Interval& interval : intervals_) count += interval.last - interval.first + 1;
  return static_cast<int>(count);
}

std::string IndexSet::to_string() const {
  std::string text;
  for (const Interval& interval : intervals_) {
    if (!text.empty()) text += ',';
    text += std::to_string(interval.first);
    if (interval.last <= interval.first) continue;
    text += interval.last == interval.first + 1 ? ',' : '-';
    text += std::to_string(interval.last);
  }
  return text;
}

std::vector<int> first_free_indexes(const IndexSet& taken, int count, int completions) {
  std::vector<int> free;
  int64_t candidate = 0;
  auto take_below = [&](int64_t end) {
    for (; candidate < end && candidate < completions && static_cast<int>(free.size()) < count; ++candidate)
      free.push_back(static_cast<int>(candidate));
  };
  for (const IndexSet::Interval& interval : taken.intervals()) {
    take_below(interval.first);
    candidate = std::max(candidate, interval.last + 1);
  }
  take_below(completions);
  return free;
}

}  // namespace knarr::controller
