// SPDX-License-Identifier: Apache-2.0
#include "etcd/etcd_store.h"

#include <absl/container/flat_hash_map.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "base/log.h"
#include "etcd/changes.h"
#include "etcd/compactor.h"
#include "etcd/errors.h"
#include "etcd/etcd_watch.h"
#include "net/event.h"
#include "store/errors.h"

namespace knarr::etcd {
namespace {

namespace asio = boost::asio;
using store::EventRing;
using store::RangeResult;
using store::WriteRequest;
using store::WriteResult;

constexpr int64_t kRangePage = 500;  // entries an answer, so that it stays far below gRPC's limit
constexpr int64_t kMaxTtlSeconds = int64_t{100} * 365 * 86'400;

template <class T>
Task<void> keep_result(Task<T> task, std::shared_ptr<std::optional<T>> out) {
  T value = co_await std::move(task);
  out->emplace(std::move(value));
}

// Runs `task` on another executor; the caller goes on where it was.
template <class T>
Task<T> run_on(Executor executor, Task<T> task) {
  auto out = std::make_shared<std::optional<T>>();
  Task<void> keep = keep_result(std::move(task), out);
  co_await asio::co_spawn(executor, std::move(keep), asio::use_awaitable);
  co_return std::move(**out);
}

// The part that lives on the store's thread. Tasks hold it by shared_ptr and are counted; the thread ends when all have.
class Core final : public ChangeSink, public std::enable_shared_from_this<Core> {
 public:
  explicit Core(EtcdOptions options) : options_(std::move(options)), guard_(context_.get_executor()) {}

  Executor executor() { return context_.get_executor(); }
  const std::shared_ptr<EventRing>& ring() const { return ring_; }
  int64_t compacted() const { return compacted_.load(std::memory_order_acquire); }

  // Counts work on the thread; false when closing. Any thread.
  bool enter() {
    std::lock_guard lock(closing_mutex_);
    if (closing_) return false;
    ++running_;
    return true;
  }
  void leave() {
    std::lock_guard lock(closing_mutex_);
    if (--running_ == 0 && closing_) guard_.reset();
  }

  void start_thread() {
    thread_ = std::thread([this] { context_.run(); });
  }
  Task<Status> open();
  void close();  // any other thread; returns when everything has ended

  Task<Result<RangeResult>> range(store::RangeRequest request);
  Task<Result<store::Entry>> get(std::string key, int64_t revision);
  Task<Result<WriteResult>> write(WriteRequest request);
  Task<Status> compact(int64_t revision);
  Task<Status> catch_up();
  Task<void> read_history(std::shared_ptr<History> history);

  void changes(std::vector<store::Event> events) override;
  bool enough() const override { return members_->closed(); }

 private:
  // Readers of one question to etcd for its revision.
  struct Round {
    net::Event answered;
    std::optional<Status> status;
    int64_t revision = 0;
  };
  Task<void> follow();
  Task<void> compact_regularly();
  Task<void> ask_rounds();
  Task<Result<int64_t>> present_revision();
  // Until the watch has brought this revision, or the time is over (false).
  Task<bool> published(int64_t revision);
  Task<Result<WriteResult>> send(const WriteRequest& request, int64_t lease);
  void own_bytes(store::Event& event);
  void expect_value(const std::string& key, const Bytes& value) { unseen_[key].push_back(value); }
  void forget_value(const std::string& key, const Bytes& value);
  void raise_compacted(int64_t revision);
  static Task<void> counted(std::shared_ptr<Core> core, Task<void> task);

  const EtcdOptions options_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
  std::shared_ptr<Members> members_;
  std::shared_ptr<EventRing> ring_;
  std::unique_ptr<Leases> leases_;
  std::optional<Notifier> closing_notifier_;
  std::atomic<int64_t> compacted_{0};
  std::multimap<int64_t, net::Event*> unpublished_;  // waiters, in the frames of their coroutines
  // Values on their way to etcd: their events carry these bytes again, which the writer's cache then knows.
  absl::flat_hash_map<std::string, std::vector<Bytes>> unseen_;
  std::shared_ptr<Round> next_round_;
  bool asking_ = false;

