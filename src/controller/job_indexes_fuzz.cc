// SPDX-License-Identifier: Apache-2.0
// Any bytes as .status.completedIndexes: what is read is written and read again the same, and lies within the completions.
#include <cstdint>
#include <cstdlib>

#include "controller/job_indexes.h"

using knarr::controller::IndexSet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const int completions = data[0];
  IndexSet set = IndexSet::parse(std::string_view(reinterpret_cast<const char*>(data + 1), size - 1), completions);
  for (const IndexSet::Interval& interval : set.intervals())
    if (interval.last >= completions) std::abort();
  // Only what the controller wrote is in order; everything else must merely do no harm.
  IndexSet merged = set.merged(IndexSet({0, 7}));
  (void)merged.contains(completions);
  if (knarr::controller::first_free_indexes(merged, 10, completions).size() > 10) std::abort();
  return 0;
}
