// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/stats.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <set>

#include "base/files.h"
#include "kubelet/server/call.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace cri_v1 = api::cri_v1;
namespace {

constexpr Duration kShortestInterval = std::chrono::seconds(1);

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while (at < line.size()) {
    size_t begin = line.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    at = end;
  }
  return words;
}

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

template <class Visit>
void each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    visit(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::string read_or_empty(const char* path) {
  Result<std::string> text = read_file(path);
  return text.ok() ? std::move(*text) : std::string();
}

std::optional<uint64_t> value_of(const schema::Box<cri_v1::UInt64Value>& box) {
  return box ? std::optional<uint64_t>(box->value) : std::nullopt;
}

WallTime from_nanos(int64_t nanos) { return WallTime(std::chrono::nanoseconds(nanos)); }

FsSample file_system_of(const std::string& path, WallTime now) {
  FsSample sample;
  sample.time = now;
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return sample;
  sample.available = uint64_t{info.f_bavail} * info.f_frsize;
  sample.capacity = uint64_t{info.f_blocks} * info.f_frsize;
  sample.used = uint64_t{info.f_blocks - info.f_bfree} * info.f_frsize;
  sample.inodes = info.f_files;
  sample.inodes_free = info.f_ffree;
  sample.inodes_used = info.f_files - info.f_ffree;
  return sample;
}

json::Value time_value(WallTime time) {
  return json::Value(schema::format_time(schema::to_time(time)));
}

void put(json::Value& object, std::string_view name, const std::optional<uint64_t>& value) {
  if (value) object[name] = json::Value(static_cast<int64_t>(*value));
}

json::Value cpu_value(const CpuSample& cpu) {
  json::Value value = json::Value::object();
  value["time"] = time_value(cpu.time);
  put(value, "usageNanoCores", cpu.nano_cores);
  put(value, "usageCoreNanoSeconds", cpu.total_nanos);
  return value;
}
json::Value memory_value(const MemorySample& memory) {
  json::Value value = json::Value::object();
  value["time"] = time_value(memory.time);
  put(value, "availableBytes", memory.available);
  put(value, "usageBytes", memory.usage);
  put(value, "workingSetBytes", memory.working_set);
  put(value, "rssBytes", memory.rss);
  put(value, "pageFaults", memory.page_faults);
  put(value, "majorPageFaults", memory.major_page_faults);
  return value;
}
json::Value fs_value(const FsSample& fs) {
  json::Value value = json::Value::object();
  value["time"] = time_value(fs.time);
  put(value, "availableBytes", fs.available);
  put(value, "capacityBytes", fs.capacity);
  put(value, "usedBytes", fs.used);
  put(value, "inodesFree", fs.inodes_free);
  put(value, "inodes", fs.inodes);
  put(value, "inodesUsed", fs.inodes_used);
  return value;
}
json::Value interface_value(const NetworkSample& network) {
  json::Value value = json::Value::object();
  value["name"] = json::Value(network.name);
  put(value, "rxBytes", network.rx_bytes);
  put(value, "rxErrors", network.rx_errors);
  put(value, "txBytes", network.tx_bytes);
  put(value, "txErrors", network.tx_errors);
  return value;
}

json::Value node_value(const NodeUsage& node, const std::string& name, bool only_cpu_and_memory) {
  json::Value value = json::Value::object();
  value["nodeName"] = json::Value(name);
  value["startTime"] = time_value(node.start);
  value["cpu"] = cpu_value(node.cpu);
  value["memory"] = memory_value(node.memory);
  if (only_cpu_and_memory) return value;
  json::Value network = json::Value::object();
  network["time"] = time_value(node.time);
  for (const NetworkSample& one : node.interfaces) {
    if (one.name != node.default_interface) continue;
    json::Value main = interface_value(one);
    for (json::Value::Member& member : main.members()) network[member.first] = std::move(member.second);
  }
  network["interfaces"] = json::Value::array();
  for (const NetworkSample& one : node.interfaces)
    network["interfaces"].push_back(interface_value(one));
  value["network"] = std::move(network);
  value["fs"] = fs_value(node.fs);
  value["runtime"]["imageFs"] = fs_value(node.fs);
  json::Value limits = json::Value::object();
  limits["time"] = time_value(node.time);
  limits["maxpid"] = json::Value(node.max_pid);
  limits["curproc"] = json::Value(node.processes);
  value["rlimit"] = std::move(limits);
  return value;
}

WallTime container_start(const core::Pod& pod, std::string_view container) {
  for (const auto* list : {&pod.status.container_statuses, &pod.status.init_container_statuses,
                           &pod.status.ephemeral_container_statuses})
    for (const core::ContainerStatus& status : *list)
      if (status.name == container && status.state.running)
        return schema::to_wall(status.state.running->started_at);
  return WallTime{};
}

// What the pod's containers use together.
void add_sums(json::Value& pod, const std::vector<const ContainerUsage*>& containers) {
  CpuSample cpu;
  MemorySample memory;
  auto add = [](std::optional<uint64_t>& sum, const std::optional<uint64_t>& value) {
    if (value) sum = sum.value_or(0) + *value;
  };
  for (const ContainerUsage* one : containers) {
    if (one->cpu) {
      cpu.time = std::max(cpu.time, one->cpu->time);
      cpu.total_nanos += one->cpu->total_nanos;
      add(cpu.nano_cores, one->cpu->nano_cores);
    }
    if (one->memory) {
      memory.time = std::max(memory.time, one->memory->time);
      add(memory.usage, one->memory->usage);
      add(memory.working_set, one->memory->working_set);
      add(memory.rss, one->memory->rss);
      add(memory.page_faults, one->memory->page_faults);
      add(memory.major_page_faults, one->memory->major_page_faults);
    }
  }
  pod["cpu"] = cpu_value(cpu);
  pod["memory"] = memory_value(memory);
}

json::Value pod_value(const core::Pod& pod, const std::vector<const ContainerUsage*>& containers,
                      bool only_cpu_and_memory) {
  json::Value value = json::Value::object();
  json::Value reference = json::Value::object();
  reference["name"] = json::Value(pod.metadata.name.view());
  reference["namespace"] = json::Value(pod.metadata.namespace_.view());
  reference["uid"] = json::Value(pod.metadata.uid.view());
  value["podRef"] = std::move(reference);
  value["startTime"] = pod.status.start_time
                           ? json::Value(schema::format_time(*pod.status.start_time))
                           : json::Value(nullptr);
  value["containers"] = json::Value::array();
  for (const ContainerUsage* one : containers) {
    json::Value container = json::Value::object();
    container["name"] = json::Value(one->container);
    container["startTime"] = time_value(container_start(pod, one->container));
    if (one->cpu) container["cpu"] = cpu_value(*one->cpu);
    if (one->memory) container["memory"] = memory_value(*one->memory);
    if (one->root_fs && !only_cpu_and_memory) container["rootfs"] = fs_value(*one->root_fs);
    value["containers"].push_back(std::move(container));
  }
  add_sums(value, containers);
  return value;
}

}  // namespace

