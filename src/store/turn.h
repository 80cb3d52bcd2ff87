// SPDX-License-Identifier: Apache-2.0
// One turn of the writer: requests judged in order against what is there, their changes collected
// but not yet stored. A change is seen by the requests after it. Writer thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/environment.h"
#include "store/event_ring.h"
#include "store/pending.h"
#include "store/store.h"

namespace knarr::store {

class Turn {
 public:
  // `ring` lends the values it still holds, so that they are in memory once.
  Turn(Environment& environment, const Pending& pending, const EventRing& ring, int64_t revision)
      : environment_(environment), pending_(pending), ring_(ring), revision_(revision) {}

  Status apply(const WriteRequest& request, int64_t now_ms, WriteResult* result);
  const std::vector<Change>& changes() const { return changes_; }
  int64_t revision() const { return revision_; }

 private:
  // mod_revision 0 when absent.
  Result<Entry> load(std::string_view key);
  void add(Change change);

  Environment& environment_;
  const Pending& pending_;
  const EventRing& ring_;
  int64_t revision_;
  std::vector<Change> changes_;
  std::map<std::string_view, size_t>
      latest_;  // key -> index of changes_; the keys are the events' own
};

}  // namespace knarr::store
