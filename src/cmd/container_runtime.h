// SPDX-License-Identifier: Apache-2.0
// The containerd that `knarr up` runs when it is given none: configuration, process, CNI network, and the images that ship with knarr.
//
// It lives in the data directory, on a socket of its own. When it is still there from an earlier run it is used as it is; containers outlive it
// and us, since each pod's shim is a process of its own.
#pragma once

#include <memory>
#include <string>

#include "base/process.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::cmd {

struct RuntimeOptions {
  std::string data_dir;
  std::string pod_cidr;             // of this node: 10.244.0.0/24
  std::string images_dir;           // archives to load when their image is absent
};

class ContainerRuntime {
 public:
  explicit ContainerRuntime(RuntimeOptions options);
  std::string socket_path() const;
  // Writes the configuration and starts the process; returns when its socket answers.
  Task<Status> start();
  // Loads the archives of images_dir that have not been loaded before.
  Task<Status> load_images();
  Task<void> stop();

 private:
  Status write_configuration() const;
  RuntimeOptions options_;
  std::unique_ptr<Process> process_;
};

// `ctr images import` into the namespace that Kubernetes uses.
Task<Result<std::string>> import_image(std::string socket, std::string archive);

}  // namespace knarr::cmd
