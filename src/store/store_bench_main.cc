// SPDX-License-Identifier: Apache-2.0
// store_bench DIR [SECONDS]: durable writes a second and their latency by number of concurrent
// writers, then reads.
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "store/embedded_store.h"

namespace knarr::store {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Load {
  Store* store;
  SteadyClock::time_point until;
  int keys;
  Bytes value;
  std::vector<double> latencies_us;  // one load a coroutine
};

std::string key_of(int number) {
  return "/registry/pods/default/pod-" + std::to_string(100'000 + number);
}

Task<void> write_loop(Load* load, int first_key) {
  for (int i = 0; SteadyClock::now() < load->until; ++i) {
    WriteRequest request;
    request.key = key_of((first_key + i * 7919) % load->keys);
    request.expected_revision = WriteRequest::kAny;
    request.value = load->value;
    auto before = SteadyClock::now();
    Result<WriteResult> result = co_await load->store->write(std::move(request));
    if (!result.ok()) std::abort();
    load->latencies_us.push_back(
        std::chrono::duration<double, std::micro>(SteadyClock::now() - before).count());
  }
}

void bench_writers(EmbeddedStore& store, int writers, double seconds) {
  boost::asio::io_context context;
  auto start = SteadyClock::now();
  auto until = start + std::chrono::duration_cast<SteadyClock::duration>(
                           std::chrono::duration<double>(seconds));
  std::vector<Load> loads(static_cast<size_t>(writers));
  Bytes value = Bytes::copy(std::string(1500, 'v'));
  EmbeddedStore::Stats before = store.stats();
  for (int i = 0; i < writers; ++i) {
    loads[static_cast<size_t>(i)] = {&store, until, 5000, value, {}};
    spawn(context.get_executor(), write_loop(&loads[static_cast<size_t>(i)], i * 151));
  }
  context.run();
  double took = std::chrono::duration<double>(SteadyClock::now() - start).count();
  EmbeddedStore::Stats after = store.stats();
  std::vector<double> all;
  for (Load& load : loads)
    all.insert(all.end(), load.latencies_us.begin(), load.latencies_us.end());
  std::sort(all.begin(), all.end());
  double n = static_cast<double>(all.size());
  std::printf("%4d writers  %8.0f writes/s  p50 %7.0f us  p99 %7.0f us  %5.1f writes a commit\n",
              writers, n / took, all[all.size() / 2], all[all.size() * 99 / 100],
              n / static_cast<double>(after.commits - before.commits));
}

Task<void> read_loop(Store* store) {
  constexpr int kReads = 50'000;
  auto start = SteadyClock::now();
  for (int i = 0; i < kReads; ++i) {
    std::string key = key_of(i * 7919 % 5000);
    Result<Entry> entry = co_await store->get(std::move(key));
    if (!entry.ok()) std::abort();
  }
  double took = std::chrono::duration<double>(SteadyClock::now() - start).count();
  std::printf("get                 %8.2f us\n", took * 1e6 / kReads);
  for (int64_t back : {0, 9000}) {
    RangeRequest request;
    request.start = "/registry/pods/";
    request.end = prefix_end(request.start);
    request.revision = back == 0 ? 0 : store->revision() - back;
    start = SteadyClock::now();
    Result<RangeResult> result = co_await store->range(std::move(request));
    took = std::chrono::duration<double>(SteadyClock::now() - start).count();
    if (!result.ok()) {
      std::printf("range: %s\n", std::string(result.status().message()).c_str());
      continue;
    }
    std::printf("range of %zu keys, %lld revisions ago  %8.2f ms\n", result->entries.size(),
                static_cast<long long>(back), took * 1e3);
  }
}

int run(const char* dir, double seconds) {
  EmbeddedOptions options;
  options.dir = dir;
  Result<std::unique_ptr<EmbeddedStore>> store = open_embedded_store(options);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", std::string(store.status().message()).c_str());
    return 1;
  }
  for (int writers : {1, 4, 32, 256}) bench_writers(**store, writers, seconds);
  boost::asio::io_context context;
  spawn(context.get_executor(), read_loop(store->get()));
  context.run();
  return 0;
}

}  // namespace
}  // namespace knarr::store

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: store_bench DIR [SECONDS]\n");
    return 2;
  }
  return knarr::store::run(argv[1], argc > 2 ? std::atof(argv[2]) : 3);
}
