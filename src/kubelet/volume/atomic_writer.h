// SPDX-License-Identifier: Apache-2.0
// Publishes a set of files in a volume so that readers see all of the old ones or all of the new
// ones.
//
// The layout is upstream's, since workloads rely on it: real files in a folder named by the time,
// the symlink ..data to it that is swapped by rename, and one symlink per top-level name into
// ..data. Blocking; one writer at a time per folder.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::kubelet {

struct FileProjection {
  std::string data;
  int32_t mode = 0644;
  std::optional<int64_t> user;  // owner of the file
  friend bool operator==(const FileProjection&, const FileProjection&) = default;
};
using Payload = std::map<std::string, FileProjection>;  // by path relative to the volume

// Paths must be relative, not climb, and not begin with ".."; 255 bytes an element and 4096 in all.
Status check_payload_path(std::string_view path);

class AtomicWriter {
 public:
  // `target` exists. Owners of files are changed through `change_owner`.
  using ChangeOwner = std::function<Status(const std::string& path, int64_t user)>;
  AtomicWriter(std::string target, const Clock& clock, ChangeOwner change_owner)
      : target_(std::move(target)), clock_(clock), change_owner_(std::move(change_owner)) {}

  // `set_permissions` runs after the files are written and before they can be seen. *changed tells
  // whether anything was written: content that is there already is left alone.
  Status write(const Payload& payload, const std::function<Status()>& set_permissions,
               bool* changed = nullptr);

 private:
  Result<std::string> make_timestamp_folder();
  Status write_files(const Payload& payload, const std::string& folder);

  std::string target_;
  const Clock& clock_;
  ChangeOwner change_owner_;
};

}  // namespace knarr::kubelet
