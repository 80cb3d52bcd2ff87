// SPDX-License-Identifier: Apache-2.0
#include "kubelet/static_pods.h"

#include <fmt/core.h>

#include <set>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/pod_defaults.h"
#include "kubelet/server/folder_watch.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

constexpr size_t kMaxManifest = 10 << 20;

// Two FNV-1a hashes side by side: 128 bits that depend on everything fed.
std::string hash_text(std::string_view content) {
  uint64_t a = 14695981039346656037ull, b = 1099511628211ull;
  for (char c : content) {
    a = (a ^ static_cast<uint8_t>(c)) * 1099511628211ull;
    b = (b ^ static_cast<uint8_t>(c)) * 6364136223846793005ull + 1442695040888963407ull;
  }
  return fmt::format("{:016x}{:016x}", a, b);
}

}  // namespace

Result<core::Pod> parse_static_pod(std::string_view content, std::string_view file, std::string_view node) {
  if (content.size() > kMaxManifest) return Status::make(400, "BadRequest", "manifest is too large");
  TRY_ASSIGN(std::string json, schema::yaml_to_json(content));
  TRY_ASSIGN(schema::TypeMeta meta, schema::peek_json(json));
  if (meta.kind != "Pod" || meta.api_version != "v1") {
    return Status::make(400, "BadRequest", fmt::format("expected a v1 Pod, got {} {}", meta.api_version, meta.kind));
  }
  TRY_ASSIGN(core::Pod pod, schema::from_json<core::Pod>(json));
  if (pod.metadata.name.empty()) return Status::make(400, "BadRequest", "the pod has no name");
  std::string seed = "host:" + std::string(node) + "\nfile:" + std::string(file) + "\n" + json;
  std::string hash = hash_text(seed);
  if (pod.metadata.uid.empty()) pod.metadata.uid = hash;
  if (pod.metadata.namespace_.empty()) pod.metadata.namespace_ = "default";
  std::string name = pod.metadata.name.str() + "-" + std::string(node);
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  pod.metadata.name = name;
  pod.spec.node_name = node;
  pod.metadata.annotations[kConfigHashAnnotation] = hash;
  pod.metadata.annotations[kConfigSourceAnnotation] = "file";
  pod.metadata.annotations[kConfigSeenAnnotation] = schema::format_nano_time(Clock::real().now());
  // Taints do not drive static pods away.
  core::Toleration everything;
  everything.operator_ = "Exists";
  everything.effect = "NoExecute";
  pod.spec.tolerations.push_back(std::move(everything));
  pod.status.phase = "Pending";
  default_pod(pod);
  return pod;
}

struct StaticPodSource::Impl {
  Impl(std::string f, std::string n, Executor e) : folder(std::move(f)), node(std::move(n)), executor(e), changed(e), watcher(e) {}
  std::string folder, node;
  Executor executor;
  Callback set, gone;
  Notifier changed;
  FolderWatcher watcher;
  std::shared_ptr<void> handle;
  bool stopped = false, dirty = true, scanned = false;
  Notifier first_scan{executor};
  struct Known {
    std::string hash;
    PodPtr pod;
  };
  std::map<std::string, Known> files;
};

StaticPodSource::StaticPodSource(std::string folder, std::string node, Executor executor, Callback set, Callback gone)
    : impl_(std::make_shared<Impl>(std::move(folder), std::move(node), std::move(executor))) {
  impl_->set = std::move(set);
  impl_->gone = std::move(gone);
}

StaticPodSource::~StaticPodSource() { stop(); }

void StaticPodSource::start() { spawn(impl_->executor, run(impl_)); }

void StaticPodSource::stop() {
  impl_->stopped = true;
  impl_->handle.reset();
  impl_->changed.notify();
}

Task<void> StaticPodSource::scan(std::shared_ptr<Impl> impl) {
  auto contents = std::make_shared<std::map<std::string, std::string>>();
  std::string folder = impl->folder;
  std::function<void()> work = [contents, folder] {
    auto names = list_dir(folder);
    if (!names.ok()) return;
    for (const std::string& name : *names) {
      if (name.empty() || name.front() == '.') continue;
      auto content = read_file(folder + "/" + name);
      if (content.ok()) (*contents)[name] = std::move(*content);
    }
  };
  co_await run_blocking(std::move(work));
  if (impl->stopped) co_return;
  for (const auto& [name, content] : *contents) {
    std::string hash = hash_text(content);
    auto known = impl->files.find(name);
    if (known != impl->files.end() && known->second.hash == hash) continue;
    auto pod = parse_static_pod(content, impl->folder + "/" + name, impl->node);
    if (!pod.ok()) {
      // Often a file that is being written: its next change brings us here again.
      log_warning("Could not process manifest file", {{"path", impl->folder + "/" + name}, {"err", pod.status().message()}});
      continue;
    }
    PodPtr made = std::make_shared<core::Pod>(std::move(*pod));
    PodPtr before = known != impl->files.end() ? known->second.pod : nullptr;
    impl->files[name] = {hash, made};
    if (before && before->metadata.uid != made->metadata.uid) impl->gone(before);
    impl->set(made);
  }
  for (auto it = impl->files.begin(); it != impl->files.end();) {
    if (contents->count(it->first) > 0) {
      ++it;
      continue;
    }
    PodPtr pod = it->second.pod;
    it = impl->files.erase(it);
    impl->gone(pod);
  }
}

Task<void> StaticPodSource::run(std::shared_ptr<Impl> impl) {
  Duration retry = std::chrono::seconds(1);
  while (!impl->stopped) {
    if (!impl->handle) {
      std::weak_ptr<Impl> weak = impl;
      auto handle = impl->watcher.watch(impl->folder, [weak](const FolderChange&) {
        if (auto alive = weak.lock()) {
          alive->dirty = true;
          alive->changed.notify();
        }
      });
      if (!handle.ok()) {
        // The folder may be made later.
        impl->scanned = true;
        impl->first_scan.notify();
        co_await impl->changed.wait_for(retry);
        continue;
      }
      impl->handle = std::move(*handle);
      impl->dirty = true;
    }
    if (!impl->dirty) co_await impl->changed.wait();
    if (impl->stopped) co_return;
    impl->dirty = false;
    co_await scan(impl);
    impl->scanned = true;
    impl->first_scan.notify();
  }
}

bool StaticPodSource::scanned() const { return impl_->scanned; }

namespace {
Task<void> wait_for(Notifier* changed, const bool* flag) {
  while (!*flag) co_await changed->wait();
}
}  // namespace

Task<void> StaticPodSource::wait_scanned() { return wait_for(&impl_->first_scan, &impl_->scanned); }

}  // namespace knarr::kubelet
