// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/volume_manager.h"

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/env/field_path.h"
#include "kubelet/volume/planner.h"
#include "kubelet/volume/set_up.h"
#include "kubelet/volume/token_source.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr Duration kPrepareTimeout = std::chrono::seconds(123);
constexpr Duration kFirstRetry = std::chrono::milliseconds(500);
constexpr Duration kLastRetry = std::chrono::seconds(122);
constexpr Duration kLongestSleep = std::chrono::hours(1);  // civil time may be set while we sleep

// One holder at a time among the coroutines of an executor.
class Turn {
 public:
  explicit Turn(const Executor& executor) : freed_(executor) {}
  Task<void> take() {
    while (taken_) co_await freed_.wait();
    taken_ = true;
  }
  void give_back() {
    taken_ = false;
    freed_.notify();
  }

 private:
  Notifier freed_;
  bool taken_ = false;
};

// What is known of one pod from its first prepare() to its cleanup().
struct PodVolumes {
  PodPtr pod;
  MountedVolumes mounted;
  Turn turn;
  Notifier kick;  // something that a waiting prepare() or update may hang on has changed
  uint64_t changes = 0;
  bool released = false;
  bool update_wanted = false;
  bool updating = false;
  bool refreshing = false;

  PodVolumes(const Executor& executor) : turn(executor), kick(executor) {}
};
using PodVolumesPtr = std::shared_ptr<PodVolumes>;

// Volumes that some container mounts; others are never made.
std::set<std::string> used_volumes(const core::Pod& pod) {
  std::set<std::string> used;
  auto add = [&](const schema::List<core::VolumeMount>& mounts) {
    for (const core::VolumeMount& mount : mounts) used.insert(mount.name.str());
  };
  for (const core::Container& container : pod.spec.init_containers) add(container.volume_mounts);
  for (const core::Container& container : pod.spec.containers) add(container.volume_mounts);
  for (const core::EphemeralContainer& container : pod.spec.ephemeral_containers)
    add(container.ephemeral_container_common.volume_mounts);
  return used;
}

bool same_metadata(const core::Pod& a, const core::Pod& b) {
  return a.metadata.labels == b.metadata.labels && a.metadata.annotations == b.metadata.annotations;
}

class Manager final : public std::enable_shared_from_this<Manager> {
 public:
  Manager(client::Client& client, ObjectSource& objects, std::shared_ptr<Mounter> mounter,
          Executor executor, VolumeManager::Config config)
      : objects_(objects),
        tokens_(client, Clock::real()),
        planner_(client, objects, tokens_, config),
        mounter_(std::move(mounter)),
        executor_(std::move(executor)),
        config_(std::move(config)) {}

  void start() {
    std::weak_ptr<Manager> weak = shared_from_this();
    objects_.on_change([weak](const std::string& uid) {
      if (std::shared_ptr<Manager> self = weak.lock()) self->wants_update(uid);
    });
  }
  // Detached work ends at its next step.
  void stop() {
    stopped_ = true;
    for (auto& [uid, state] : pods_) {
      state->released = true;
      state->kick.notify();
    }
  }

  Task<Result<MountedVolumes>> prepare(PodPtr pod) {
    std::shared_ptr<Manager> self = shared_from_this();
    std::string uid = pod->metadata.uid.str();
    if (!is_path_element(uid)) co_return Status::error("invalid pod uid " + go_quote(uid));
    PodVolumesPtr& slot = pods_[uid];
    if (slot == nullptr) slot = std::make_shared<PodVolumes>(executor_);
    PodVolumesPtr state = slot;
    state->pod = pod;
    objects_.register_pod(pod);
    MonoTime deadline = Clock::real().mono() + kPrepareTimeout;
    Duration delay = kFirstRetry;
    for (;;) {
      std::vector<std::string> failed;
      uint64_t seen = state->changes;
      co_await state->turn.take();
      if (!state->released) failed = co_await set_up(state, false);
      state->turn.give_back();
      if (state->released) co_return Status::make(500, "Cancelled", "pod is terminating");
      bool came_meanwhile = seen != state->changes;
      if (failed.empty()) {
        // What was read may be old already; the containers need not wait for that.
        if (came_meanwhile) update(state);
        break;
      }
      Duration left = deadline - Clock::real().mono();
      if (left <= Duration::zero()) co_return timed_out(failed);
      if (came_meanwhile) continue;
      Duration pause = std::min(delay, left);
      delay = std::min(delay * 2, kLastRetry);
      (void)co_await state->kick.wait_for(pause);
    }
    start_refresh(state);
    co_return state->mounted;
  }

  void pod_updated(PodPtr pod) {
    std::string uid = pod->metadata.uid.str();
    if (!is_path_element(uid)) return;
    auto at = pods_.find(uid);
    if (at == pods_.end()) {
      if (file_exists(pod_dir(uid))) take_over(std::move(uid), std::move(pod));
      return;
    }
    if (at->second->released) return;
    PodVolumesPtr state = at->second;
    PodPtr old = std::exchange(state->pod, pod);
    objects_.register_pod(pod);
    if (!same_metadata(*old, *pod)) wants_update(at->first);
  }