  std::mutex closing_mutex_;
  bool closing_ = false;
  int running_ = 0;
};

Task<void> Core::counted(std::shared_ptr<Core> core, Task<void> task) {
  co_await std::move(task);
  core->leave();
}

Task<Status> Core::open() {
  auto members = Members::make(executor(), options_.members);
  if (!members.ok()) co_return members.status();
  members_ = std::move(*members);
  leases_ = std::make_unique<Leases>(members_, *options_.clock, options_.leases);
  closing_notifier_.emplace(executor());
  auto revision = co_await present_revision();
  if (!revision.ok()) co_return revision.status().with_context("etcd");
  ring_ = std::make_shared<EventRing>(options_.ring, *revision);
  ring_->set_logged(std::numeric_limits<int64_t>::max());  // etcd has it all
  if (enter()) spawn(executor(), counted(shared_from_this(), follow()));
  if (options_.compaction_interval > Duration::zero() && enter()) spawn(executor(), counted(shared_from_this(), compact_regularly()));
  co_return Status();
}

void Core::close() {
  asio::post(context_, [this] {
    if (members_ != nullptr) members_->close();
    if (closing_notifier_) closing_notifier_->notify();
    for (auto& [revision, event] : unpublished_) event->set();
  });
  {
    std::lock_guard lock(closing_mutex_);
    closing_ = true;
    if (running_ == 0) guard_.reset();
  }
  thread_.join();
  if (ring_ != nullptr) ring_->close();
}

// ---- following etcd -----------------------------------------------------------------------------------------------------------

Task<void> Core::follow() {
  while (!members_->closed()) {
    Status ended = co_await follow_changes(members_, ring_->revision(), this);
    if (members_->closed()) co_return;
    // Cut off for longer than etcd remembers: whoever follows must read everything anew.
    log_warning("Changes in etcd were missed", {{"revision", ring_->revision()}, {"error", ended.message()}});
    auto revision = co_await present_revision();
    if (!revision.ok()) continue;
    raise_compacted(ring_->revision() + 1);
    ring_->restart(*revision);
    for (auto& [wanted, event] : unpublished_) event->set();
  }
}

// The bytes of a value that was written here are the ones that its writer holds.
void Core::own_bytes(store::Event& event) {
  auto at = unseen_.find(event.key);
  if (at == unseen_.end()) return;
  for (const Bytes& value : at->second) {
    if (value.view() != event.value.view()) continue;
    event.value = value;
    return;
  }
}

void Core::forget_value(const std::string& key, const Bytes& value) {
  auto at = unseen_.find(key);
  if (at == unseen_.end()) return;
  auto& values = at->second;
  auto found = std::find_if(values.begin(), values.end(), [&](const Bytes& v) { return v.view().data() == value.view().data(); });
  if (found != values.end()) values.erase(found);
  if (values.empty()) unseen_.erase(at);
}

void Core::raise_compacted(int64_t revision) {
  if (revision > compacted()) compacted_.store(revision, std::memory_order_release);
}

void Core::changes(std::vector<store::Event> events) {
  std::vector<EventRing::EventPtr> kept;
  int64_t revision = events.back().revision;
  for (store::Event& event : events) {
    if (!event.key.starts_with(options_.prefix)) continue;
    own_bytes(event);
    kept.push_back(std::make_shared<store::Event>(std::move(event)));
  }
  ring_->publish(std::move(kept), revision);
  auto end = unpublished_.upper_bound(revision);
  for (auto at = unpublished_.begin(); at != end; ++at) at->second->set();
}

Task<bool> Core::published(int64_t revision) {
  if (ring_->revision() >= revision) co_return true;
  net::Event event;
  bool late = false;
  net::Alarm alarm(executor());
  alarm.arm(options_.members.call_timeout, [&event, &late] {
    late = true;
    event.set();
  });
  auto at = unpublished_.emplace(revision, &event);
  while (ring_->revision() < revision && !late && !members_->closed()) co_await event.wait();
  unpublished_.erase(at);
  co_return ring_->revision() >= revision;
}

Task<void> Core::read_history(std::shared_ptr<History> history) {
  Status status = co_await follow_changes(members_, history->after(), history.get());
  history->finish(status);
}

// ---- reading ------------------------------------------------------------------------------------------------------------------

// A read that the cluster's majority vouches for.
Task<Result<int64_t>> Core::present_revision() {
  pb::RangeRequest request;
  request.key = kCompactKey;
  request.count_only = true;
  std::string method(kRange), message = schema::to_proto(request);
  auto answer = co_await call_members<pb::RangeResponse>(members_, std::move(method), std::move(message), Repeat::kYes);
  if (!answer.ok()) co_return store_error(answer.status());
  co_return revision_of(answer->header);
}

Task<void> Core::ask_rounds() {
  while (next_round_ != nullptr) {
    std::shared_ptr<Round> round = std::exchange(next_round_, nullptr);
    auto revision = co_await present_revision();
    if (revision.ok()) round->revision = *revision;
    round->status = revision.status();
    round->answered.set();
  }
  asking_ = false;
}

// Everybody who asks while a question is under way shares the next one: an answer must not be older than its question.
Task<Status> Core::catch_up() {
  if (next_round_ == nullptr) next_round_ = std::make_shared<Round>();
  std::shared_ptr<Round> round = next_round_;
  if (!std::exchange(asking_, true)) {
    if (enter())
      spawn(executor(), counted(shared_from_this(), ask_rounds()));
    else
      asking_ = false;
  }
  while (!round->status.has_value() && !members_->closed()) co_await round->answered.wait();
  if (!round->status.has_value()) co_return store::store_closing();
  CO_TRY(*round->status);
  bool here = co_await published(round->revision);
  if (!here) co_return Status::make(504, "Timeout", "the watch of etcd is behind");
  co_return Status();
}

Task<Result<RangeResult>> Core::range(store::RangeRequest request) {
  RangeResult result;
  int64_t wanted = request.limit;
  int64_t asked = request.revision;
  for (bool first = true;; first = false) {
    int64_t left = wanted == 0 ? kRangePage : wanted - static_cast<int64_t>(result.entries.size());
    request.limit = request.count_only ? 0 : std::min(left, kRangePage);
    std::string method(kRange), message = schema::to_proto(range_request(request));
    auto answer = co_await call_members<pb::RangeResponse>(members_, std::move(method), std::move(message), Repeat::kYes);
    if (!answer.ok()) {
      const Status& failure = answer.status();
      if (is_future_revision(failure)) co_return store::revision_too_large(asked, ring_->revision());
      if (is_compacted(failure)) raise_compacted(asked + 1);
      co_return store_error(failure);
    }
    if (first) {
      result.revision = asked != 0 ? asked : revision_of(answer->header);
      result.count = answer->count;
    }
    for (const pb::KeyValue& kv : answer->kvs) result.entries.push_back(to_entry(kv));
    result.more = answer->more;
    bool full = wanted != 0 && static_cast<int64_t>(result.entries.size()) >= wanted;
    if (!answer->more || full || answer->kvs.empty()) break;
    request.revision = result.revision;
    request.start = result.entries.back().key + '\0';
  }
  if (request.count_only) result.more = false;
  co_return result;
}

Task<Result<store::Entry>> Core::get(std::string key, int64_t revision) {
  store::RangeRequest request;
  request.start = key;
  request.end = key + '\0';
  request.revision = revision;
  auto found = co_await range(std::move(request));
  if (!found.ok()) co_return found.status();
  if (found->entries.empty()) co_return store::Entry();
  co_return std::move(found->entries[0]);
}

// ---- writing ------------------------------------------------------------------------------------------------------------------

Task<Result<WriteResult>> Core::send(const WriteRequest& request, int64_t lease) {
  std::string method(kTxn), message = schema::to_proto(write_txn(request, lease));
  bool compares = request.expected_revision != WriteRequest::kAny;
  Repeat repeat = compares ? Repeat::kYes : Repeat::kNo;
  auto answer = co_await members_->call(std::move(method), std::move(message), repeat);
  if (!answer.ok()) co_return store_error(answer.status());
  CO_TRY_ASSIGN(pb::TxnResponse response, schema::from_proto<pb::TxnResponse>(answer->message));
  CO_TRY_ASSIGN(WriteResult result, write_result(request, response));
  // The first attempt had succeeded and only its answer was lost. Were it another's write, it would have done the same.
  bool same = answer->repeated && !request.remove && result.current.mod_revision > request.expected_revision && result.current.value.view() == request.value.view();
  if (!result.succeeded && same) {
    result.succeeded = true;
    result.revision = result.current.mod_revision;
    result.current = {};
  }
  co_return result;
}

Task<Result<WriteResult>> Core::write(WriteRequest request) {
  if (request.key.empty()) co_return store::bad_request("a key must not be empty");
  if (request.ttl_seconds < 0 || request.ttl_seconds > kMaxTtlSeconds) co_return store::bad_request("the time to live is out of range");
  int64_t lease = 0;
  if (request.ttl_seconds > 0) {
    auto granted = co_await leases_->lease(request.ttl_seconds);
    if (!granted.ok()) co_return store_error(granted.status());
    lease = *granted;
  }
  if (!request.remove) expect_value(request.key, request.value);
  auto result = co_await send(request, lease);
  if (result.ok()) {
    // Done in any case: when the watch does not come, reading it back waits for it again.
    bool ignored = co_await published(result->revision);
    (void)ignored;
  }
  if (!request.remove) forget_value(request.key, request.value);
  co_return result;
}

Task<Status> Core::compact(int64_t revision) {
  Status status = co_await compact_to(members_, revision);
  if (status.ok()) raise_compacted(revision);
  if (status.ok() || is_compacted(status)) co_return Status();
  if (is_future_revision(status)) co_return store::revision_too_large(revision, ring_->revision());
  co_return store_error(status);
}

Task<void> Core::compact_regularly() {
  CompactionTurn turn;
  while (!members_->closed()) {
    bool woken = co_await closing_notifier_->wait_for(options_.compaction_interval);
    if (woken) continue;
    auto compacted = co_await compact_in_turn(members_, &turn);
    if (!compacted.ok()) {
      log_warning("Compaction of etcd failed", {{"error", compacted.status().message()}});
    } else if (*compacted > 0) {
      raise_compacted(*compacted);
      log_info("Compacted etcd", {{"revision", *compacted}});
    }
  }
}

// ---- the store ----------------------------------------------------------------------------------------------------------------

template <class T>
Task<T> leaving(std::shared_ptr<Core> core, Task<T> task) {
  T value = co_await std::move(task);
  core->leave();
  co_return value;
}

// A call from any thread: counted, so that closing waits for it.
template <class T>
Task<T> on_core(std::shared_ptr<Core> core, Task<T> task) {
  if (!core->enter()) co_return store::store_closing();
  Executor executor = core->executor();
  Task<T> counted = leaving(core, std::move(task));
  T result = co_await run_on(executor, std::move(counted));
  co_return result;
}

class EtcdStore final : public store::Store {
 public:
  explicit EtcdStore(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  ~EtcdStore() override { core_->close(); }

  int64_t revision() const override { return core_->ring()->revision(); }
  int64_t compacted_revision() const override { return core_->compacted(); }
  bool shared() const override { return true; }

  Task<Status> catch_up() override { return on_core(core_, core_->catch_up()); }
  Task<Result<store::Entry>> get(std::string key, int64_t revision) override { return on_core(core_, core_->get(std::move(key), revision)); }
  Task<Result<RangeResult>> range(store::RangeRequest request) override { return on_core(core_, core_->range(std::move(request))); }
  Task<Status> compact(int64_t revision) override { return on_core(core_, core_->compact(revision)); }
  Task<Result<WriteResult>> write(WriteRequest request) override { return on_core(core_, core_->write(std::move(request))); }

  Result<std::unique_ptr<store::Watch>> watch(std::string start, std::string end, int64_t after_revision, std::function<void()> wake) override {
    if (after_revision < core_->compacted()) return store::watch_expired();
    std::weak_ptr<Core> weak = core_;
    ReadHistory read = [weak](std::shared_ptr<History> history) -> Status {
      std::shared_ptr<Core> core = weak.lock();
      if (core == nullptr || !core->enter()) return store::store_closing();
      spawn(core->executor(), detached_history(core, std::move(history)));
      return {};
    };
    std::unique_ptr<store::Watch> made =
        std::make_unique<EtcdWatch>(core_->ring(), std::move(read), std::move(start), std::move(end), after_revision, std::move(wake));
    return made;
  }

 private:
  static Task<void> detached_history(std::shared_ptr<Core> core, std::shared_ptr<History> history) {
    co_await core->read_history(std::move(history));
    core->leave();
  }
  const std::shared_ptr<Core> core_;
};

}  // namespace

Task<Result<std::shared_ptr<store::Store>>> open_etcd_store(EtcdOptions options) {
  auto core = std::make_shared<Core>(std::move(options));
  core->start_thread();
  Task<Status> open = core->open();
  Status status = co_await on_core(core, std::move(open));
  if (!status.ok()) {
    core->close();
    co_return status;
  }
  std::shared_ptr<store::Store> store = std::make_shared<EtcdStore>(std::move(core));
  co_return store;
}

}  // namespace knarr::etcd
