// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/health.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/context.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"

namespace knarr::apiserver::discovery {
namespace {

enum Endpoint : uint8_t { kHealthz = 1, kLivez = 2, kReadyz = 4 };

struct Check {
  std::string_view name;
  uint8_t endpoints;
  bool (*passes)(Core& core);
};

bool always(Core&) { return true; }
bool is_ready(Core& core) { return core.ready(); }
// The embedded store stops the process when it cannot write; one that answers its revision is alive.
bool store_answers(Core& core) { return core.store().revision() >= 0; }
bool not_stopping(Core& core) { return !core.stopping(); }

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

Report run_checks(RequestContext& context, Endpoint endpoint, const std::vector<std::string_view>& excluded) {
  Report report;
  for (const Check& check : kChecks) {
    if ((check.endpoints & endpoint) == 0) continue;
    std::string name(check.name);
    if (std::find(excluded.begin(), excluded.end(), check.name) != excluded.end()) {
      report.lines += "[+]" + name + " excluded: ok\n";
    } else if (check.passes(context.core)) {
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
  for (const Check& check : kChecks) {
    if (check.name != name || (check.endpoints & endpoint) == 0) continue;
    bool passes = check.passes(context.core);
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
  Report report = run_checks(context, endpoint, excluded);
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
