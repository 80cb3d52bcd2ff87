// SPDX-License-Identifier: Apache-2.0
// Prometheus' text format, and a histogram to be written in it. Values are plain members of whoever counts; they are read when asked for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::metrics {

inline constexpr std::string_view kTextContentType = "text/plain; version=0.0.4; charset=utf-8";

void write_head(std::string& out, std::string_view name, std::string_view type, std::string_view help);
void write_number(std::string& out, double value);
// `name{labels} value`; labels as they stand in the text, "" for none.
void write_sample(std::string& out, std::string_view name, std::string_view labels, double value);
std::string label(std::string_view name, std::string_view value);
// process_*: from /proc/self.
void write_process_metrics(std::string& out);
void write_build_info(std::string& out);

// Cumulative only when written. One thread. `bounds` outlives it.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds), buckets_(bounds.size() + 1) {}
  void observe(double value);
  void add(const Histogram& other);  // of the same bounds
  uint64_t count() const { return count_; }
  // The samples of one series, without its head.
  void write(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::span<const double> bounds_;
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  double sum_ = 0;
};

}  // namespace knarr::metrics
