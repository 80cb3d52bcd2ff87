// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: which pods the levels "baseline" and "restricted" take. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>

#include "api/core_v1.h"

namespace knarr::apiserver::admission::pod_security {

enum class Level : uint8_t { kPrivileged, kBaseline, kRestricted };

// A level as some minor version of Kubernetes defined it; -1 is the latest.
struct Rule {
  Level level = Level::kPrivileged;
  int minor = -1;
  friend bool operator==(const Rule&, const Rule&) = default;
};
struct Policy {
  Rule enforce, warn;
};

// "" when the rule takes the pod, else every reason, comma separated; with `detail` which
// containers and fields are meant.
std::string violations(const Rule& rule, const api::meta_v1::ObjectMeta& meta,
                       const api::core_v1::PodSpec& spec, bool detail);

}  // namespace knarr::apiserver::admission::pod_security
