// SPDX-License-Identifier: Apache-2.0
#include "store/writer.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "store/errors.h"
#include "store/snapshot.h"

namespace knarr::store {
namespace {

constexpr size_t kMaxJobsPerCommit = 1024;
constexpr size_t kMaxBytesPerCommit = size_t{8} << 20;
constexpr size_t kMaxExpiriesPerCommit = 256;
// History goes in runs, as neighbours share pages; a commit without requests may do more.
constexpr size_t kPurgeRun = 64;
constexpr size_t kPurgeIdle = 1024;
// Kept free for deletes and compactions once puts are refused.
constexpr uint64_t kReserveBytes = uint64_t{64} << 20;

// Exact only when it matters: the free list is read once the file has reached the quota.
uint64_t free_bytes(Environment& environment) {
  Result<ReadTransaction> txn = environment.read();
  if (!txn.ok()) return 0;
  Result<Cursor> cursor = Cursor::open(txn->raw(), 0);
  if (!cursor.ok()) return 0;
  MDB_stat stat;
  mdb_env_stat(environment.raw(), &stat);
  uint64_t pages = 0;
  std::string_view key, value;
  Result<bool> some = cursor->seek("", &key, &value);
  while (some.ok() && *some) {
    size_t count = 0;
    if (value.size() >= sizeof count) std::memcpy(&count, value.data(), sizeof count);
    pages += count;
    some = cursor->next(&key, &value);
  }
  return pages * stat.ms_psize;
}

}  // namespace

Writer::Writer(const EmbeddedOptions& options, Opened opened, EventRing& ring, Pending& pending)
    : options_(options),
      environment_(std::move(opened.environment)),
      ring_(ring),
      pending_(pending),
      journal_(std::move(opened.journal)),
      state_(opened.state),
      revision_(opened.state.revision),
      next_expiry_ms_(opened.next_expiry_ms),
      compacted_(opened.state.compacted),
      purged_(opened.state.purged),
      history_bytes_(opened.state.history_bytes) {
  note_time();
  thread_ = std::thread([this] { run(); });
}

Writer::~Writer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Writer::submit(std::shared_ptr<Job> job) {
  bool first;
  {
    std::lock_guard lock(mutex_);
    first = queue_.empty();
    queue_.push_back(std::move(job));
  }
  if (first) wake_.notify_one();
}

void Writer::check_clock() {
  {
    std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_one();
}

EmbeddedStore::Stats Writer::stats() const {
  return {writes_.load(), commits_.load(), checkpoints_.load(), history_bytes_.load(),
          purged_.load()};
}

int64_t Writer::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             options_.clock->now().time_since_epoch())
      .count();
}

void Writer::run() {
  pthread_setname_np(pthread_self(), "store-writer");
  Jobs jobs;
  while (wait_for_work(&jobs)) {
    process(jobs);
    writes_.fetch_add(jobs.size(), std::memory_order_relaxed);
    for (auto& job : jobs) job->done();
    jobs.clear();
  }
  std::lock_guard lock(mutex_);
  for (auto& job : queue_) {
    job->status = store_closing();
    job->done();
  }
  queue_.clear();
}

// False when the store closes. Otherwise *jobs has what waited, perhaps nothing when only upkeep is
// due.
bool Writer::wait_for_work(Jobs* jobs) {
  std::unique_lock lock(mutex_);
  while (!stopping_ && queue_.empty() && !poked_) {
    bool upkeep = broken_.ok() && !upkeep_stuck_;
    if (upkeep && state_.purged < state_.compacted) break;
    if (next_expiry_ms_ == 0 || !upkeep) {
      wake_.wait(lock);
      continue;
    }
    int64_t left_ms = next_expiry_ms_ - now_ms();
    if (left_ms <= 0) break;
    // By the civil clock, like the expiry itself: time asleep (suspend) counts.
    auto until = std::chrono::system_clock::now() + std::chrono::milliseconds(left_ms);
    wake_.wait_until(lock, until);
  }
  poked_ = false;
  if (stopping_) return false;
  size_t bytes = 0, count = 0;
  for (; count < queue_.size() && count < kMaxJobsPerCommit && bytes < kMaxBytesPerCommit;
       ++count) {
    if (queue_[count]->write) bytes += queue_[count]->write->value.size();
  }
  if (count == queue_.size()) {
    jobs->swap(queue_);
  } else {
    auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    jobs->assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
  }
  return true;
}

void Writer::process(const Jobs& jobs) {
  if (broken_.ok()) {
    Status status = run_turn(jobs, true);
    if (status.ok()) return;
    if (is_out_of_space(status)) {
      // Some requests may fit alone, deletes above all.
      for (auto& job : jobs) {
        Status alone = run_turn({job}, false);
        if (!alone.ok()) job->status = alone;
      }
      upkeep_stuck_ = true;
      return;
    }
    // What was acknowledged is on disk, but whether this turn is cannot be told: nothing more is
    // written until the files are opened anew.
    log_error("Store failed to commit; it takes no more writes", {{"error", status.message()}});
    broken_ = status;
  }
  for (auto& job : jobs) job->status = broken_;
}

Status Writer::run_turn(const Jobs& jobs, bool with_upkeep) {
  short_of_space_ = near_quota();
  upkeep_stuck_ = false;
  Turn turn(*environment_, pending_, ring_, revision_);
  int64_t compact_to = 0;
  for (auto& job : jobs) TRY(judge(turn, *job, &compact_to));
  bool due = next_expiry_ms_ != 0 && next_expiry_ms_ <= now_ms();
  bool purging = state_.purged < state_.compacted;
  if (compact_to != 0 || (with_upkeep && (due || purging)))
    return checkpoint(turn.changes(), compact_to, with_upkeep);
  if (turn.changes().empty()) return {};
  TRY_ASSIGN(bool journaled, write_journal(turn.changes()));
  if (!journaled) return checkpoint(turn.changes(), 0, with_upkeep);
  return {};
}

