// SPDX-License-Identifier: Apache-2.0
#include "proxy/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace knarr::proxy {
namespace {

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} [ALPHA] {2}\n# TYPE {0} {1}\n", name, type, help);
}

template <class Number>
void single(std::string& out, std::string_view name, std::string_view type, std::string_view help, Number value) {
  head(out, name, type, help);
  out += fmt::format("{} {}\n", name, value);
}

void by_label(std::string& out, std::string_view name, std::string_view type, std::string_view help, std::string_view label,
              std::initializer_list<std::pair<std::string_view, size_t>> values) {
  head(out, name, type, help);
  for (const auto& [value, number] : values) out += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, value, number);
}

void by_code(std::string& out, std::string_view name, std::string_view help, const std::map<int, uint64_t>& codes) {
  if (codes.empty()) return;
  head(out, name, "counter", help);
  for (const auto& [code, count] : codes) out += fmt::format("{}{{code=\"{}\"}} {}\n", name, code, count);
}

}  // namespace

void Histogram::observe(double value) {
  ++counts_[static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin())];
  sum_ += value;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view help) const {
  head(out, name, "histogram", help);
  uint64_t total = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    std::string bound = i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf";
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bound, total);
  }
  out += fmt::format("{0}_sum {1}\n{0}_count {2}\n", name, sum_, total);
}

std::vector<double> Histogram::exponential(double first, double factor, int count) {
  std::vector<double> bounds;
  for (int i = 0; i < count; ++i, first *= factor) bounds.push_back(first);
  return bounds;
}

std::vector<double> Histogram::programming_bounds() {
  std::vector<double> bounds = {0.25, 0.5};
  for (int i = 1; i < 60; ++i) bounds.push_back(i);
  for (int i = 60; i < 120; i += 5) bounds.push_back(i);
  for (int i = 120; i <= 300; i += 30) bounds.push_back(i);
  return bounds;
}

std::string Metrics::text() const {
  std::string out;
  sync.write(out, "kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds");
  full_sync.write(out, "kubeproxy_sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs");
  partial_sync.write(out, "kubeproxy_sync_partial_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for partial resyncs");
  programming.write(out, "kubeproxy_network_programming_duration_seconds", "In Cluster Network Programming Latency in seconds");
  single(out, "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", "The last time proxy rules were successfully synced", last_sync);
  single(out, "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "The last time a sync of proxy rules was queued", last_queued);
  single(out, "kubeproxy_sync_proxy_rules_service_changes_total", "counter", "Cumulative proxy rules Service changes", service_changes);
  single(out, "kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", "Cumulative proxy rules Endpoint changes", endpoint_changes);
  single(out, "kubeproxy_sync_proxy_rules_service_changes_pending", "gauge", "Pending proxy rules Service changes", changes_pending);
  single(out, "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge", "Pending proxy rules Endpoint changes", changes_pending);
  single(out, "kubeproxy_sync_proxy_rules_iptables_restore_failures_total", "counter", "Cumulative proxy iptables restore failures", restore_failures);
  single(out, "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total", "counter", "Cumulative proxy iptables partial restore failures",
         partial_restore_failures);
  by_label(out, "kubeproxy_sync_proxy_rules_iptables_total", "gauge", "Total number of iptables rules owned by kube-proxy", "table",
           {{"filter", rules.filter_total}, {"nat", rules.nat_total}});
  by_label(out, "kubeproxy_sync_proxy_rules_iptables_last", "gauge", "Number of iptables rules written by kube-proxy in last sync", "table",
           {{"filter", rules.filter_last}, {"nat", rules.nat_last}});
  by_label(out, "kubeproxy_sync_proxy_rules_no_local_endpoints_total", "gauge",
           "Number of services with a Local traffic policy and no endpoints", "traffic_policy",
           {{"external", static_cast<size_t>(rules.no_local_external)}, {"internal", static_cast<size_t>(rules.no_local_internal)}});
  by_code(out, "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", healthz);
  by_code(out, "kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", livez);
  return out;
}

}  // namespace knarr::proxy
