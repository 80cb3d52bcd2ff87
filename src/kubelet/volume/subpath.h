// SPDX-License-Identifier: Apache-2.0
// subPath mounts that a container cannot lead out of its volume: the path is opened by the kernel
// below the volume (openat2 with RESOLVE_BENEATH), and what was opened, not its name, is
// bind-mounted for the container. Blocking.
#pragma once

#include <string>

#include "base/status.h"
#include "kubelet/volume/mounter.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {

// Opens `sub_path` below `volume` (O_PATH), making missing folders with the volume's own mode.
// Symlinks are followed only to where they stay inside.
Result<Fd> open_sub_path(const std::string& volume, const std::string& sub_path, bool make_missing);

// Binds it to `target` (made as a folder or an empty file to match) and leaves it so when it
// already is the same file. Gives `target`.
Status bind_sub_path(Mounter& mounter, const std::string& volume, const std::string& sub_path,
                     const std::string& target);

}  // namespace knarr::kubelet
