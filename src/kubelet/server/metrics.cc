// SPDX-License-Identifier: Apache-2.0
// /metrics, /metrics/resource, /metrics/cadvisor and /metrics/probes in Prometheus' text format.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/files.h"
#include "kubelet/server/call.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

std::string escaped(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string container_labels(const ContainerUsage& usage) {
  return fmt::format("{{container=\"{}\",namespace=\"{}\",pod=\"{}\"}}", escaped(usage.container),
                     escaped(usage.ns), escaped(usage.pod));
}

int64_t millis(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
double seconds(uint64_t nanos) { return static_cast<double>(nanos) / 1e9; }

// Start of this process, in seconds since 1970.
double process_start_time() {
  Result<std::string> stat = read_file("/proc/self/stat");
  Result<std::string> uptime = read_file("/proc/uptime");
  if (!stat.ok() || !uptime.ok()) return 0;
  // The command's name, in parentheses, may hold blanks: count from its end. The start is field 22.
  size_t at = stat->rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat->find(' ', at + 1);
  if (at == std::string::npos) return 0;
  double ticks = std::strtod(stat->c_str() + at, nullptr);
  double up = std::strtod(uptime->c_str(), nullptr);
  double now = std::chrono::duration<double>(Clock::real().now().time_since_epoch()).count();
  return now - up + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void process_metrics(std::string& out) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  head(out, "process_cpu_seconds_total", "counter",
       "Total user and system CPU time spent in seconds.");
  out += fmt::format("process_cpu_seconds_total {}\n", cpu);
  head(out, "process_start_time_seconds", "gauge",
       "Start time of the process since unix epoch in seconds.");
  out += fmt::format("process_start_time_seconds {:.2f}\n", process_start_time());
  Result<std::string> statm = read_file("/proc/self/statm");
  size_t blank = statm.ok() ? statm->find(' ') : std::string::npos;
  if (blank != std::string::npos) {
    long pages = std::strtol(statm->c_str() + blank, nullptr, 10);
    head(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    out += fmt::format("process_resident_memory_bytes {}\n", pages * ::sysconf(_SC_PAGESIZE));
  }
  Result<std::vector<std::string>> descriptors = list_dir("/proc/self/fd");
  if (descriptors.ok()) {
    head(out, "process_open_fds", "gauge", "Number of open file descriptors.");
    out += fmt::format("process_open_fds {}\n", descriptors->size());
  }
}

std::string own_metrics(ServerState& state) {
  std::string out;
  head(out, "kubelet_http_requests_total", "counter",
       "[ALPHA] Number of the http requests received since the server started");
  for (const auto& [labels, count] : state.requests)
    out += fmt::format("kubelet_http_requests_total{{{}}} {}\n", labels, count);
  head(out, "kubelet_node_name", "gauge", "[ALPHA] The node's name. The count is always 1.");
  out += fmt::format("kubelet_node_name{{node=\"{}\"}} 1\n", escaped(state.options.node_name));
  size_t pods = 0, containers = 0;
  for (const PodPtr& pod : state.host.pods()) {
    size_t running = 0;
    for (const api::core_v1::ContainerStatus& status : pod->status.container_statuses)
      running += status.state.running ? 1 : 0;
    containers += running;
    pods += running > 0 ? 1 : 0;
  }
  head(out, "kubelet_running_containers", "gauge",
       "[ALPHA] Number of containers currently running");
  out += fmt::format("kubelet_running_containers{{container_state=\"running\"}} {}\n", containers);
  head(out, "kubelet_running_pods", "gauge",
       "[ALPHA] Number of pods that have a running pod sandbox");
  out += fmt::format("kubelet_running_pods {}\n", pods);
  process_metrics(out);
  return out + state.host.metrics_text();
}

// One family over the containers; `value` answers nothing to leave one out.
template <class Value>
void container_family(std::string& out, const std::vector<ContainerUsage>& usage,
                      std::string_view name, std::string_view type, std::string_view help,
                      Value&& value) {
  head(out, name, type, help);
  for (const ContainerUsage& one : usage) {
    std::optional<std::pair<std::string, WallTime>> sample = value(one);
    if (sample)
      out += fmt::format("{}{} {} {}\n", name, container_labels(one), sample->first,
                         millis(sample->second));
  }
}

using Sample = std::optional<std::pair<std::string, WallTime>>;

Sample cpu_sample(const ContainerUsage& usage) {
  if (!usage.cpu) return std::nullopt;
  return std::make_pair(fmt::format("{}", seconds(usage.cpu->total_nanos)), usage.cpu->time);
}
Sample memory_sample(const ContainerUsage& usage) {
  if (!usage.memory || !usage.memory->working_set) return std::nullopt;
  return std::make_pair(fmt::format("{}", *usage.memory->working_set), usage.memory->time);
}

void pod_families(std::string& out, const std::vector<ContainerUsage>& usage) {
  struct Sum {
    uint64_t cpu = 0, memory = 0;
    WallTime cpu_time{}, memory_time{};
  };
  std::map<std::pair<std::string, std::string>, Sum> sums;
  for (const ContainerUsage& one : usage) {
    Sum& sum = sums[{one.ns, one.pod}];
    if (one.cpu)
      sum.cpu += one.cpu->total_nanos, sum.cpu_time = std::max(sum.cpu_time, one.cpu->time);
    if (one.memory)
      sum.memory += one.memory->working_set.value_or(0),
          sum.memory_time = std::max(sum.memory_time, one.memory->time);
  }
  head(out, "pod_cpu_usage_seconds_total", "counter",
       "[ALPHA] Cumulative cpu time consumed by the pod in core-seconds");
  for (const auto& [pod, sum] : sums)
    out += fmt::format("pod_cpu_usage_seconds_total{{namespace=\"{}\",pod=\"{}\"}} {} {}\n",
                       escaped(pod.first), escaped(pod.second), seconds(sum.cpu),
                       millis(sum.cpu_time));
  head(out, "pod_memory_working_set_bytes", "gauge",
       "[ALPHA] Current working set of the pod in bytes");
  for (const auto& [pod, sum] : sums)
    out +=
        fmt::format("pod_memory_working_set_bytes{{namespace=\"{}\",pod=\"{}\"}} {} {}\n",
                    escaped(pod.first), escaped(pod.second), sum.memory, millis(sum.memory_time));
}

Task<std::string> resource_metrics(ServerState& state) {
  Result<std::vector<ContainerUsage>> listed = co_await state.stats.containers();
  std::vector<ContainerUsage> usage;
  if (listed.ok()) usage = std::move(*listed);
  NodeUsage node = state.stats.node();
  std::string out;
  container_family(out, usage, "container_cpu_usage_seconds_total", "counter",
                   "[ALPHA] Cumulative cpu time consumed by the container in core-seconds",
                   cpu_sample);
  container_family(out, usage, "container_memory_working_set_bytes", "gauge",
                   "[ALPHA] Current working set of the container in bytes", memory_sample);
  head(out, "node_cpu_usage_seconds_total", "counter",
       "[ALPHA] Cumulative cpu time consumed by the node in core-seconds");
  out += fmt::format("node_cpu_usage_seconds_total {} {}\n", seconds(node.cpu.total_nanos),
                     millis(node.cpu.time));
  head(out, "node_memory_working_set_bytes", "gauge",
       "[ALPHA] Current working set of the node in bytes");
  out += fmt::format("node_memory_working_set_bytes {} {}\n", node.memory.working_set.value_or(0),
                     millis(node.memory.time));
  pod_families(out, usage);
  head(out, "scrape_error", "gauge",
       "[ALPHA] 1 if there was an error while getting container metrics, 0 otherwise");
  out += fmt::format("scrape_error {}\n", listed.ok() ? 0 : 1);
  co_return out;
}

Task<std::string> cadvisor_metrics(ServerState& state) {
  Result<std::vector<ContainerUsage>> listed = co_await state.stats.containers();
  std::vector<ContainerUsage> usage;
  if (listed.ok()) usage = std::move(*listed);
  std::string out;
  container_family(out, usage, "container_cpu_usage_seconds_total", "counter",
                   "Cumulative cpu time consumed in seconds.", cpu_sample);
  container_family(out, usage, "container_memory_working_set_bytes", "gauge",
                   "Current working set in bytes.", memory_sample);
  container_family(
      out, usage, "container_memory_usage_bytes", "gauge",
      "Current memory usage in bytes, including all memory regardless of when it was accessed",
      [](const ContainerUsage& one) -> Sample {
        if (!one.memory || !one.memory->usage) return std::nullopt;
        return std::make_pair(fmt::format("{}", *one.memory->usage), one.memory->time);
      });
  container_family(out, usage, "container_memory_rss", "gauge", "Size of RSS in bytes.",
                   [](const ContainerUsage& one) -> Sample {
                     if (!one.memory || !one.memory->rss) return std::nullopt;
                     return std::make_pair(fmt::format("{}", *one.memory->rss), one.memory->time);
                   });
  co_return out;
}

}  // namespace

Task<void> serve_metrics(Call& call) {
  std::string which = call.path.size() == 1 ? "" : call.path.size() == 2 ? call.path[1] : "?";
  std::string body;
  if (which.empty()) {
    body = own_metrics(call.state);
  } else if (which == "resource") {
    body = co_await resource_metrics(call.state);
  } else if (which == "cadvisor") {
    body = co_await cadvisor_metrics(call.state);
  } else if (which == "probes") {
    process_metrics(body);
  } else {
    co_await answer_text(call, 404, "404 page not found\n");
    co_return;
  }
  co_await answer(call, 200, kTextFormat, std::move(body));
}

}  // namespace knarr::kubelet
