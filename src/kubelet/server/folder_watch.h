// SPDX-License-Identifier: Apache-2.0
// Changes in folders, by inotify. One kernel instance serves all watchers of a process, as
// instances are few (128 a user by default) and watches are many. One executor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "base/task.h"

namespace knarr::kubelet {

struct FolderChange {
  std::string_view
      name;  // of the entry; "" = the folder itself, or events were lost: look at everything
  bool modified = false;  // content was written
  bool appeared = false;  // created or moved in
  bool gone = false;      // removed or moved away
};

class FolderWatcher {
 public:
  explicit FolderWatcher(Executor executor);
  ~FolderWatcher();
  // `changed` runs on the executor until the handle is dropped.
  Result<std::shared_ptr<void>> watch(const std::string& folder,
                                      std::function<void(const FolderChange&)> changed);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
