// SPDX-License-Identifier: Apache-2.0
#include "kubelet/status_manager.h"

#include <algorithm>

#include "base/log.h"
#include "kubelet/pod_status.h"
#include "kubelet/runtime/pod_record.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kLastRetry = std::chrono::seconds(10);

uint64_t version_of(const core::Pod& pod) { return std::strtoull(pod.metadata.resource_version.c_str(), nullptr, 10); }

core::PodCondition terminal_condition(std::string_view type, std::string_view phase, const core::PodCondition* old, schema::Time now) {
  core::PodCondition made;
  made.type = type;
  made.status = "False";
  made.reason = phase == "Failed" ? "PodFailed" : "PodCompleted";
  made.last_transition_time = old != nullptr && old->status == "False" ? old->last_transition_time : now;
  return made;
}

// Elements that a strategic merge would keep although they are gone.
void drop_stale(json::Value& list, std::string_view key, const std::vector<std::string>& stale) {
  for (const std::string& value : stale) {
    json::Value item = json::Value::object();
    item[key] = value;
    item["$patch"] = "delete";
    list.push_back(std::move(item));
  }
}

bool same_status(const core::PodStatus& a, const core::PodStatus& b) { return schema::equal(core::PodStatus::table(), &a, &b); }

// What a status says to whoever waits for the pod.
std::string told(const core::PodStatus& status) {
  const core::PodCondition* ready = find_condition(status, "Ready");
  return status.phase.str() + (ready != nullptr && ready->status == "True" ? ", ready" : "");
}

void truncate_messages(const core::Pod& pod, core::PodStatus& status) {
  size_t count = pod.spec.containers.size() + pod.spec.init_containers.size();
  size_t limit = kMaxPodTerminationMessages / std::max<size_t>(count, 1);
  auto cut = [limit](core::ContainerState& state) {
    if (state.terminated && state.terminated->message.size() > limit) {
      std::string shorter(state.terminated->message.view().substr(0, limit));
      state.terminated->message = shorter;
    }
  };
  for (auto* list : {&status.container_statuses, &status.init_container_statuses}) {
    for (core::ContainerStatus& item : *list) {
      cut(item.state);
      cut(item.last_state);
    }
  }
}

}  // namespace

struct StatusManager::Shared {
  client::Client& client;
  const Clock& clock;
  Executor executor;
  const std::shared_ptr<trace::Ring> trace;
  bool stopped = false;
};

struct StatusManager::Entry {
  std::string uid;
  PodPtr pod;       // newest from the API
  PodPtr mirror;    // of a static pod
  bool is_static = false;
  core::PodStatus status;
  bool has_status = false, finished = false, running = false, forgotten = false;
  bool dirty = false, writing = false;
};

core::PodStatus merge_pod_status(const core::PodStatus& old, core::PodStatus status, bool could_have_running_containers) {
  schema::List<core::PodCondition> conditions;
  for (const core::PodCondition& item : old.conditions)
    if (!condition_of_kubelet(item.type) && item.type != "DisruptionTarget") conditions.push_back(item);
  bool becomes_terminal = !is_terminal_phase(old.phase) && is_terminal_phase(status.phase);
  for (const core::PodCondition& item : status.conditions) {
    if (condition_of_kubelet(item.type)) conditions.push_back(item);
    if (item.type == "DisruptionTarget" && becomes_terminal && !could_have_running_containers) conditions.push_back(item);
  }
  if (const core::PodCondition* disruption = find_condition(old, "DisruptionTarget")) {
    core::PodStatus probe;
    probe.conditions = conditions;
    if (find_condition(probe, "DisruptionTarget") == nullptr) conditions.push_back(*disruption);
  }
  status.conditions = std::move(conditions);
  status.resource_claim_statuses = old.resource_claim_statuses;
  status.nominated_node_name = old.nominated_node_name;
  if (becomes_terminal && could_have_running_containers) {
    status.phase = old.phase;
    status.reason = old.reason;
    status.message = old.message;
  }
  if (is_terminal_phase(status.phase)) {
    const core::PodCondition* ready = find_condition(status, "Ready");
    const core::PodCondition* containers = find_condition(status, "ContainersReady");
    if ((ready != nullptr && ready->status == "True") || (containers != nullptr && containers->status == "True")) {
      schema::Time now = schema::to_time(Clock::real().now());
      core::PodCondition a = terminal_condition("ContainersReady", status.phase, containers, now);
      core::PodCondition b = terminal_condition("Ready", status.phase, ready, now);
      set_condition(status, std::move(a));
      set_condition(status, std::move(b));
    }
  }
  return status;
}

