// SPDX-License-Identifier: Apache-2.0
#include "kubelet/probe/probe_manager.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/env/expansion.h"
#include "kubelet/probe/action.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

constexpr int kMaxTries = 3;

std::string_view kind_name(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup: return "Startup";
    case ProbeKind::kLiveness: return "Liveness";
    case ProbeKind::kReadiness: return "Readiness";
  }
  return "";
}

ProbeResult initial_result(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup: return ProbeResult::kUnknown;
    case ProbeKind::kLiveness: return ProbeResult::kSuccess;
    case ProbeKind::kReadiness: return ProbeResult::kFailure;
  }
  return ProbeResult::kUnknown;
}

// Probes know the literal values of the container's env only.
std::vector<std::string> expand_static(const schema::List<schema::Str>& command, const schema::List<core::EnvVar>& env) {
  VariableLookup lookup = [&env](std::string_view name) -> std::optional<std::string_view> {
    std::optional<std::string_view> found;
    for (const core::EnvVar& item : env)
      if (item.name == name) found = item.value.view();
    return found;
  };
  std::vector<std::string> words;
  for (const schema::Str& word : command) words.push_back(expand_variables(word, lookup));
  return words;
}

}  // namespace

std::string_view bare_id(std::string_view container_id) {
  size_t at = container_id.find("://");
  return at == std::string_view::npos ? container_id : container_id.substr(at + 3);
}

bool ProbeCounter::add(ProbeResult result, const core::Probe& probe) {
  if (result == last_) {
    ++run_;
  } else {
    last_ = result;
    run_ = 1;
  }
  int threshold = result == ProbeResult::kSuccess ? probe.success_threshold : probe.failure_threshold;
  return run_ >= std::max(threshold, 1);
}

struct ProbeManager::Worker {
  explicit Worker(Executor executor) : changed(std::move(executor)) {}
  PodPtr pod;
  std::string uid;
  core::Container container;
  core::Probe spec;
  ProbeKind kind = ProbeKind::kReadiness;

  // What is probed now.
  std::string container_id, pod_ip;  // bare id
  WallTime started_at{};
  bool running = false, started = false;

  ProbeResult result = ProbeResult::kUnknown;
  ProbeCounter counter;
  bool on_hold = false;              // failed for good: waits for the next container
  bool stopped = false, probed = false;
  MonoTime last_probe{};
  Notifier changed;

  bool wants_probe() const {
    if (!running || on_hold || container_id.empty()) return false;
    return kind == ProbeKind::kStartup ? !started : started;
  }
};

ProbeManager::ProbeManager(Context& context, std::function<void(const std::string& uid)> changed)
    : context_(context), changed_(std::move(changed)) {}

ProbeManager::~ProbeManager() {
  for (auto& [uid, workers] : pods_)
    for (auto& worker : workers) worker->stopped = true;
}

void ProbeManager::add_pod(const PodPtr& pod) {
  std::string uid = pod->metadata.uid.str();
  auto it = pods_.find(uid);
  if (it != pods_.end()) {
    for (auto& worker : it->second) worker->pod = pod;
    return;
  }
  Workers& workers = pods_[uid];
  for (const core::Container& container : pod->spec.containers) {
    auto add = [&](ProbeKind kind, const schema::Box<core::Probe>& probe) {
      if (!probe) return;
      auto worker = std::make_shared<Worker>(context_.executor);
      worker->pod = pod;
      worker->uid = uid;
      worker->container = container;
      worker->spec = *probe;
      worker->kind = kind;
      worker->result = initial_result(kind);
      workers.push_back(worker);
      spawn(context_.executor, run(this, worker));
    };
    add(ProbeKind::kStartup, container.startup_probe);
    add(ProbeKind::kReadiness, container.readiness_probe);
    add(ProbeKind::kLiveness, container.liveness_probe);
  }
}

