// SPDX-License-Identifier: Apache-2.0
// The way down: hooks, stopping, removal.
#include <dirent.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/probe/action.h"
#include "kubelet/runtime/pod_runtime.h"
#include "kubelet/runtime/runtime_config.h"
#include "kubelet/task_group.h"

namespace knarr::kubelet {

namespace {

constexpr int64_t kMinimumGrace = 2;

std::string join_go(const std::vector<std::string>& words) {
  std::string out = "[";
  for (size_t i = 0; i < words.size(); ++i) out += (i == 0 ? "" : " ") + words[i];
  return out + "]";
}

// A log folder holds two levels of plain files; nothing else is followed.
void remove_log_folder(const std::string& folder) {
  auto names = list_dir(folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    std::string path = folder + "/" + name;
    if (::unlink(path.c_str()) == 0) continue;
    auto files = list_dir(path);
    if (files.ok()) {
      for (const std::string& file : *files) ::unlink((path + "/" + file).c_str());
    }
    ::rmdir(path.c_str());
  }
  ::rmdir(folder.c_str());
}

}  // namespace

int64_t grace_period(const core::Pod& pod, const core::Container& container, KillReason reason) {
  if (pod.metadata.deletion_grace_period_seconds) return *pod.metadata.deletion_grace_period_seconds;
  if (!pod.spec.termination_grace_period_seconds) return kMinimumGrace;
  const core::Probe* probe = nullptr;
  if (reason == KillReason::kStartupProbe) probe = container.startup_probe.get();
  if (reason == KillReason::kLivenessProbe) probe = container.liveness_probe.get();
  if (probe != nullptr && probe->termination_grace_period_seconds) return *probe->termination_grace_period_seconds;
  return *pod.spec.termination_grace_period_seconds;
}

Task<Status> PodRuntime::run_hook(PodPtr pod, const core::Container* container, core::LifecycleHandler hook, std::string container_id,
                                  std::string* message) {
  std::string where = fmt::format("for Container \"{}\" in Pod \"{}\" failed", container->name.view(), format_pod(*pod));
  if (hook.exec) {
    std::vector<std::string> command;
    for (const schema::Str& word : hook.exec->command) command.push_back(word.str());
    std::string shown = join_go(command);
    auto outcome = co_await run_exec(context_.runtime, std::move(container_id), std::move(command), Duration::zero());
    if (outcome.result == ActionResult::kSuccess) co_return Status();
    *message = fmt::format("Exec lifecycle hook ({}) {} - error: command failed, message: \"{}\"", shown, where, outcome.output);
    co_return Status::error(*message);
  }
  if (hook.http_get) {
    std::string ip;
    if (hook.http_get->host.empty()) {
      if (pod->spec.host_network && !context_.host_ips.empty()) {
        ip = context_.host_ips.front();
      } else {
        auto record = co_await load(pod->metadata.uid.str(), PodRecord{});
        if (record.ok() && !record->ips().empty()) ip = record->ips().front();
      }
      if (ip.empty()) {
        *message = fmt::format("HTTP lifecycle hook ({}) {} - error: failed to find networking container", hook.http_get->path.view(), where);
        co_return Status::error(*message);
      }
    }
    auto target = http_target(*hook.http_get, *container, ip, "lifecycle");
    std::string error;
    if (target.ok()) {
      auto outcome = co_await run_http(*target, Duration::zero());
      // Any answer counts as a run hook; only a request that got none has failed.
      bool answered = outcome.result == ActionResult::kSuccess || outcome.result == ActionResult::kWarning ||
                      outcome.output.rfind("HTTP probe failed with statuscode", 0) == 0;
      if (!answered && target->scheme == "https") {
        HttpTarget plain = *target;
        plain.scheme = "http";
        auto second = co_await run_http(plain, Duration::zero());
        answered = second.result == ActionResult::kSuccess || second.result == ActionResult::kWarning ||
                   second.output.rfind("HTTP probe failed with statuscode", 0) == 0;
        if (answered) {
          context_.events.pod(*pod, "Warning", "LifecycleHTTPFallback",
                              fmt::format("request to HTTPS lifecycle hook {}:{} got HTTP response, retry with HTTP succeeded", plain.host, plain.port));
        }
      }
      if (answered) co_return Status();
      error = outcome.output;
    } else {
      error = target.status().message();
    }
    *message = fmt::format("HTTP lifecycle hook ({}) {} - error: {}", hook.http_get->path.view(), where, error);
    co_return Status::error(*message);
  }
  *message = "Cannot run handler: invalid handler";
  co_return Status::error(*message);
}

namespace {

struct HookRun {
  explicit HookRun(Executor executor) : done(std::move(executor)) {}
  Notifier done;
  bool finished = false;
  Status status;
  std::string message;
  core::Container container;
};

Task<void> drive_hook(std::shared_ptr<HookRun> run, Task<Status> task) {
  Status status = co_await std::move(task);
  run->status = status;
  run->finished = true;
  run->done.notify();
}

}  // namespace

Task<int64_t> PodRuntime::run_pre_stop(PodPtr pod, core::Container container, std::string container_id, int64_t grace) {
  // The hook may outlast the grace period; it then goes on alone, so what it uses is its own.
  MonoTime start = context_.clock.mono();
  auto run = std::make_shared<HookRun>(context_.executor);
  run->container = std::move(container);
  core::LifecycleHandler hook = *run->container.lifecycle->pre_stop;
  std::string id = container_id;
  spawn(context_.executor, drive_hook(run, run_hook(pod, &run->container, std::move(hook), std::move(id), &run->message)));
  if (!run->finished) co_await run->done.wait_for(std::chrono::seconds(grace));
  if (run->finished && !run->status.ok()) {
    log_warning("PreStop hook failed", {{"pod", pod_key(*pod)}, {"containerName", run->container.name.str()}, {"err", run->message}});
    context_.events.container(*pod, run->container.name, "Warning", "FailedPreStopHook", "PreStopHook failed", container_id);
  }
  co_return std::chrono::duration_cast<std::chrono::seconds>(context_.clock.mono() - start).count();
}

Task<Status> PodRuntime::kill_container(PodPtr pod, ContainerToKill what, std::optional<int64_t> grace) {
  core::Container storage;
  const core::Container* found = find_container(*pod, what.name, storage);
  core::Container container;
  if (found != nullptr) container = *found;
  container.name = what.name;
  int64_t seconds = grace_period(*pod, container, what.reason);
  std::string message = what.message.empty() ? "Stopping container " + what.name : what.message;
  context_.events.container(*pod, what.name, "Normal", "Killing", std::move(message), what.id);
  if (grace.has_value()) seconds = *grace;
  if (container.lifecycle && container.lifecycle->pre_stop && seconds > 0) {
    int64_t spent = co_await run_pre_stop(pod, std::move(container), what.id, seconds);
    seconds -= spent;
  }
  // Never less: a process that would end by itself should not be killed.
  seconds = std::max(seconds, kMinimumGrace);
  Status stopped = co_await context_.runtime.stop_container(what.id, seconds);
  if (!stopped.ok() && stopped.is("NotFound")) co_return Status();
  co_return stopped;
}

Task<void> PodRuntime::kill_one(PodPtr pod, ContainerToKill what, std::optional<int64_t> grace, Status* result) {
  Status status = co_await kill_container(std::move(pod), std::move(what), grace);
  if (!status.ok() && result->ok()) *result = status;
}

Task<void> PodRuntime::stop_sandbox(std::string id, Status* result) {
  Status status = co_await context_.runtime.stop_pod_sandbox(std::move(id));
  if (!status.ok() && !status.is("NotFound") && result->ok()) *result = status;
}

Task<Status> PodRuntime::kill_pod(PodPtr pod, PodRecord record, std::optional<int64_t> grace) {
  Status result;
  TaskGroup containers(context_.executor);
  for (const ContainerRecord& container : record.containers) {
    if (!container.running() && container.state != CriContainerState::kUnknown) continue;
    ContainerToKill what{container.id, container.name, "", KillReason::kUnknown};
    containers.add(kill_one(pod, std::move(what), grace, &result));
  }
  co_await containers.wait();
  TaskGroup sandboxes(context_.executor);
  for (const SandboxRecord& sandbox : record.sandboxes) {
    // A sandbox that is not ready any more may still hold its network; stopping is idempotent.
    sandboxes.add(stop_sandbox(sandbox.id, &result));
  }
  co_await sandboxes.wait();
  co_return result;
}

Task<void> PodRuntime::remove_container(std::string id, std::string legacy_link) {
  Status removed = co_await context_.runtime.remove_container(id);
  if (!removed.ok() && !removed.is("NotFound")) log_warning("Failed to remove container", {{"containerID", id}, {"err", removed.message()}});
  if (!legacy_link.empty()) ::unlink(legacy_link.c_str());
}

Task<void> PodRuntime::remove_pod(PodPtr pod, PodRecord record) {
  for (const ContainerRecord& container : record.containers) {
    std::string link = legacy_link(*pod, container);
    co_await remove_container(container.id, std::move(link));
  }
  for (const SandboxRecord& sandbox : record.sandboxes) {
    std::string id = sandbox.id;
    Status removed = co_await context_.runtime.remove_pod_sandbox(std::move(id));
    if (!removed.ok() && !removed.is("NotFound")) log_warning("Failed to remove sandbox", {{"podSandboxID", sandbox.id}, {"err", removed.message()}});
  }
  std::string folder = pod_log_dir(context_.config, *pod);
  std::function<void()> work = [folder] { remove_log_folder(folder); };
  co_await run_blocking(std::move(work));
}

}  // namespace knarr::kubelet
