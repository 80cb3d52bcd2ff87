// SPDX-License-Identifier: Apache-2.0
// The store inside this process: LMDB files in one directory, one writer thread, any number of
// readers.
//
// write() queues; the writer judges all that waits in one turn, makes it durable with one sync of
// the journal, publishes the events, then lets the callers go on. LMDB gets the changes of many
// turns at once. Reads take a snapshot on the calling thread and never wait for a sync. History is
// kept for watches and past reads about as long as `Retention` says, and is there again after a
// restart.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "store/event_ring.h"
#include "store/store.h"

namespace knarr::store {

// History is dropped once it is older than `age` and further back than `revisions`; beyond `bytes`
// in any case.
struct Retention {
  std::chrono::seconds age{300};
  int64_t revisions = 10'000;
  int64_t bytes = int64_t{64} << 20;
};

struct EmbeddedOptions {
  std::string dir;                         // created when missing; its parent must exist
  const Clock* clock = &Clock::real();     // outlives the store; decides what has expired
  bool no_sync = false;                    // tests only: no write survives a power cut
  uint64_t max_bytes = uint64_t{8} << 30;  // of the data file, which only grows as needed
  // At most so much waits outside LMDB, in the journal and in memory. 0: every turn goes through
  // LMDB.
  uint64_t journal_bytes = uint64_t{4} << 20;
  Retention retention;
  EventRing::Limits ring;
};

class EmbeddedStore : public Store {
 public:
  struct Stats {
    uint64_t writes = 0;       // requests answered, failed comparisons included
    uint64_t commits = 0;      // syncs that made writes durable
    uint64_t checkpoints = 0;  // those that went through LMDB
    int64_t history_bytes = 0;
    int64_t purged_revision = 0;
  };
  virtual Stats stats() const = 0;
  // Looks at the clock again: for tests that moved it.
  virtual void check_clock() = 0;
};

// Fails when another process has the directory open. Destroying the store answers what still waits
// with 503; no coroutine may be inside one of its methods by then, other than in write() and
// compact().
Result<std::unique_ptr<EmbeddedStore>> open_embedded_store(EmbeddedOptions options);

}  // namespace knarr::store
