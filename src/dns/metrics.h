// SPDX-License-Identifier: Apache-2.0
// Counters by CoreDNS' names, in Prometheus' text form. One executor.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <string>

#include "dns/resolver.h"

namespace knarr::dns {

class Metrics {
 public:
  explicit Metrics(std::string server) : server_(std::move(server)) {}  // "dns://:53"

  struct Exchange {
    bool tcp = false, ipv4 = true, dnssec_ok = false;
    uint16_t type = 0, rcode = 0;  // type 0: there was no question
    const char* source = "";
    size_t request_bytes = 0, answer_bytes = 0;
    Duration took{};
  };
  void add(const Exchange& exchange);
  std::string text(const AnswerCache* cache, uint64_t rejected) const;

 private:
  template <size_t N>
  struct Histogram {
    std::array<uint64_t, N> buckets{};
    uint64_t count = 0;
    double sum = 0;
    void add(const std::array<double, N>& bounds, double value);
    void write(std::string* out, std::string_view name, std::string_view labels, const std::array<double, N>& bounds) const;
  };
  std::string server_;
  absl::flat_hash_map<uint32_t, uint64_t> requests_;  // by protocol, family and type
  absl::flat_hash_map<std::pair<uint16_t, std::string_view>, uint64_t> answers_;
  uint64_t dnssec_ok_ = 0;
  Histogram<16> durations_;
  std::array<Histogram<14>, 2> request_sizes_, answer_sizes_;  // UDP, TCP
};

}  // namespace knarr::dns
