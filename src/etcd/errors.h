// SPDX-License-Identifier: Apache-2.0
// What goes wrong between us and etcd, as the API tells it: upstream passes most texts of etcd on unchanged, as a 500 without a reason.
#pragma once

#include "base/status.h"

namespace knarr::etcd {

// A failure of a gRPC call in the store's terms. Compaction is 410 Expired, a time-out 504; "etcdserver: ..." stays the text it is.
Status store_error(const Status& grpc);
bool is_compacted(const Status& grpc);
bool is_future_revision(const Status& grpc);
// The member cannot be reached, has no leader or does not answer in time: another one may.
bool is_member_trouble(const Status& grpc);

}  // namespace knarr::etcd
