// SPDX-License-Identifier: Apache-2.0
#include "base/together.h"

#include <memory>

namespace knarr {
namespace {

struct Together {
  Together(Executor executor, size_t n) : results(n), left(n), done(std::move(executor)) {}
  std::vector<Status> results;
  size_t left;
  Completion done;
};

Task<void> run_one(std::shared_ptr<Together> together, size_t at, Job job) {
  Task<Status> task = job();
  together->results[at] = co_await std::move(task);
  if (--together->left == 0) together->done.set();
}

}  // namespace

Task<std::vector<Status>> run_together(std::vector<Job> jobs) {
  if (jobs.empty()) co_return std::vector<Status>();
  Executor executor = co_await this_executor();
  auto together = std::make_shared<Together>(executor, jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i) spawn(executor, run_one(together, i, std::move(jobs[i])));
  co_await together->done.wait();
  co_return std::move(together->results);
}

}  // namespace knarr