void ProbeManager::remove_pod(std::string_view uid) {
  auto it = pods_.find(uid);
  if (it == pods_.end()) return;
  for (auto& worker : it->second) {
    worker->stopped = true;
    worker->changed.notify();
  }
  pods_.erase(it);
}

void ProbeManager::stop_liveness_and_startup(std::string_view uid) {
  auto it = pods_.find(uid);
  if (it == pods_.end()) return;
  for (auto& worker : it->second) {
    if (worker->kind == ProbeKind::kReadiness) continue;
    // A pod on its way out is not killed by its probes.
    worker->result = ProbeResult::kSuccess;
    worker->stopped = true;
    worker->changed.notify();
  }
}

void ProbeManager::status_updated(const PodPtr& pod, const core::PodStatus& status) {
  auto it = pods_.find(pod->metadata.uid.view());
  if (it == pods_.end()) return;
  for (auto& worker : it->second) {
    const core::ContainerStatus* found = nullptr;
    for (const core::ContainerStatus& item : status.container_statuses)
      if (item.name == worker->container.name) found = &item;
    if (found == nullptr || found->container_id.empty()) continue;
    std::string_view id = bare_id(found->container_id);
    if (worker->container_id != id) {
      worker->container_id = id;
      worker->result = worker->stopped ? worker->result : initial_result(worker->kind);
      worker->counter.reset();
      worker->on_hold = false;
      worker->probed = false;
    }
    worker->pod_ip = status.pod_ip.str();
    worker->running = static_cast<bool>(found->state.running);
    worker->started = found->started.value_or(false);
    if (worker->running) {
      worker->started_at = schema::to_wall(found->state.running->started_at);
    } else {
      worker->result = ProbeResult::kFailure;
    }
    worker->changed.notify();
  }
}

Task<void> ProbeManager::run(ProbeManager* manager, std::shared_ptr<Worker> worker) {
  // The manager outlives a worker that is not stopped.
  const Clock& clock = manager->context_.clock;
  Duration period = std::chrono::seconds(std::max(worker->spec.period_seconds, 1));
  while (!worker->stopped) {
    if (!worker->wants_probe()) {
      co_await worker->changed.wait();
      continue;
    }
    Duration delay = worker->started_at + std::chrono::seconds(worker->spec.initial_delay_seconds) - clock.now();
    if (worker->probed) delay = std::max(delay, Duration(worker->last_probe + period - clock.mono()));
    if (delay > Duration::zero()) {
      co_await worker->changed.wait_for(delay);
      continue;
    }
    worker->probed = true;
    worker->last_probe = clock.mono();
    std::string id = worker->container_id;
    ProbeResult result = co_await manager->execute(worker);
    if (worker->stopped) co_return;
    if (result == ProbeResult::kUnknown || worker->container_id != id || !worker->running) continue;
    if (!worker->counter.add(result, worker->spec)) continue;
    if (worker->kind != ProbeKind::kReadiness && result == ProbeResult::kFailure) {
      worker->on_hold = true;
      worker->counter.reset();
    }
    manager->set_result(*worker, result);
  }
}

void ProbeManager::set_result(Worker& worker, ProbeResult result) {
  if (worker.result == result) return;
  worker.result = result;
  changed_(worker.uid);
}

