// SPDX-License-Identifier: Apache-2.0
// The store of a cluster whose state is in etcd (3.4 or newer), beside any number of other API servers, ours or upstream's.
//
// One thread of its own speaks with etcd; everything public may be called from any thread. revision() is how far the watch of etcd has come. A
// write is answered once its event has arrived here, so that its writer sees it; what others have written is certain to be here after catch_up().
// Writes compare and swap, and are sent again when a member fails in the middle: that the first attempt had succeeded shows in the value found.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "etcd/leases.h"
#include "etcd/members.h"
#include "store/event_ring.h"
#include "store/store.h"

namespace knarr::etcd {

struct EtcdOptions {
  MembersOptions members;
  // Only these keys matter here; what changes elsewhere counts, but is not kept. "" = all.
  std::string prefix;
  const Clock* clock = &Clock::real();  // outlives the store; for leases
  LeaseOptions leases;
  Duration compaction_interval = std::chrono::minutes(5);  // 0: somebody else compacts
  store::EventRing::Limits ring{8192, size_t{16} << 20};
};

// Fails when no member answers within the call time-out (503), or an option is wrong (400).
Task<Result<std::shared_ptr<store::Store>>> open_etcd_store(EtcdOptions options);

}  // namespace knarr::etcd