Status Writer::judge(Turn& turn, Job& job, int64_t* compact_to) {
  job.status = {};
  job.result = {};
  if (!job.write) {
    if (job.compact_to > turn.revision())
      job.status = revision_too_large(job.compact_to, turn.revision());
    else if (job.compact_to > state_.compacted)
      *compact_to = std::max(*compact_to, job.compact_to);
    return {};
  }
  if (short_of_space_ && !job.write->remove) {
    job.status = out_of_space();
    return {};
  }
  return turn.apply(*job.write, now_ms(), &job.result);
}

// False when there is no room, and nothing was written that counts.
Result<bool> Writer::write_journal(const std::vector<Change>& changes) {
  std::string payload = encode_changes(changes);
  if (!journal_.fits(payload.size())) return false;
  Status status = journal_.append(payload);
  if (is_out_of_space(status)) return false;
  TRY(status);
  for (const Change& change : changes) {
    if (change.expiry_ms != 0 && (next_expiry_ms_ == 0 || change.expiry_ms < next_expiry_ms_))
      next_expiry_ms_ = change.expiry_ms;
  }
  revision_ = changes.back().event->revision;
  pending_.add(changes);
  committed(changes, {});
  return true;
}

Status Writer::checkpoint(const std::vector<Change>& changes, int64_t compact_to,
                          bool with_upkeep) {
  TRY_ASSIGN(WriteBatch batch, WriteBatch::begin(*environment_, state_));
  for (const Change& change : pending_.all()) TRY(batch.apply(change));
  for (const Change& change : changes) TRY(batch.apply(change));
  if (compact_to != 0) batch.compact(compact_to);
  if (with_upkeep) TRY(upkeep(batch, pending_.all().size() + changes.size()));
  TRY_ASSIGN(next_expiry_ms_, batch.next_expiry_ms());
  if (!batch.changed()) return {};
  TRY(batch.commit());
  state_ = batch.state();
  revision_ = state_.revision;
  journal_.restart(static_cast<uint64_t>(state_.epoch));
  pending_.clear();  // a reader between the commit and this ignores what it
                     // finds twice
  checkpoints_.fetch_add(1, std::memory_order_relaxed);
  history_bytes_.store(state_.history_bytes, std::memory_order_relaxed);
  purged_.store(state_.purged, std::memory_order_relaxed);
  compacted_.store(state_.compacted, std::memory_order_release);
  committed(changes, std::move(batch.expired()));
  ring_.set_logged(state_.revision);
  return {};
}

Status Writer::upkeep(WriteBatch& batch, size_t changes) {
  if (next_expiry_ms_ != 0) TRY(batch.expire(now_ms(), kMaxExpiriesPerCommit));
  size_t run = changes == 0 ? kPurgeIdle : kPurgeRun + 2 * changes;
  // Automatic compaction rides on writes: a store that nobody writes to has nothing new to forget.
  if (batch.changed()) {
    int64_t target = retention_target(batch.state(), run);
    if (target - batch.state().compacted >= static_cast<int64_t>(kPurgeRun)) batch.compact(target);
  }
  return batch.purge(run);
}

// How far history may go now, at most `step` further than it went.
int64_t Writer::retention_target(const State& state, size_t step) const {
  int64_t target = state.compacted;
  if (state.history_bytes > options_.retention.bytes || short_of_space_) {
    target = state.revision;
  } else {
    MonoTime cut = options_.clock->mono() - options_.retention.age;
    for (const auto& [when, revision] : ages_) {
      if (when > cut) break;
      target = std::max(target, revision);
    }
    target = std::min(target, state.revision - options_.retention.revisions);
  }
  return std::min(target, state.compacted + static_cast<int64_t>(step));
}

// Remembers which revision was current when. Revisions from before a restart count as made at the
// start.
void Writer::note_time() {
  MonoTime now = options_.clock->mono();
  // The last entry moves along until it is a step from the one before: a burst keeps its age over a
  // pause.
  size_t size = ages_.size();
  if (size >= 2 && now - ages_[size - 2].first < options_.retention.age / 10)
    ages_.back() = {now, revision_};
  else
    ages_.emplace_back(now, revision_);
  MonoTime cut = now - options_.retention.age;
  while (ages_.size() > 1 && ages_[1].first <= cut) ages_.pop_front();
}

void Writer::committed(const std::vector<Change>& changes,
                       std::vector<EventRing::EventPtr> expired) {
  note_time();
  commits_.fetch_add(1, std::memory_order_relaxed);
  std::vector<EventRing::EventPtr> events;
  events.reserve(changes.size() + expired.size());
  for (const Change& change : changes) events.push_back(change.event);
  for (auto& event : expired) events.push_back(std::move(event));
  ring_.publish(std::move(events));
}

bool Writer::near_quota() {
  uint64_t reserve = std::min(kReserveBytes, options_.max_bytes / 8);
  uint64_t used = environment_->high_water_bytes();
  if (used + reserve < options_.max_bytes) return false;
  uint64_t free = free_bytes(*environment_);
  bool is_short = used - std::min(used, free) + reserve >= options_.max_bytes;
  if (is_short && !short_of_space_)
    log_error("Store reached its quota; only deletes are taken",
              {{"maxBytes", static_cast<int64_t>(options_.max_bytes)}});
  return is_short;
}

}  // namespace knarr::store
