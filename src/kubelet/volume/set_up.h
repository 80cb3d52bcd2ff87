// SPDX-License-Identifier: Apache-2.0
// The blocking half of making volumes: a job holds everything that it needs, so that it can run on
// any thread. Idempotent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/core_v1.h"
#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/mounter.h"
#include "kubelet/volume/volume_manager.h"

namespace knarr::kubelet {

struct SetUpJob {
  enum class Type : uint8_t { kEmptyDir, kHostPath, kLocal, kProjection };
  Type type = Type::kEmptyDir;
  std::string name;  // of the volume
  std::string path;  // where it is made
  std::optional<int64_t> fs_group;
  // emptyDir, and what projections lie in
  bool tmpfs = false;
  std::string medium;      // of an emptyDir, as given
  int64_t size_bytes = 0;  // of a tmpfs; 0 = the kernel's default
  std::string ready_file;  // an emptyDir whose file is there is left as it is
  // projections
  Payload payload;
  std::vector<std::string> nested;  // mount points of other volumes, relative
  bool read_only = false;           // every mount of it is
  // local: bound to `path`
  std::string source_path;
  // hostPath
  api::core_v1::HostPathVolumeSource host_path;
};

Status run_set_up(const SetUpJob& job, Mounter& mounter, const Clock& clock);

// Size of a memory-backed emptyDir: the least of its own limit, the pod's memory limit (when every
// container has one) and what the node can give; 0 when nothing says.
int64_t memory_volume_size(const api::core_v1::EmptyDirVolumeSource& source,
                           const api::core_v1::Pod& pod,
                           const schema::Map<schema::Quantity>& allocatable);

// Unmounts and removes all of a pod's folder.
Status remove_pod_folder(const std::string& path, Mounter& mounter);

// The blocking half of VolumeManager::container_mounts.
Result<std::vector<api::cri_v1::Mount>> make_container_mounts(
    const VolumeManager::ContainerContext& context, const std::string& pod_dir, Mounter& mounter);

// A name that is one element of a path: not empty, no slash, not "." or "..".
bool is_path_element(std::string_view name);

}  // namespace knarr::kubelet
