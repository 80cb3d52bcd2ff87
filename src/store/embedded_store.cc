// SPDX-License-Identifier: Apache-2.0
#include "store/embedded_store.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "store/environment.h"
#include "store/errors.h"
#include "store/key_table.h"
#include "store/snapshot.h"
#include "store/writer.h"

namespace knarr::store {
namespace {

namespace asio = boost::asio;

constexpr size_t kMaxValueBytes = size_t{16} << 20;
constexpr int64_t kMaxTtlSeconds = int64_t{100} * 365 * 86'400;

// Continues the coroutine that submitted it. The work guard keeps its executor running meanwhile.
template <class Handler>
struct WaitingJob final : Job {
  WaitingJob(Handler h)
      : handler(std::move(h)),
        guard(asio::make_work_guard(asio::get_associated_executor(handler))) {}
  void done() override {
    auto executor = guard.get_executor();
    asio::post(executor, std::move(handler));
    guard.reset();
  }
  Handler handler;
  asio::executor_work_guard<asio::associated_executor_t<Handler>> guard;
};

// Starts the wait: hands `fill`'s request to the writer together with the continuation.
struct Submit {
  Writer* writer;
  std::shared_ptr<Job>* job;
  std::optional<WriteRequest>* write;
  int64_t compact_to;

  template <class Handler>
  void operator()(Handler&& handler) const {
    auto waiting =
        std::make_shared<WaitingJob<std::decay_t<Handler>>>(std::forward<Handler>(handler));
    waiting->write = std::move(*write);
    waiting->compact_to = compact_to;
    *job = waiting;
    // From here on the coroutine may already run elsewhere: nothing of its frame is used after
    // this.
    writer->submit(std::move(waiting));
  }
};

Task<std::shared_ptr<Job>> submit(Writer& writer, std::optional<WriteRequest> write,
                                  int64_t compact_to) {
  std::shared_ptr<Job> job;
  Submit start{&writer, &job, &write, compact_to};
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(start, asio::use_awaitable);
  co_return job;
}

// What a watch may still use once the store is gone: the ring always, the files only while the
// store holds them.
class EmbeddedWatch final : public Watch {
 public:
  EmbeddedWatch(std::shared_ptr<EventRing> ring, std::weak_ptr<Environment> environment,
                std::shared_ptr<EventRing::Subscriber> subscriber)
      : ring_(std::move(ring)),
        environment_(std::move(environment)),
        subscriber_(std::move(subscriber)) {}
  ~EmbeddedWatch() override { ring_->unsubscribe(subscriber_); }

  Result<std::vector<Event>> poll(size_t max) override {
    if (!failed_.ok()) return failed_;
    std::vector<Event> events;
    for (;;) {
      EventRing::Batch batch = ring_->poll(subscriber_, max - events.size());
      if (batch.closed) return fail(store_closing());
      for (const auto& event : batch.events) events.push_back(*event);
      if (!batch.behind) return events;
      Status status = read_log(batch, max, &events);
      if (!status.ok()) return fail(status);
      if (events.size() >= max) return events;
    }
  }

  int64_t progress() const override { return ring_->progress(*subscriber_); }

 private:
  Status fail(Status status) {
    failed_ = status;
    return status;
  }

  Status read_log(const EventRing::Batch& batch, size_t max, std::vector<Event>* events) {
    std::shared_ptr<Environment> environment = environment_.lock();
    if (environment == nullptr) return store_closing();
    TRY_ASSIGN(Snapshot snapshot,
               Snapshot::open(*environment, nullptr, subscriber_->start, subscriber_->end));
    TRY_ASSIGN(int64_t seen, snapshot.events(batch.cursor, batch.until, max, events));
    ring_->advance(*subscriber_, seen);
    return {};
  }

  std::shared_ptr<EventRing> ring_;
  std::weak_ptr<Environment> environment_;
  std::shared_ptr<EventRing::Subscriber> subscriber_;
  Status failed_;
};

class EmbeddedStoreImpl final : public EmbeddedStore {
 public:
  EmbeddedStoreImpl(const EmbeddedOptions& options, Writer::Opened opened)
      : environment_(opened.environment),
        ring_(std::make_shared<EventRing>(options.ring, opened.state.revision)),
        writer_(options, std::move(opened), *ring_, pending_) {}
  ~EmbeddedStoreImpl() override { ring_->close(); }

  int64_t revision() const override { return ring_->revision(); }
  int64_t compacted_revision() const override { return writer_.compacted_revision(); }
  Stats stats() const override { return writer_.stats(); }
  void check_clock() override { writer_.check_clock(); }