uint64_t parse_cpu_nanos(std::string_view proc_stat, int64_t ticks_per_second) {
  uint64_t ticks = 0;
  each_line(proc_stat, [&](std::string_view line) {
    std::vector<std::string_view> words = words_of(line);
    if (words.empty() || words[0] != "cpu") return;
    // user nice system idle iowait irq softirq steal; guest time is part of user.
    for (size_t i = 1; i < words.size() && i <= 8; ++i)
      if (i != 4 && i != 5) ticks += number(words[i]);
  });
  return ticks * (1'000'000'000 / static_cast<uint64_t>(std::max<int64_t>(ticks_per_second, 1)));
}

std::map<std::string, uint64_t, std::less<>> parse_meminfo(std::string_view meminfo) {
  std::map<std::string, uint64_t, std::less<>> values;
  each_line(meminfo, [&](std::string_view line) {
    std::vector<std::string_view> words = words_of(line);
    if (words.size() < 2 || !words[0].ends_with(':')) return;
    uint64_t unit = words.size() > 2 && words[2] == "kB" ? 1024 : 1;
    values[std::string(words[0].substr(0, words[0].size() - 1))] = number(words[1]) * unit;
  });
  return values;
}

std::vector<NetworkSample> parse_net_dev(std::string_view net_dev) {
  std::vector<NetworkSample> found;
  each_line(net_dev, [&](std::string_view line) {
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::vector<std::string_view> name = words_of(line.substr(0, colon)),
                                  values = words_of(line.substr(colon + 1));
    if (name.size() != 1 || values.size() < 11 || name[0] == "lo") return;
    found.push_back({std::string(name[0]), number(values[0]), number(values[2]), number(values[8]),
                     number(values[10])});
  });
  return found;
}

void StatsCollector::fill_rate(const std::string& key, CpuSample* sample) {
  auto [at, first] = last_.try_emplace(key, *sample);
  if (first) return;
  CpuSample& last = at->second;
  Duration passed = sample->time - last.time;
  if (passed < kShortestInterval) {
    if (!sample->nano_cores) sample->nano_cores = last.nano_cores;
    return;
  }
  if (!sample->nano_cores && sample->total_nanos >= last.total_nanos) {
    double rate = static_cast<double>(sample->total_nanos - last.total_nanos) /
                  static_cast<double>(passed.count());
    sample->nano_cores = static_cast<uint64_t>(rate * 1e9);
  }
  last = *sample;
}

NodeUsage StatsCollector::node() {
  NodeUsage node;
  node.time = Clock::real().now();
  node.cpu.time = node.memory.time = node.time;
  node.cpu.total_nanos = parse_cpu_nanos(read_or_empty("/proc/stat"), ::sysconf(_SC_CLK_TCK));
  fill_rate("", &node.cpu);

  auto memory = parse_meminfo(read_or_empty("/proc/meminfo"));
  uint64_t total = memory["MemTotal"], free = memory["MemFree"],
           inactive_file = memory["Inactive(file)"];
  uint64_t usage = total - std::min(free, total);
  node.memory.usage = usage;
  node.memory.working_set = usage - std::min(inactive_file, usage);
  node.memory.available = total - *node.memory.working_set;
  node.memory.rss = memory["AnonPages"];
  each_line(read_or_empty("/proc/vmstat"), [&](std::string_view line) {
    std::vector<std::string_view> words = words_of(line);
    if (words.size() != 2) return;
    if (words[0] == "pgfault") node.memory.page_faults = number(words[1]);
    if (words[0] == "pgmajfault") node.memory.major_page_faults = number(words[1]);
  });

  node.fs = file_system_of(options_.root_dir, node.time);
  node.interfaces = parse_net_dev(read_or_empty("/proc/net/dev"));
  each_line(read_or_empty("/proc/net/route"), [&](std::string_view line) {
    std::vector<std::string_view> words = words_of(line);
    if (words.size() > 2 && words[1] == "00000000" && node.default_interface.empty())
      node.default_interface = words[0];
  });
  std::string uptime = read_or_empty("/proc/uptime");
  node.start = node.time -
               std::chrono::seconds(number(std::string_view(uptime).substr(0, uptime.find('.'))));
  node.max_pid = static_cast<int64_t>(number(read_or_empty("/proc/sys/kernel/pid_max")));
  std::string load = read_or_empty("/proc/loadavg");
  size_t slash = load.find('/');
  if (slash != std::string::npos)
    node.processes = static_cast<int64_t>(number(std::string_view(load).substr(slash + 1)));
  return node;
}

Task<Result<std::vector<ContainerUsage>>> StatsCollector::containers() {
  Result<cri_v1::ListContainerStatsResponse> listed = co_await host_.container_stats();
  if (!listed.ok()) co_return listed.status();
  std::vector<ContainerUsage> found;
  std::set<std::string> ids = {""};
  for (const cri_v1::ContainerStats& stats : listed->stats) {
    if (!stats.attributes) continue;
    const schema::Map<schema::Str>& labels = stats.attributes->labels;
    ContainerUsage usage;
    usage.id = stats.attributes->id.str();
    usage.ns = get_or_empty(labels, "io.kubernetes.pod.namespace");
    usage.pod = get_or_empty(labels, "io.kubernetes.pod.name");
    usage.uid = get_or_empty(labels, "io.kubernetes.pod.uid");
    usage.container = get_or_empty(labels, "io.kubernetes.container.name");
    if (usage.container.empty()) continue;
    if (stats.cpu && stats.cpu->usage_core_nano_seconds) {
      CpuSample cpu;
      cpu.time = from_nanos(stats.cpu->timestamp);
      cpu.total_nanos = stats.cpu->usage_core_nano_seconds->value;
      cpu.nano_cores = value_of(stats.cpu->usage_nano_cores);
      fill_rate(usage.id, &cpu);
      usage.cpu = cpu;
      ids.insert(usage.id);
    }
    if (stats.memory) {
      MemorySample memory;
      memory.time = from_nanos(stats.memory->timestamp);
      memory.working_set = value_of(stats.memory->working_set_bytes);
      memory.available = value_of(stats.memory->available_bytes);
      memory.usage = value_of(stats.memory->usage_bytes);
      memory.rss = value_of(stats.memory->rss_bytes);
      memory.page_faults = value_of(stats.memory->page_faults);
      memory.major_page_faults = value_of(stats.memory->major_page_faults);
      usage.memory = memory;
    }
    // Containers that run no more use nothing.
    if (!usage.cpu && !usage.memory) continue;
    if (stats.writable_layer) {
      FsSample fs;
      fs.time = from_nanos(stats.writable_layer->timestamp);
      fs.used = value_of(stats.writable_layer->used_bytes);
      fs.inodes_used = value_of(stats.writable_layer->inodes_used);
      usage.root_fs = fs;
    }
    found.push_back(std::move(usage));
  }
  std::erase_if(last_, [&](const auto& entry) { return !ids.contains(entry.first); });
  std::sort(found.begin(), found.end(), [](const ContainerUsage& a, const ContainerUsage& b) {
    return std::tie(a.ns, a.pod, a.uid, a.container) < std::tie(b.ns, b.pod, b.uid, b.container);
  });
  co_return found;
}

Task<Result<json::Value>> StatsCollector::summary(bool only_cpu_and_memory) {
  Result<std::vector<ContainerUsage>> usage = co_await containers();
  if (!usage.ok()) co_return usage.status();
  json::Value value = json::Value::object();
  value["node"] = node_value(node(), options_.node_name, only_cpu_and_memory);
  value["pods"] = json::Value::array();
  std::map<std::string, std::vector<const ContainerUsage*>> by_uid;
  for (const ContainerUsage& one : *usage) by_uid[one.uid].push_back(&one);
  for (const PodPtr& pod : host_.pods()) {
    auto at = by_uid.find(pod->metadata.uid.str());
    if (at == by_uid.end()) continue;
    value["pods"].push_back(pod_value(*pod, at->second, only_cpu_and_memory));
  }
  co_return value;
}

Task<void> serve_stats(Call& call) {
  if (call.path.size() != 2 || call.path[1] != "summary") {
    co_await answer_text(call, 404, "404 page not found\n");
    co_return;
  }
  std::string_view only = call.param("only_cpu_and_memory");
  Result<json::Value> summary = co_await call.state.stats.summary(only == "true" || only == "1");
  if (!summary.ok()) {
    std::string message(summary.status().message());
    co_await answer_text(call, 500, message);
    co_return;
  }
  std::string body = json::to_pretty(*summary, 1);
  co_await answer(call, 200, "application/json", std::move(body));
}

}  // namespace knarr::kubelet
