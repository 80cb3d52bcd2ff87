// SPDX-License-Identifier: Apache-2.0
// The thread that owns every change: it judges requests turn by turn, makes a turn durable, and
// keeps house (expiry, compaction).
//
// A turn goes into the journal, with one sync, or when that is full, or there is housekeeping to
// do, straight into LMDB together with all that is pending (a checkpoint). The thread sleeps until
// there is a request, the next key expires, or forgotten history is left to purge; with none of
// these it does nothing at all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "store/embedded_store.h"
#include "store/environment.h"
#include "store/event_ring.h"
#include "store/journal.h"
#include "store/pending.h"
#include "store/records.h"
#include "store/turn.h"
#include "store/write_batch.h"

namespace knarr::store {

// A request on its way. The waiter stays valid until done() and is not touched after it.
struct Job {
  virtual ~Job() = default;
  // Runs the caller's continuation on the caller's executor; called once, by the writer thread.
  virtual void done() = 0;

  std::optional<WriteRequest> write;  // or else:
  int64_t compact_to = 0;
  Status status;
  WriteResult result;
};

class Writer {
 public:
  struct Opened {
    std::shared_ptr<Environment> environment;
    Journal journal;
    State state;
    int64_t next_expiry_ms;
  };
  // `ring` and `pending` are shared with the readers; they outlive the writer.
  Writer(const EmbeddedOptions& options, Opened opened, EventRing& ring, Pending& pending);
  ~Writer();  // answers the queue with 503

  void submit(std::shared_ptr<Job> job);
  void check_clock();
  int64_t compacted_revision() const { return compacted_.load(std::memory_order_acquire); }
  EmbeddedStore::Stats stats() const;

 private:
  using Jobs = std::vector<std::shared_ptr<Job>>;
  void run();
  bool wait_for_work(Jobs* jobs);
  void process(const Jobs& jobs);
  // A failure has changed nothing.
  Status run_turn(const Jobs& jobs, bool with_upkeep);
  Status judge(Turn& turn, Job& job, int64_t* compact_to);
  Result<bool> write_journal(const std::vector<Change>& changes);
  Status checkpoint(const std::vector<Change>& changes, int64_t compact_to, bool with_upkeep);
  Status upkeep(WriteBatch& batch, size_t changes);
  int64_t retention_target(const State& state, size_t step) const;
  void note_time();
  void committed(const std::vector<Change>& changes, std::vector<EventRing::EventPtr> expired);
  bool near_quota();
  int64_t now_ms() const;

  const EmbeddedOptions options_;
  const std::shared_ptr<Environment> environment_;
  EventRing& ring_;
  Pending& pending_;

  std::mutex mutex_;
  std::condition_variable wake_;
  Jobs queue_;             // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  bool poked_ = false;     // guarded by mutex_

  // The writer thread's own:
  Journal journal_;
  State state_;       // of LMDB
  int64_t revision_;  // with what is pending
  int64_t next_expiry_ms_ = 0;
  Status broken_;  // a commit failed in a way that leaves the files in doubt
  bool short_of_space_ = false;
  bool upkeep_stuck_ = false;  // no room even for that: not again before the next request
  std::deque<std::pair<MonoTime, int64_t>>
      ages_;  // (when, revision at that time), about ten a retention

  std::atomic<int64_t> compacted_, purged_, history_bytes_;
  std::atomic<uint64_t> writes_{0}, commits_{0}, checkpoints_{0};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace knarr::store
