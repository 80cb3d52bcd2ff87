// SPDX-License-Identifier: Apache-2.0
// Pods from a folder of manifests (YAML or JSON, one pod a file), followed by inotify.
//
// As upstream's file source: the name gets the node's appended, the UID is a hash of file and node, defaults are applied, names that
// begin with a dot are passed over. A file that cannot be read leaves its pod as it was.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/task.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

// One manifest; `file` and `node` make the UID when it names none.
Result<core::Pod> parse_static_pod(std::string_view content, std::string_view file, std::string_view node);

class StaticPodSource {
 public:
  using Callback = std::function<void(const PodPtr& pod)>;
  StaticPodSource(std::string folder, std::string node, Executor executor, Callback set, Callback gone);
  ~StaticPodSource();
  void start();
  void stop();
  // True once the folder was read; until then a mirror pod may have its static pod still ahead.
  bool scanned() const;
  Task<void> wait_scanned();

 private:
  struct Impl;
  static Task<void> run(std::shared_ptr<Impl> impl);
  static Task<void> scan(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