std::string status_patch(const core::Pod& pod, const core::PodStatus& status) {
  if (same_status(pod.status, status)) return {};
  auto document = json::parse(schema::to_json(status));
  if (!document.ok()) return {};
  json::Value& body = *document;
  // What the old status has and the new one has not must be named to go away.
  auto before = json::parse(schema::to_json(pod.status));
  if (before.ok()) {
    for (const auto& [name, value] : before->members())
      if (body.find(name) == nullptr) body[name] = nullptr;
  }
  std::vector<std::string> stale;
  for (const core::PodIP& old : pod.status.pod_ips) {
    bool kept = std::any_of(status.pod_ips.begin(), status.pod_ips.end(), [&](const core::PodIP& ip) { return ip.ip == old.ip; });
    if (!kept) stale.push_back(old.ip.str());
  }
  if (!stale.empty() && !status.pod_ips.empty()) drop_stale(body["podIPs"], "ip", stale);
  stale.clear();
  for (const core::PodCondition& old : pod.status.conditions)
    if (find_condition(status, old.type) == nullptr) stale.push_back(old.type.str());
  if (!stale.empty() && !status.conditions.empty()) drop_stale(body["conditions"], "type", stale);
  // A merged condition keeps what the patch does not name.
  if (json::Value* conditions = body.find("conditions")) {
    for (json::Value& item : conditions->items()) {
      if (item.find("$patch") != nullptr) continue;
      for (std::string_view field : {"reason", "message"})
        if (item.find(field) == nullptr) item[field] = nullptr;
    }
  }
  json::Value patch = json::Value::object();
  // The UID makes the server refuse a pod of the same name that was made since.
  patch["metadata"]["uid"] = pod.metadata.uid.view();
  patch["status"] = std::move(body);
  return json::to_string(patch);
}

StatusManager::StatusManager(client::Client& client, const Clock& clock, Executor executor, std::shared_ptr<trace::Ring> trace)
    : shared_(std::make_shared<Shared>(Shared{client, clock, std::move(executor), std::move(trace)})) {}

StatusManager::~StatusManager() { shared_->stopped = true; }

void StatusManager::adopt(Entry& entry, PodPtr pod) {
  if (entry.pod && version_of(*pod) < version_of(*entry.pod)) return;  // an event older than our own write
  entry.pod = std::move(pod);
}

void StatusManager::pod_updated(PodPtr pod) {
  auto it = entries_.find(pod->metadata.uid.view());
  if (it == entries_.end()) return;
  adopt(*it->second, std::move(pod));
  wake(it->second);
}

void StatusManager::set_mirror(std::string_view uid, PodPtr mirror) {
  std::shared_ptr<Entry>& entry = entries_[std::string(uid)];
  if (!entry) {
    entry = std::make_shared<Entry>();
    entry->uid = uid;
    entry->is_static = true;
  }
  entry->mirror = std::move(mirror);
  wake(entry);
}

void StatusManager::set_status(const PodPtr& pod, core::PodStatus status, bool finished, bool running) {
  std::string uid = pod->metadata.uid.str();
  std::shared_ptr<Entry>& entry = entries_[uid];
  if (!entry) {
    entry = std::make_shared<Entry>();
    entry->uid = uid;
    entry->is_static = is_static_pod(*pod);
  }
  if (!entry->is_static) adopt(*entry, pod);
  const core::PodStatus& old = entry->has_status ? entry->status : pod->status;
  schema::Time now = schema::to_time(shared_->clock.now());
  for (core::PodCondition& condition : status.conditions) {
    if (!condition_of_kubelet(condition.type)) continue;
    const core::PodCondition* before = find_condition(old, condition.type);
    bool same = before != nullptr && before->status == condition.status;
    condition.last_transition_time = same ? before->last_transition_time : now;
    if (!same && condition.type == "Ready" && condition.status == "True") shared_->trace->add_now(uid, trace::Step::kReady, "");
  }
  status.start_time = old.start_time.has_value() ? old.start_time : schema::Opt<schema::Time>(now);
  truncate_messages(*pod, status);
  entry->status = std::move(status);
  entry->has_status = true;
  entry->finished = entry->finished || finished;
  entry->running = running;
  wake(entry);
}

