// SPDX-License-Identifier: Apache-2.0
// What the node and its containers use, from the runtime, /proc and the file system: /stats/summary
// and the resource metrics.
//
// CPU rates are taken between two looks, at least a second apart: whoever asks regularly gets the
// rate of the time between. One executor.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kubelet/server/server.h"
#include "schema/json.h"

namespace knarr::kubelet {

struct CpuSample {
  WallTime time{};
  uint64_t total_nanos = 0;            // of CPU time, ever
  std::optional<uint64_t> nano_cores;  // the rate
};
struct MemorySample {
  WallTime time{};
  std::optional<uint64_t> available, usage, working_set, rss, page_faults, major_page_faults;
};
struct FsSample {
  WallTime time{};
  std::optional<uint64_t> available, capacity, used, inodes, inodes_free, inodes_used;
};
struct ContainerUsage {
  std::string ns, pod, uid, container, id;
  std::optional<CpuSample> cpu;
  std::optional<MemorySample> memory;
  std::optional<FsSample> root_fs;
};
struct NetworkSample {
  std::string name;
  uint64_t rx_bytes = 0, rx_errors = 0, tx_bytes = 0, tx_errors = 0;
};
struct NodeUsage {
  WallTime start{}, time{};
  CpuSample cpu;
  MemorySample memory;
  FsSample fs;
  std::vector<NetworkSample> interfaces;
  std::string default_interface;
  int64_t max_pid = 0, processes = 0;
};

class StatsCollector {
 public:
  StatsCollector(ServerHost& host, const KubeletServerOptions& options)
      : host_(host), options_(options) {}
  NodeUsage node();
  Task<Result<std::vector<ContainerUsage>>> containers();  // running ones, by pod
  Task<Result<json::Value>> summary(bool only_cpu_and_memory);

 private:
  void fill_rate(const std::string& key, CpuSample* sample);

  ServerHost& host_;
  const KubeletServerOptions& options_;
  std::map<std::string, CpuSample> last_;  // by container id; "" is the node
};

// Parsers of the kernel's files; lenient, pure.
uint64_t parse_cpu_nanos(std::string_view proc_stat, int64_t ticks_per_second);
std::map<std::string, uint64_t, std::less<>> parse_meminfo(std::string_view meminfo);  // bytes
std::vector<NetworkSample> parse_net_dev(std::string_view net_dev);

}  // namespace knarr::kubelet
