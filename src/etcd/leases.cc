// SPDX-License-Identifier: Apache-2.0
#include "etcd/leases.h"

#include "etcd/wire.h"

namespace knarr::etcd {

int64_t lease_surplus(const LeaseOptions& options, int64_t ttl_seconds) { return std::min(options.reuse_seconds, ttl_seconds / 20); }

bool lease_serves(const LeaseOptions& options, const HeldLease& lease, MonoTime now, int64_t ttl_seconds) {
  if (lease.id == 0 || lease.keys >= options.max_keys) return false;
  // Not too short for this key, nor much too long.
  MonoTime end = now + std::chrono::seconds(ttl_seconds);
  return end < lease.end && end + std::chrono::seconds(lease_surplus(options, ttl_seconds)) > lease.end;
}

Task<Result<int64_t>> Leases::grant(int64_t ttl_seconds) {
  HeldLease& held = held_[ttl_seconds];
  MonoTime now = clock_.mono();
  if (lease_serves(options_, held, now, ttl_seconds)) {
    ++held.keys;
    co_return held.id;
  }
  pb::LeaseGrantRequest request;
  request.ttl = ttl_seconds + lease_surplus(options_, ttl_seconds);
  std::string method(kLeaseGrant), message = schema::to_proto(request);
  // A lease too many ends by itself.
  auto granted = co_await call_members<pb::LeaseGrantResponse>(members_, std::move(method), std::move(message), Repeat::kYes);
  if (!granted.ok()) co_return granted.status();
  if (granted->id == 0) co_return Status::error("etcd granted no lease: " + granted->error.str());
  held_[ttl_seconds] = {granted->id, now + std::chrono::seconds(granted->ttl), 1};
  co_return int64_t{granted->id};
}

Task<Result<int64_t>> Leases::lease(int64_t ttl_seconds) {
  co_await gate_.enter();
  auto id = co_await grant(ttl_seconds);
  gate_.leave();
  co_return id;
}

}  // namespace knarr::etcd