const core::PodStatus* StatusManager::get(std::string_view uid) const {
  auto it = entries_.find(uid);
  return it == entries_.end() || !it->second->has_status ? nullptr : &it->second->status;
}

PodPtr StatusManager::with_status(const PodPtr& pod) const {
  const core::PodStatus* status = get(pod->metadata.uid);
  if (status == nullptr) return pod;
  auto copy = std::make_shared<core::Pod>(*pod);
  copy->status = *status;
  return copy;
}

void StatusManager::forget(std::string_view uid) {
  auto it = entries_.find(uid);
  if (it == entries_.end()) return;
  it->second->forgotten = true;
  entries_.erase(it);
}

void StatusManager::wake(const std::shared_ptr<Entry>& entry) {
  if (!entry->has_status) return;
  entry->dirty = true;
  if (entry->writing) return;
  entry->writing = true;
  spawn(shared_->executor, write_loop(shared_, entry));
}

Task<void> StatusManager::write_loop(std::shared_ptr<Shared> shared, std::shared_ptr<Entry> entry) {
  Duration retry = kFirstRetry;
  while (entry->dirty && !entry->forgotten && !shared->stopped) {
    entry->dirty = false;
    bool written = co_await write_once(shared, entry);
    if (written) {
      retry = kFirstRetry;
      continue;
    }
    entry->dirty = true;
    co_await sleep_for(retry);
    retry = std::min(retry * 2, kLastRetry);
  }
  entry->writing = false;
}

// False when it has to be tried again.
Task<bool> StatusManager::write_once(std::shared_ptr<Shared> shared, std::shared_ptr<Entry> entry) {
  PodPtr pod = entry->is_static ? entry->mirror : entry->pod;
  if (!pod) co_return true;
  core::PodStatus merged = merge_pod_status(pod->status, entry->status, entry->running);
  std::string patch = status_patch(*pod, merged);
  std::string ns = pod->metadata.namespace_.str(), name = pod->metadata.name.str();
  if (!patch.empty()) {
    std::string subresource = "status", patched_ns = ns, patched_name = name;
    WallTime asked = shared->trace->now();
    auto result = co_await shared->client.patch<core::Pod>(std::move(patched_ns), std::move(patched_name), client::PatchType::kStrategic, std::move(patch),
                                                           std::move(subresource));
    shared->trace->add_since(entry->uid, trace::Step::kStatus, asked, result.ok() ? told(merged) : std::string(result.status().message()));
    if (!result.ok()) {
      if (result.status().is("NotFound")) {
        entry->forgotten = true;  // the informer will tell the rest
        co_return true;
      }
      if (result.status().is("Conflict") || result.status().is("Invalid")) {
        // Another pod of that name, or a status the server will not have: the next change is the next chance.
        log_warning("Failed to update status for pod", {{"pod", ns + "/" + name}, {"err", result.status().message()}});
        co_return true;
      }
      log_warning("Failed to update status for pod", {{"pod", ns + "/" + name}, {"err", result.status().message()}});
      co_return false;
    }
    pod = std::make_shared<core::Pod>(std::move(*result));
    if (entry->is_static) {
      entry->mirror = pod;
    } else {
      adopt(*entry, pod);
    }
  }
  bool can_delete = pod->metadata.deletion_timestamp.has_value() && !is_mirror_pod(*pod) && is_terminal_phase(pod->status.phase) && entry->finished;
  if (!can_delete) co_return true;
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = pod->metadata.uid.str();
  Status removed = co_await shared->client.remove<core::Pod>(std::move(ns), std::move(name), std::move(options));
  if (!removed.ok() && !removed.is("NotFound") && !removed.is("Conflict")) {
    log_warning("Failed to delete pod", {{"pod", pod_key(*pod)}, {"err", removed.message()}});
    co_return false;
  }
  entry->forgotten = true;
  co_return true;
}

}  // namespace knarr::kubelet
