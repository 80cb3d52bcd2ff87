// SPDX-License-Identifier: Apache-2.0
#include "dns/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/version.h"

namespace knarr::dns {
namespace {

constexpr std::array<double, 16> kSeconds = {0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                             0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192};
constexpr std::array<double, 14> kSizes = {0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000};
constexpr std::array<const char*, 2> kProtocols = {"udp", "tcp"};

// As CoreDNS: the types that people ask for by name, the others together.
std::string type_label(uint16_t type) {
  std::string text = type_text(type);
  return text.starts_with("TYPE") || text == "OPT" ? "other" : text;
}

void head(std::string* out, std::string_view name, std::string_view kind, std::string_view help) {
  fmt::format_to(std::back_inserter(*out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
}

}  // namespace

template <size_t N>
void Metrics::Histogram<N>::add(const std::array<double, N>& bounds, double value) {
  ++count;
  sum += value;
  auto at = std::lower_bound(bounds.begin(), bounds.end(), value);
  if (at != bounds.end()) ++buckets[static_cast<size_t>(at - bounds.begin())];
}

template <size_t N>
void Metrics::Histogram<N>::write(std::string* out, std::string_view name, std::string_view labels, const std::array<double, N>& bounds) const {
  uint64_t below = 0;
  auto to = std::back_inserter(*out);
  for (size_t i = 0; i < N; ++i) {
    below += buckets[i];
    fmt::format_to(to, "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bounds[i], below);
  }
  fmt::format_to(to, "{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3}\n{0}_count{{{1}}} {2}\n", name, labels, count, sum);
}

void Metrics::add(const Exchange& exchange) {
  ++requests_[static_cast<uint32_t>(exchange.tcp ? 1u << 17 : 0u) | (exchange.ipv4 ? 1u << 16 : 0u) | exchange.type];
  ++answers_[{exchange.rcode, exchange.source}];
  if (exchange.dnssec_ok) ++dnssec_ok_;
  durations_.add(kSeconds, std::chrono::duration<double>(exchange.took).count());
  request_sizes_[exchange.tcp].add(kSizes, static_cast<double>(exchange.request_bytes));
  answer_sizes_[exchange.tcp].add(kSizes, static_cast<double>(exchange.answer_bytes));
}

std::string Metrics::text(const AnswerCache* cache, uint64_t rejected) const {
  std::string out;
  auto to = std::back_inserter(out);
  std::string labels = fmt::format("server=\"{}\",view=\"\",zone=\".\"", server_);
  head(&out, "coredns_build_info", "gauge", "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.");
  fmt::format_to(to, "coredns_build_info{{goversion=\"\",revision=\"\",version=\"knarr-{}\"}} 1\n", kKubernetesVersion);
  head(&out, "coredns_panics_total", "counter", "A metrics that counts the number of panics.");
  out += "coredns_panics_total 0\n";
  head(&out, "coredns_dns_requests_total", "counter", "Counter of DNS requests made per zone, protocol and family.");
  for (const auto& [key, count] : requests_)
    fmt::format_to(to, "coredns_dns_requests_total{{family=\"{}\",proto=\"{}\",{},type=\"{}\"}} {}\n", key >> 16 & 1 ? 1 : 2, kProtocols[key >> 17 & 1],
                   labels, type_label(static_cast<uint16_t>(key & 0xffff)), count);
  head(&out, "coredns_dns_responses_total", "counter", "Counter of response status codes.");
  for (const auto& [key, count] : answers_)
    fmt::format_to(to, "coredns_dns_responses_total{{plugin=\"{}\",rcode=\"{}\",{}}} {}\n", key.second, rcode_text(key.first), labels, count);
  head(&out, "coredns_dns_do_requests_total", "counter", "Counter of DNS requests with DO bit set per zone.");
  fmt::format_to(to, "coredns_dns_do_requests_total{{{}}} {}\n", labels, dnssec_ok_);
  head(&out, "coredns_dns_request_duration_seconds", "histogram", "Histogram of the time (in seconds) each request took per zone.");
  durations_.write(&out, "coredns_dns_request_duration_seconds", labels, kSeconds);
  head(&out, "coredns_dns_request_size_bytes", "histogram", "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.");
  for (size_t i = 0; i < 2; ++i)
    request_sizes_[i].write(&out, "coredns_dns_request_size_bytes", fmt::format("proto=\"{}\",{}", kProtocols[i], labels), kSizes);
  head(&out, "coredns_dns_response_size_bytes", "histogram", "Size of the returned response in bytes.");
  for (size_t i = 0; i < 2; ++i)
    answer_sizes_[i].write(&out, "coredns_dns_response_size_bytes", fmt::format("proto=\"{}\",{}", kProtocols[i], labels), kSizes);
  if (cache != nullptr) {
    std::string zones = fmt::format("server=\"{}\",view=\"\",zones=\".\"", server_);
    head(&out, "coredns_cache_entries", "gauge", "The number of elements in the cache.");
    fmt::format_to(to, "coredns_cache_entries{{{},type=\"success\"}} {}\n", zones, cache->positives());
    fmt::format_to(to, "coredns_cache_entries{{{},type=\"denial\"}} {}\n", zones, cache->denials());
    head(&out, "coredns_cache_requests_total", "counter", "The count of cache requests.");
    fmt::format_to(to, "coredns_cache_requests_total{{{}}} {}\n", zones, cache->hits() + cache->misses());
    head(&out, "coredns_cache_misses_total", "counter", "The count of cache misses. Deprecated, derive misses from cache hits/requests counters.");
    fmt::format_to(to, "coredns_cache_misses_total{{{}}} {}\n", zones, cache->misses());
  }
  head(&out, "coredns_forward_max_concurrent_rejects_total", "counter",
       "Counter of the number of queries rejected because the concurrent queries were at maximum.");
  fmt::format_to(to, "coredns_forward_max_concurrent_rejects_total {}\n", rejected);
  return out;
}

}  // namespace knarr::dns
