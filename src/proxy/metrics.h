// SPDX-License-Identifier: Apache-2.0
// What the proxy counts, under upstream's names. One executor.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "proxy/rules.h"

namespace knarr::proxy {

class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void observe(double value);
  void write(std::string& out, std::string_view name, std::string_view help) const;
  static std::vector<double> exponential(double first, double factor, int count);
  static std::vector<double> programming_bounds();      // of network_programming_duration_seconds

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

struct Metrics {
  Histogram sync{Histogram::exponential(0.001, 2, 15)};
  Histogram full_sync{Histogram::exponential(0.001, 2, 15)};
  Histogram partial_sync{Histogram::exponential(0.001, 2, 15)};
  Histogram programming{Histogram::programming_bounds()};
  double last_sync = 0, last_queued = 0;                // seconds since 1970
  uint64_t service_changes = 0, endpoint_changes = 0;
  size_t changes_pending = 0;
  uint64_t restore_failures = 0, partial_restore_failures = 0;
  RuleCounts rules;                                     // of the first family
  std::map<int, uint64_t> healthz, livez;               // by code

  std::string text() const;
};

}  // namespace knarr::proxy