  Task<Result<Entry>> get(std::string key, int64_t revision) override {
    std::string end = key + '\0';
    Result<Snapshot> snapshot =
        Snapshot::open(*environment_, &pending_, std::move(key), std::move(end));
    if (!snapshot.ok()) co_return snapshot.status();
    co_return snapshot->get(revision);
  }

  Task<Result<RangeResult>> range(RangeRequest request) override {
    Result<Snapshot> snapshot =
        Snapshot::open(*environment_, &pending_, request.start, request.end);
    if (!snapshot.ok()) co_return snapshot.status();
    co_return snapshot->range(request);
  }

  Task<Result<WriteResult>> write(WriteRequest request) override {
    CO_TRY(check(request));
    std::optional<WriteRequest> write(std::move(request));
    std::shared_ptr<Job> job = co_await submit(writer_, std::move(write), 0);
    CO_TRY(job->status);
    co_return std::move(job->result);
  }

  Task<Status> compact(int64_t revision) override {
    std::optional<WriteRequest> none;
    std::shared_ptr<Job> job = co_await submit(writer_, std::move(none), revision);
    co_return job->status;
  }

  Result<std::unique_ptr<Watch>> watch(std::string start, std::string end, int64_t after_revision,
                                       std::function<void()> wake) override {
    if (after_revision < 0) return bad_request("store: the revision is negative");
    if (after_revision < compacted_revision()) return watch_expired();
    auto subscriber =
        ring_->subscribe(std::move(start), std::move(end), after_revision, std::move(wake));
    return std::unique_ptr<Watch>(
        std::make_unique<EmbeddedWatch>(ring_, environment_, std::move(subscriber)));
  }

 private:
  static Status check(const WriteRequest& request) {
    if (request.key.empty()) return bad_request("store: the key is empty");
    if (request.key.size() > kMaxKeyBytes) return bad_request("store: the key is too long");
    if (request.expected_revision < WriteRequest::kAny)
      return bad_request("store: the expected revision is negative");
    if (request.ttl_seconds < 0 || request.ttl_seconds > kMaxTtlSeconds)
      return bad_request("store: the time to live is out of range");
    if (request.value.size() > kMaxValueBytes)
      return Status::make(413, "RequestEntityTooLarge", "store: the value is too large");
    return {};
  }

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<EventRing> ring_;
  Pending pending_;
  Writer writer_;  // destroyed first
};

// Brings LMDB up to what the journal has, and begins the journal anew.
Result<Writer::Opened> recover(std::shared_ptr<Environment> environment, Journal journal) {
  State state;
  {
    TRY_ASSIGN(ReadTransaction txn, environment->read());
    TRY_ASSIGN(state, load_state(txn.raw(), *environment));
  }
  TRY_ASSIGN(WriteBatch batch, WriteBatch::begin(*environment, state));
  auto apply = [&batch](std::string_view payload) -> Status {
    TRY_ASSIGN(std::vector<Change> changes, decode_changes(payload));
    for (const Change& change : changes) TRY(batch.apply(change));
    return {};
  };
  bool fresh = state.epoch == 0;
  if (!fresh) TRY(journal.replay(static_cast<uint64_t>(state.epoch), apply));
  TRY_ASSIGN(int64_t next_expiry_ms, batch.next_expiry_ms());
  if (fresh || batch.changed()) TRY(batch.commit());
  journal.restart(static_cast<uint64_t>(batch.state().epoch));
  return Writer::Opened{std::move(environment), std::move(journal), batch.state(), next_expiry_ms};
}

}  // namespace

Result<std::unique_ptr<EmbeddedStore>> open_embedded_store(EmbeddedOptions options) {
  Environment::Options files;
  files.dir = options.dir;
  files.map_bytes = options.max_bytes;
  files.no_sync = options.no_sync;
  TRY_ASSIGN(std::shared_ptr<Environment> environment, Environment::open(files));
  // What is pending must fit into the reserve that puts leave free.
  uint64_t journal_bytes = std::min(options.journal_bytes, options.max_bytes / 64);
  TRY_ASSIGN(Journal journal,
             Journal::open(options.dir + "/journal", journal_bytes, options.no_sync));
  TRY_ASSIGN(Writer::Opened opened, recover(std::move(environment), std::move(journal)));
  return std::unique_ptr<EmbeddedStore>(
      std::make_unique<EmbeddedStoreImpl>(options, std::move(opened)));
}

}  // namespace knarr::store
