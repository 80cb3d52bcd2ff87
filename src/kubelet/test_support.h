// SPDX-License-Identifier: Apache-2.0
// Doubles and helpers of the kubelet's volume, environment and server tests.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <string>
#include <vector>

#include "kubelet/volume/mounter.h"
#include "kubelet/volume/object_source.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet::testing {

// A folder that goes away with the test.
class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/knarr-kubelet-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() { (void)remove_tree(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view below) const { return path_ + "/" + std::string(below); }

 private:
  std::string path_;
};

// Remembers what was asked for and mounts nothing.
class RecordingMounter final : public Mounter {
 public:
  Status mount_tmpfs(const std::string& target, int64_t size_bytes) override {
    calls.push_back("tmpfs " + target + " " + std::to_string(size_bytes));
    mounted.push_back(target);
    return failure;
  }
  Status bind_mount_fd(int source_fd, const std::string& target) override {
    char link[64], real[4096];
    ::snprintf(link, sizeof link, "/proc/self/fd/%d", source_fd);
    ssize_t size = ::readlink(link, real, sizeof real);
    calls.push_back("bind " + std::string(real, size < 0 ? 0 : static_cast<size_t>(size)) + " " +
                    target);
    mounted.push_back(target);
    return failure;
  }
  Status unmount(const std::string& target) override {
    calls.push_back("unmount " + target);
    std::erase(mounted, target);
    return {};
  }
  Result<bool> is_mount_point(const std::string& path) override {
    return std::find(mounted.begin(), mounted.end(), path) != mounted.end();
  }
  Result<std::vector<std::string>> mounts_below(const std::string& path) override {
    std::vector<std::string> found;
    for (const std::string& mount : mounted)
      if (mount.starts_with(path)) found.push_back(mount);
    return found;
  }
  Status change_owner(const std::string& path, uid_t uid, gid_t gid) override {
    owners[path] = {static_cast<int64_t>(static_cast<int32_t>(uid)),
                    static_cast<int64_t>(static_cast<int32_t>(gid))};
    return {};
  }

  std::vector<std::string> calls, mounted;
  std::map<std::string, std::pair<int64_t, int64_t>> owners;  // -1 = kept
  Status failure;
};

// ConfigMaps and Secrets by "ns/name"; what is missing is NotFound.
class FakeObjects final : public ObjectSource {
 public:
  void register_pod(PodPtr pod) override { registered.push_back(pod->metadata.uid.str()); }
  void unregister_pod(std::string_view uid) override { std::erase(registered, uid); }
  Task<Result<ConfigMapPtr>> config_map(std::string ns, std::string name) override {
    auto at = config_maps.find(ns + "/" + name);
    if (at == config_maps.end())
      co_return Status::make(404, "NotFound", "configmap \"" + name + "\" not found");
    co_return std::make_shared<const api::core_v1::ConfigMap>(at->second);
  }
  Task<Result<SecretPtr>> secret(std::string ns, std::string name) override {
    auto at = secrets.find(ns + "/" + name);
    if (at == secrets.end())
      co_return Status::make(404, "NotFound", "secret \"" + name + "\" not found");
    co_return std::make_shared<const api::core_v1::Secret>(at->second);
  }
  void on_change(std::function<void(const std::string& uid)> changed) override {
    listener = std::move(changed);
  }

  std::map<std::string, api::core_v1::ConfigMap> config_maps;
  std::map<std::string, api::core_v1::Secret> secrets;
  std::vector<std::string> registered;
  std::function<void(const std::string& uid)> listener;
};

template <class T>
Task<void> store_result(Task<T> task, std::optional<T>* out) {
  *out = co_await std::move(task);
}

// Runs the executor until `task` is done and gives its result.
template <class T>
T run(boost::asio::io_context& context, Task<T> task) {
  std::optional<T> out;
  spawn(context.get_executor(), store_result(std::move(task), &out));
  context.restart();
  while (!out.has_value() && context.run_one() > 0) {
  }
  return std::move(*out);
}

}  // namespace knarr::kubelet::testing
