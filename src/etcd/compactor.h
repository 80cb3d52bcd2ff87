// SPDX-License-Identifier: Apache-2.0
// Forgets etcd's history every five minutes, in turn with the API servers beside us: upstream's protocol around "compact_rev_key".
//
// The key's version is a clock that all compactors share. Who finds it where he left it moves it on and compacts to the revision of his last
// look; who does not only takes note. So history of at least one interval, and less than two, is kept however many compactors there are.
#pragma once

#include <memory>

#include "base/task.h"
#include "etcd/members.h"

namespace knarr::etcd {

struct CompactionTurn {
  int64_t time = 0;      // the key's version as last seen
  int64_t revision = 0;  // etcd's revision at that moment; 0 = nothing seen yet
};
// One turn; gives the revision that was compacted to, 0 when it was another's turn or the first look.
Task<Result<int64_t>> compact_in_turn(std::shared_ptr<Members> members, CompactionTurn* turn);

// 410 when `revision` has been compacted already.
Task<Status> compact_to(std::shared_ptr<Members> members, int64_t revision);

}  // namespace knarr::etcd
