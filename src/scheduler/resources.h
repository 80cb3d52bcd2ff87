// SPDX-License-Identifier: Apache-2.0
// Amounts of resources, as the scheduler adds and compares them: plain integers, no quantities.
#pragma once

#include <absl/container/inlined_vector.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "api/core_v1.h"

namespace knarr::scheduler {

// cpu in thousandths, the rest in units. Extended resources (and hugepages) by name; few, so a vector.
struct Resources {
  int64_t milli_cpu = 0;
  int64_t memory = 0;
  int64_t ephemeral_storage = 0;
  absl::InlinedVector<std::pair<std::string, int64_t>, 1> extended;

  int64_t extended_amount(std::string_view name) const;
  void add(const Resources& other, int64_t sign = 1);
  void max_with(const Resources& other);
  static Resources of(const schema::Map<schema::Quantity>& list);
};

struct PodRequests {
  Resources total;               // what Fit counts: containers, init containers, overhead
  // For scoring, a container without a request counts as 100m and 200 MB, so that such pods spread too.
  int64_t nonzero_milli_cpu = 0;
  int64_t nonzero_memory = 0;
};
PodRequests pod_requests(const api::core_v1::Pod& pod);

}  // namespace knarr::scheduler
