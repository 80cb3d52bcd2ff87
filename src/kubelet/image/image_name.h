// SPDX-License-Identifier: Apache-2.0
// Image references: [registry/]path[:tag][@digest].
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::kubelet {

struct ImageName {
  std::string registry;    // "docker.io" when the reference names none
  std::string repository;  // "library/busybox"
  std::string tag, digest;
};
// Error: `couldn't parse image name "X": invalid reference format`.
Result<ImageName> parse_image_name(std::string_view image);

// The reference with ":latest" when it has neither tag nor digest.
Result<std::string> with_default_tag(std::string_view image);

}  // namespace knarr::kubelet
