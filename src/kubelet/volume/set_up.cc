// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/set_up.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/files.h"
#include "kubelet/volume/host_path.h"
#include "kubelet/volume/ownership.h"
#include "kubelet/volume/tree.h"
#include "schema/quantity.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

Status make_base_folder(const SetUpJob& job, Mounter& mounter) {
  TRY(make_folders(dir_name(job.path), 0750));
  TRY(make_folders(job.path, 0777));
  if (!job.tmpfs) return {};
  TRY_ASSIGN(bool mounted, mounter.is_mount_point(job.path));
  if (mounted) return {};
  return mounter.mount_tmpfs(job.path, job.size_bytes);
}

Status set_up_empty_dir(const SetUpJob& job, Mounter& mounter) {
  bool known_medium = job.medium.empty() || job.medium == "Memory";
  if (!known_medium) return Status::error("unknown storage medium \"" + job.medium + "\"");
  // A volume that is in use keeps its content and owners, also across our own restart. The marker
  // is not enough for memory, which a restart of the machine empties.
  if (file_exists(job.ready_file) && file_exists(job.path)) {
    if (!job.tmpfs) return {};
    TRY_ASSIGN(bool mounted, mounter.is_mount_point(job.path));
    if (mounted) return {};
  }
  TRY(make_base_folder(job, mounter));
  if (job.fs_group) TRY(set_volume_ownership(mounter, job.path, *job.fs_group, false));
  TRY(make_folders(dir_name(job.ready_file), 0750));
  return write_plain(job.ready_file, "", 0640);
}

Status set_up_local(const SetUpJob& job, Mounter& mounter) {
  Status steps = check_no_backsteps(job.source_path);
  if (!steps.ok())
    return Status::error("invalid path: " + job.source_path + " " + std::string(steps.message()));
  TRY(make_folders(job.path, 0750));
  TRY_ASSIGN(bool mounted, mounter.is_mount_point(job.path));
  if (mounted) return {};
  Fd source(::open(job.source_path.c_str(), O_PATH | O_CLOEXEC));
  if (!source.valid()) return Status::from_errno("stat " + job.source_path, errno);
  TRY(mounter.bind_mount_fd(source.get(), job.path));
  if (job.fs_group && !job.read_only)
    TRY(set_volume_ownership(mounter, job.path, *job.fs_group, false));
  return {};
}

Status set_up_projection(const SetUpJob& job, Mounter& mounter, const Clock& clock) {
  TRY(make_base_folder(job, mounter));
  for (const std::string& nested : job.nested) {
    Status made = make_folders(job.path + "/" + nested, 0755);
    if (!made.ok()) return made.with_context("unable to create nested volume mountpoints");
  }
  AtomicWriter::ChangeOwner change_owner = [&](const std::string& path, int64_t user) {
    return mounter.change_owner(path, static_cast<uid_t>(user), static_cast<gid_t>(-1));
  };
  AtomicWriter writer(job.path, clock, change_owner);
  return writer.write(job.payload, [&]() -> Status {
    if (!job.fs_group) return {};
    return set_volume_ownership(mounter, job.path, *job.fs_group, true);
  });
}

}  // namespace

bool is_path_element(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos && name.size() <= 255;
}

Status run_set_up(const SetUpJob& job, Mounter& mounter, const Clock& clock) {
  switch (job.type) {
    case SetUpJob::Type::kEmptyDir:
      return set_up_empty_dir(job, mounter);
    case SetUpJob::Type::kHostPath:
      return set_up_host_path(job.host_path);
    case SetUpJob::Type::kLocal:
      return set_up_local(job, mounter);
    case SetUpJob::Type::kProjection:
      return set_up_projection(job, mounter, clock);
  }
  return {};
}

int64_t memory_volume_size(const core::EmptyDirVolumeSource& source, const core::Pod& pod,
                           const schema::Map<schema::Quantity>& allocatable) {
  int64_t size = 0;
  auto at_most = [&](int64_t limit) {
    if (limit > 0 && (size == 0 || limit <= size)) size = limit;
  };
  if (const schema::Quantity* memory = allocatable.find("memory"))
    at_most(schema::QuantityValue::of(*memory).value());
  // The pod's cgroup has a memory limit only when each of its containers has one.
  int64_t sum = 0, largest_init = 0;
  bool limited = true;
  auto limit_of = [&](const core::Container& container) {
    const schema::Quantity* limit = container.resources.limits.find("memory");
    int64_t bytes = limit == nullptr ? 0 : schema::QuantityValue::of(*limit).value();
    limited = limited && bytes > 0;
    return bytes;
  };
  for (const core::Container& container : pod.spec.containers) sum += limit_of(container);
  for (const core::Container& container : pod.spec.init_containers)
    largest_init = std::max(largest_init, limit_of(container));
  if (limited) at_most(std::max(sum, largest_init));
  if (source.size_limit) at_most(schema::QuantityValue::of(*source.size_limit).value());
  return size;
}

Status remove_pod_folder(const std::string& path, Mounter& mounter) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0)
    return errno == ENOENT ? Status() : Status::from_errno("lstat " + path, errno);
  // A mount may hide another on the same point: look again until none is left, but not for ever.
  for (int round = 0; round < 16; ++round) {
    TRY_ASSIGN(std::vector<std::string> mounts, mounter.mounts_below(path));
    if (mounts.empty()) return remove_tree(path);
    for (const std::string& mount : mounts) TRY(mounter.unmount(mount));
  }
  return Status::error("mounts below " + path + " do not go away");
}

}  // namespace knarr::kubelet