  void release(std::string_view uid) {
    auto at = pods_.find(std::string(uid));
    if (at != pods_.end()) {
      at->second->released = true;
      at->second->kick.notify();
    }
    objects_.unregister_pod(uid);
    tokens_.forget(uid);
  }

  Task<Result<std::vector<api::cri_v1::Mount>>> container_mounts(
      VolumeManager::ContainerContext context) {
    std::shared_ptr<Manager> self = shared_from_this();
    std::string dir = pod_dir(context.pod->metadata.uid);
    std::optional<Result<std::vector<api::cri_v1::Mount>>> result;
    std::function<void()> work = [&] { result = make_container_mounts(context, dir, *mounter_); };
    co_await run_blocking(std::move(work));
    co_return std::move(*result);
  }

  Task<Status> cleanup(std::string uid) {
    std::shared_ptr<Manager> self = shared_from_this();
    if (!is_path_element(uid)) co_return Status::error("invalid pod uid " + go_quote(uid));
    release(uid);
    auto at = pods_.find(uid);
    PodVolumesPtr state = at == pods_.end() ? nullptr : at->second;
    if (state != nullptr) co_await state->turn.take();
    std::string dir = pod_dir(uid);
    Status status;
    std::function<void()> work = [&] { status = remove_pod_folder(dir, *mounter_); };
    co_await run_blocking(std::move(work));
    if (state != nullptr) state->turn.give_back();
    if (status.ok()) pods_.erase(uid);
    co_return status;
  }

  Task<Result<std::map<std::string, int64_t>>> empty_dir_usage(std::string uid) {
    std::shared_ptr<Manager> self = shared_from_this();
    std::map<std::string, int64_t> usage;
    auto at = pods_.find(uid);
    if (at == pods_.end()) co_return usage;
    std::vector<std::pair<std::string, std::string>> folders;
    for (const core::Volume& volume : at->second->pod->spec.volumes)
      if (volume.volume_source.empty_dir && volume.volume_source.empty_dir->medium.empty())
        folders.emplace_back(volume.name.str(),
                             planner_.volume_path(uid, "empty-dir", volume.name));
    std::function<void()> work = [&] {
      for (const auto& [name, folder] : folders)
        if (Result<int64_t> bytes = disk_usage(folder); bytes.ok()) usage[name] = *bytes;
    };
    co_await run_blocking(std::move(work));
    co_return usage;
  }

  std::vector<std::string> pods_on_disk() const {
    Result<std::vector<std::string>> names = list_dir(config_.root_dir + "/pods");
    return names.ok() ? std::move(*names) : std::vector<std::string>();
  }
  std::string pod_dir(std::string_view uid) const { return planner_.pod_dir(uid); }

 private:
  void event(const core::Pod& pod, const std::string& volume, const Status& status) {
    if (!config_.event) return;
    config_.event(pod, "Warning", "FailedMount",
                  "MountVolume.SetUp failed for volume " + go_quote(volume) + " : " +
                      std::string(status.message()));
  }

  static Status timed_out(std::vector<std::string> unmounted) {
    std::sort(unmounted.begin(), unmounted.end());
    std::string names;
    for (const std::string& name : unmounted) names += (names.empty() ? "" : " ") + name;
    return Status::make(500, "Timeout",
                        "unmounted volumes=[" + names +
                            "], unattached volumes=[], failed to process volumes=[]: timed out "
                            "waiting for the condition");
  }

