// SPDX-License-Identifier: Apache-2.0
// Lists: which revision answers, in which chunks (upstream: storage/cacher and storage/etcd3).
#pragma once

#include "apiserver/handlers/options.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/storage/watch_cache.h"

namespace knarr::apiserver {

// The latest state comes from the cache, without waiting; a revision that a chunked or exact list is pinned to, from the store.
Task<Result<ListPage>> list_page(WatchCache& cache, std::string ns, const ListOptions& options);
// Until the store has reached a revision that a client has seen elsewhere: 3 s at most, then 504.
Task<Status> wait_for_revision(WatchCache& cache, int64_t revision);

}  // namespace knarr::apiserver
