// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/health.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"

namespace knarr::apiserver::discovery {
namespace {

enum Endpoint : uint8_t { kHealthz = 1, kLivez = 2, kReadyz = 4 };

struct Facts {
  Core& core;
  bool store_answers;
};
struct Check {
  std::string_view name;
  uint8_t endpoints;
  bool (*passes)(const Facts& facts);
};

bool always(const Facts&) { return true; }
bool is_ready(const Facts& facts) { return facts.core.ready(); }
bool store_answers(const Facts& facts) { return facts.store_answers; }
bool not_stopping(const Facts& facts) { return !facts.core.stopping(); }

// The embedded store is alive while its process is; another one has two seconds to answer, as upstream gives it.
struct Question {
  explicit Question(Executor executor) : answered(std::move(executor)) {}
  Notifier answered;
  std::optional<Status> status;
};
Task<void> ask_store(Core* core, std::shared_ptr<Question> question) {
  Status status = co_await core->store().catch_up();
  question->status = status;
  question->answered.notify();
}
Task<bool> does_store_answer(Core& core) {
  if (!core.store().shared()) co_return true;
  constexpr Duration kLimit = std::chrono::seconds(2);
  Executor executor = co_await this_executor();
  auto question = std::make_shared<Question>(executor);
  spawn(executor, ask_store(&core, question));
  // The task runs from this executor's queue, so it cannot have answered yet.
  Duration limit = kLimit;
  bool in_time = co_await question->answered.wait_for(limit);
  co_return in_time && question->status->ok();
}

// Upstream's names; the ones that stand for loops it runs (poststarthooks) are passed once start() has done their work.
constexpr Check kChecks[] = {
    {"ping", kHealthz | kLivez | kReadyz, always},
    {"log", kHealthz | kLivez | kReadyz, always},
    {"etcd", kHealthz | kLivez | kReadyz, store_answers},
    {"etcd-readiness", kReadyz, store_answers},
    {"informer-sync", kReadyz, is_ready},
    {"poststarthook/start-system-namespaces-controller", kHealthz | kLivez | kReadyz, is_ready},
    {"poststarthook/rbac/bootstrap-roles", kHealthz | kLivez | kReadyz, is_ready},
    {"poststarthook/scheduling/bootstrap-system-priority-classes", kHealthz | kLivez | kReadyz, is_ready},
    {"poststarthook/priority-and-fairness-config-producer", kHealthz | kLivez | kReadyz, is_ready},
    {"poststarthook/apiservice-registration-controller", kHealthz | kLivez | kReadyz, is_ready},
    {"shutdown", kReadyz, not_stopping},
};

std::string_view endpoint_name(Endpoint endpoint) {
  return endpoint == kHealthz ? "healthz" : endpoint == kLivez ? "livez" : "readyz";
}

struct Report {
  std::string lines;
  bool failed = false;
};

Report run_checks(const Facts& facts, Endpoint endpoint, const std::vector<std::string_view>& excluded) {
  Report report;
  for (const Check& check : kChecks) {
    if ((check.endpoints & endpoint) == 0) continue;
    std::string name(check.name);
    if (std::find(excluded.begin(), excluded.end(), check.name) != excluded.end()) {
      report.lines += "[+]" + name + " excluded: ok\n";
    } else if (check.passes(facts)) {
      report.lines += "[+]" + name + " ok\n";
    } else {
      report.lines += "[-]" + name + " failed: reason withheld\n";
      report.failed = true;
    }
  }
  return report;
}

Task<Status> respond_text(RequestContext& context, int code, std::string text) {
  Body body{std::string_view(text)};
  Status status = co_await respond_raw(context, code, "text/plain; charset=utf-8", std::move(body));
  co_return status;
}

Task<Status> respond_one(RequestContext& context, Endpoint endpoint, std::string name) {
  bool answers = co_await does_store_answer(context.core);
  Facts facts{context.core, answers};
  for (const Check& check : kChecks) {
    if (check.name != name || (check.endpoints & endpoint) == 0) continue;
    bool passes = check.passes(facts);
    std::string text = passes ? "ok" : "internal server error: " + name + " failed: reason withheld\n";
    Status status = co_await respond_text(context, passes ? 200 : 500, std::move(text));
    co_return status;
  }
  co_return generic_not_found();
}

Task<Status> respond_all(RequestContext& context, Endpoint endpoint) {
  std::vector<std::string_view> excluded;
  for (const auto& [name, value] : context.query)
    if (name == "exclude") excluded.push_back(value);
  bool answers = co_await does_store_answer(context.core);
  Facts facts{context.core, answers};
  Report report = run_checks(facts, endpoint, excluded);
  std::string name(endpoint_name(endpoint));
  std::string text = "ok";
  if (report.failed) {
    text = report.lines + name + " check failed\n";
  } else if (has_query(context.query, "verbose")) {
    text = report.lines + name + " check passed\n";
  }
  Status status = co_await respond_text(context, report.failed ? 500 : 200, std::move(text));
  co_return status;
}

}  // namespace

Task<Status> serve_health(RequestContext& context) {
  std::string_view path = context.info.path;
  path.remove_prefix(1);
  Endpoint endpoint = path.starts_with("livez") ? kLivez : path.starts_with("readyz") ? kReadyz : kHealthz;
  path.remove_prefix(endpoint_name(endpoint).size());
  if (path.size() <= 1) return respond_all(context, endpoint);
  return respond_one(context, endpoint, std::string(path.substr(1)));
}

}  // namespace knarr::apiserver::discovery
