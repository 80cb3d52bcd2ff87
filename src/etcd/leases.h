// SPDX-License-Identifier: Apache-2.0
// Leases for keys that end by themselves. As upstream, one lease serves many keys: those written within a twentieth of their time to live (60 s at
// most) share one that is longer by that much, up to 1,000 of them. Leases are never renewed. One executor.
#pragma once

#include <map>
#include <memory>

#include "base/clock.h"
#include "base/task.h"
#include "etcd/members.h"
#include "net/event.h"

namespace knarr::etcd {

struct LeaseOptions {
  int64_t reuse_seconds = 60;  // 0: a lease of its own for each key
  int64_t max_keys = 1000;
};

struct HeldLease {
  int64_t id = 0;
  MonoTime end{};
  int64_t keys = 0;
};
// How much longer than `ttl_seconds` a lease is made, for later keys to share it.
int64_t lease_surplus(const LeaseOptions& options, int64_t ttl_seconds);
bool lease_serves(const LeaseOptions& options, const HeldLease& lease, MonoTime now, int64_t ttl_seconds);

class Leases {
 public:
  Leases(std::shared_ptr<Members> members, const Clock& clock, LeaseOptions options)
      : members_(std::move(members)), clock_(clock), options_(options) {}
  // The lease for a key that is to live this long.
  Task<Result<int64_t>> lease(int64_t ttl_seconds);

 private:
  Task<Result<int64_t>> grant(int64_t ttl_seconds);
  const std::shared_ptr<Members> members_;
  const Clock& clock_;
  const LeaseOptions options_;
  net::Gate gate_;
  std::map<int64_t, HeldLease> held_;  // by time to live
};

}  // namespace knarr::etcd