Task<ProbeResult> ProbeManager::execute(std::shared_ptr<Worker> worker) {
  const core::Probe& spec = worker->spec;
  Duration timeout = std::chrono::seconds(std::max(spec.timeout_seconds, 1));
  ActionOutcome outcome;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    outcome = {};
    if (spec.handler.exec) {
      std::vector<std::string> command = expand_static(spec.handler.exec->command, worker->container.env);
      std::string id = worker->container_id;
      outcome = co_await run_exec(context_.runtime, std::move(id), std::move(command), timeout);
    } else if (spec.handler.http_get) {
      auto target = http_target(*spec.handler.http_get, worker->container, worker->pod_ip, "probe");
      if (target.ok()) {
        HttpTarget where = *target;
        outcome = co_await run_http(std::move(where), timeout);
      } else {
        outcome.output = target.status().message();
      }
    } else if (spec.handler.tcp_socket) {
      auto port = resolve_port(spec.handler.tcp_socket->port, worker->container);
      std::string host = spec.handler.tcp_socket->host.empty() ? worker->pod_ip : spec.handler.tcp_socket->host.str();
      if (port.ok()) {
        int number = *port;
        outcome = co_await run_tcp(std::move(host), number, timeout);
      } else {
        outcome.output = port.status().message();
      }
    } else if (spec.handler.grpc) {
      std::string host = worker->pod_ip, service(spec.handler.grpc->service.value_or(""));
      int port = spec.handler.grpc->port;
      outcome = co_await run_grpc(std::move(host), port, std::move(service), timeout);
    } else {
      outcome.output = fmt::format("missing probe handler for {}:{}", format_pod(*worker->pod), worker->container.name.view());
    }
    if (outcome.result != ActionResult::kError || worker->stopped) break;
  }
  if (worker->stopped) co_return ProbeResult::kUnknown;
  std::string_view name = kind_name(worker->kind);
  switch (outcome.result) {
    case ActionResult::kSuccess: co_return ProbeResult::kSuccess;
    case ActionResult::kWarning:
      context_.events.container(*worker->pod, worker->container.name, "Warning", "ProbeWarning", fmt::format("{} probe warning: {}", name, outcome.output));
      co_return ProbeResult::kSuccess;
    case ActionResult::kFailure:
      context_.events.container(*worker->pod, worker->container.name, "Warning", "Unhealthy", fmt::format("{} probe failed: {}", name, outcome.output));
      co_return ProbeResult::kFailure;
    case ActionResult::kError:
      context_.events.container(*worker->pod, worker->container.name, "Warning", "Unhealthy", fmt::format("{} probe errored: {}", name, outcome.output));
      co_return ProbeResult::kUnknown;
  }
  co_return ProbeResult::kUnknown;
}

ProbeManager::Worker* ProbeManager::find(std::string_view uid, std::string_view container, ProbeKind kind) const {
  auto it = pods_.find(uid);
  if (it == pods_.end()) return nullptr;
  for (const auto& worker : it->second)
    if (worker->kind == kind && worker->container.name == container) return worker.get();
  return nullptr;
}

bool ProbeManager::is_started(std::string_view uid, const core::ContainerStatus& status) const {
  if (!status.state.running) return false;
  const Worker* worker = find(uid, status.name, ProbeKind::kStartup);
  if (worker == nullptr) return true;
  return worker->container_id == bare_id(status.container_id) && worker->result == ProbeResult::kSuccess;
}

void ProbeManager::fill(const core::Pod& pod, core::PodStatus& status) {
  for (core::ContainerStatus& item : status.container_statuses) {
    bool started = is_started(pod.metadata.uid, item);
    item.started = started;
    item.ready = false;
    if (!started) continue;
    const Worker* worker = find(pod.metadata.uid, item.name, ProbeKind::kReadiness);
    item.ready = worker == nullptr || (worker->container_id == bare_id(item.container_id) && worker->result == ProbeResult::kSuccess);
  }
  for (core::ContainerStatus& item : status.init_container_statuses) {
    item.started = is_started(pod.metadata.uid, item);
    if (item.state.terminated && item.state.terminated->exit_code == 0) item.ready = true;
  }
}

ProbeResult ProbeManager::result_of(ProbeKind kind, std::string_view container_id) const {
  for (const auto& [uid, workers] : pods_)
    for (const auto& worker : workers)
      if (worker->kind == kind && worker->container_id == container_id) return worker->result;
  return ProbeResult::kUnknown;
}

ProbeResult ProbeManager::liveness(std::string_view container_id) const { return result_of(ProbeKind::kLiveness, container_id); }
ProbeResult ProbeManager::startup(std::string_view container_id) const { return result_of(ProbeKind::kStartup, container_id); }

}  // namespace knarr::kubelet