  // Makes what is missing (or, with `projections_only`, brings content up to date) and answers the
  // names that failed. Holds the turn.
  Task<std::vector<std::string>> set_up(PodVolumesPtr state, bool projections_only) {
    PodPtr pod = state->pod;
    std::string uid = pod->metadata.uid.str();
    std::set<std::string> used = used_volumes(*pod);
    std::vector<SetUpJob> jobs;
    std::vector<std::string> failed;
    for (const core::Volume& volume : pod->spec.volumes) {
      std::string name = volume.name.str();
      bool projection = is_projection(volume.volume_source);
      if (!used.contains(name) ||
          (!projection && (projections_only || state->mounted.contains(name))))
        continue;
      Result<SetUpJob> job = co_await planner_.plan(pod, volume);
      if (job.ok()) {
        jobs.push_back(std::move(*job));
      } else {
        event(*pod, name, job.status());
        failed.push_back(std::move(name));
      }
    }
    std::vector<Status> results(jobs.size());
    std::shared_ptr<Mounter> mounter = mounter_;
    std::string dir = pod_dir(uid);
    Status base;
    std::function<void()> work = [&] {
      for (const char* below : {"", "/volumes", "/plugins"})
        if (base.ok()) base = make_folders(dir + below, 0750);
      for (size_t i = 0; i < jobs.size(); ++i)
        results[i] = base.ok() ? run_set_up(jobs[i], *mounter, Clock::real()) : base;
    };
    if (!jobs.empty() || !projections_only) co_await run_blocking(std::move(work));
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (results[i].ok()) {
        bool projection = jobs[i].type == SetUpJob::Type::kProjection;
        bool host = jobs[i].type == SetUpJob::Type::kHostPath;
        state->mounted[jobs[i].name] = {jobs[i].path, projection || jobs[i].read_only, !host};
      } else {
        event(*pod, jobs[i].name, results[i]);
        failed.push_back(jobs[i].name);
      }
    }
    co_return failed;
  }

  // A pod whose containers were started by an earlier run of the kubelet.
  void take_over(std::string uid, PodPtr pod) {
    auto state = std::make_shared<PodVolumes>(executor_);
    state->pod = pod;
    pods_[std::move(uid)] = state;
    objects_.register_pod(std::move(pod));
    update(std::move(state));
  }

  void wants_update(const std::string& uid) {
    auto at = pods_.find(uid);
    if (at == pods_.end() || at->second->released || stopped_) return;
    PodVolumesPtr state = at->second;
    ++state->changes;
    state->kick.notify();
    // Before the first volume is there, prepare() sees by `changes` that it has to look again.
    if (state->mounted.empty() && !state->updating) return;
    update(std::move(state));
  }

  void update(PodVolumesPtr state) {
    state->update_wanted = true;
    if (std::exchange(state->updating, true)) return;
    spawn(executor_, update_loop(shared_from_this(), std::move(state)));
  }

  // Re-projects content until it is current. Failures (an object that was deleted under a running
  // pod) are tried again with back-off.
  static Task<void> update_loop(std::shared_ptr<Manager> self, PodVolumesPtr state) {
    Duration delay = kFirstRetry;
    while (state->update_wanted && !state->released) {
      state->update_wanted = false;
      std::vector<std::string> failed;
      co_await state->turn.take();
      if (!state->released) failed = co_await self->set_up(state, true);
      state->turn.give_back();
      if (failed.empty()) {
        self->start_refresh(state);
        delay = kFirstRetry;
        continue;
      }
      state->update_wanted = true;
      Duration pause = delay;
      delay = std::min(delay * 2, kLastRetry);
      (void)co_await state->kick.wait_for(pause);
    }
    state->updating = false;
  }

  void start_refresh(PodVolumesPtr state) {
    if (state->released || !tokens_.next_refresh(state->pod->metadata.uid).has_value()) return;
    if (std::exchange(state->refreshing, true)) return;
    spawn(executor_, refresh_loop(shared_from_this(), std::move(state)));
  }

  // Sleeps until a token is due, then has the volumes projected anew, which fetches it.
  static Task<void> refresh_loop(std::shared_ptr<Manager> self, PodVolumesPtr state) {
    std::string uid = state->pod->metadata.uid.str();
    while (!state->released) {
      std::optional<WallTime> due = self->tokens_.next_refresh(uid);
      if (!due.has_value()) break;
      Duration left = *due - Clock::real().now();
      if (left <= Duration::zero()) {
        self->wants_update(uid);
        // The update moves the time on; give it the chance to run.
        left = kFirstRetry;
      }
      Duration pause = std::min(left, kLongestSleep);
      (void)co_await state->kick.wait_for(pause);
    }
    state->refreshing = false;
  }

  ObjectSource& objects_;
  TokenSource tokens_;
  VolumePlanner planner_;
  std::shared_ptr<Mounter> mounter_;
  Executor executor_;
  VolumeManager::Config config_;
  std::map<std::string, PodVolumesPtr> pods_;  // by uid
  bool stopped_ = false;
};

// What the caller owns; detached work keeps the Manager itself alive.
class VolumeManagerHandle final : public VolumeManager {
 public:
  explicit VolumeManagerHandle(std::shared_ptr<Manager> manager) : manager_(std::move(manager)) {
    manager_->start();
  }
  ~VolumeManagerHandle() override { manager_->stop(); }
  Task<Result<MountedVolumes>> prepare(PodPtr pod) override {
    return manager_->prepare(std::move(pod));
  }
  void pod_updated(PodPtr pod) override { manager_->pod_updated(std::move(pod)); }
  void release(std::string_view uid) override { manager_->release(uid); }
  Task<Result<std::vector<api::cri_v1::Mount>>> container_mounts(
      ContainerContext context) override {
    return manager_->container_mounts(std::move(context));
  }
  Task<Status> cleanup(std::string uid) override { return manager_->cleanup(std::move(uid)); }
  Task<Result<std::map<std::string, int64_t>>> empty_dir_usage(std::string uid) override {
    return manager_->empty_dir_usage(std::move(uid));
  }
  std::vector<std::string> pods_on_disk() const override { return manager_->pods_on_disk(); }
  std::string pod_dir(std::string_view uid) const override { return manager_->pod_dir(uid); }

 private:
  std::shared_ptr<Manager> manager_;
};

}  // namespace

std::unique_ptr<VolumeManager> make_volume_manager(client::Client& client, ObjectSource& objects,
                                                   std::shared_ptr<Mounter> mounter,
                                                   Executor executor,
                                                   VolumeManager::Config config) {
  auto manager = std::make_shared<Manager>(client, objects, std::move(mounter), std::move(executor),
                                           std::move(config));
  return std::make_unique<VolumeManagerHandle>(std::move(manager));
}

}  // namespace knarr::kubelet
