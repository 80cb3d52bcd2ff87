// SPDX-License-Identifier: Apache-2.0
// Between the store's shapes and etcd's messages. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/etcd_v3.h"
#include "store/store.h"

namespace knarr::etcd {

namespace pb = api::etcd_v3;

inline constexpr std::string_view kRange = "/etcdserverpb.KV/Range";
inline constexpr std::string_view kTxn = "/etcdserverpb.KV/Txn";
inline constexpr std::string_view kCompact = "/etcdserverpb.KV/Compact";
inline constexpr std::string_view kWatch = "/etcdserverpb.Watch/Watch";
inline constexpr std::string_view kLeaseGrant = "/etcdserverpb.Lease/LeaseGrant";
inline constexpr std::string_view kStatus = "/etcdserverpb.Maintenance/Status";

// Upstream's compactors agree through this key; its version is their clock, its value the revision they go to next.
inline constexpr std::string_view kCompactKey = "compact_rev_key";

store::Entry to_entry(const pb::KeyValue& kv);
// Fails on an event without a key.
Result<store::Event> to_event(const pb::Event& event);

pb::RangeRequest range_request(const store::RangeRequest& request);
// Everything there is, or [start, end) ("" = open).
void set_bounds(schema::Str& key, schema::Str& range_end, std::string_view start, std::string_view end);
// Compare-and-swap, as upstream words it: what there is instead comes back when the comparison fails.
pb::TxnRequest write_txn(const store::WriteRequest& request, int64_t lease);
// Fails when the answer has not the shape that write_txn() asked for.
Result<store::WriteResult> write_result(const store::WriteRequest& request, const pb::TxnResponse& response);
// Every change from `start_revision` on, with what was there before.
pb::WatchRequest watch_everything(int64_t start_revision);

inline int64_t revision_of(const schema::Box<pb::ResponseHeader>& header) { return header.has_value() ? header->revision : 0; }

}  // namespace knarr::etcd
