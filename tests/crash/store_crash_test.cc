// SPDX-License-Identifier: Apache-2.0
// store_crash_test [ROUNDS [SEED]]: a child process writes under load and tells each acknowledged
// write through a pipe; the parent kills it at a random moment, opens the store and checks that
// nothing acknowledged is lost or changed, that revisions are consecutive, and that a watch resumed
// from any revision still kept sees exactly what came later. Then again, on the same data.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/embedded_store.h"

namespace knarr::store {
namespace {

constexpr int kWriters = 16;
constexpr int kKeys = 150;

EmbeddedOptions options_of(std::string dir) {
  EmbeddedOptions options;
  options.dir = std::move(dir);
  // Small enough that compaction and purging are at work when the kill comes.
  options.retention.age = std::chrono::seconds(0);
  options.retention.revisions = 3000;
  options.retention.bytes = 2 << 20;
  options.ring.events = 256;
  options.journal_bytes = 256 << 10;
  return options;
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// ---- The child

struct Child {
  Store* store;
  int out;
};

Task<void> write_for_ever(Child* child, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (uint64_t i = 0;; ++i) {
    WriteRequest request;
    request.key = "/k/" + std::to_string(random() % kKeys);
    request.expected_revision = WriteRequest::kAny;
    request.remove = random() % 5 == 0;
    if (!request.remove) {
      size_t size = random() % 50 == 0 ? 20'000 : 200 + random() % 3000;
      std::string value = std::to_string(random()) + ":";
      value.resize(size, static_cast<char>('a' + i % 26));
      request.value = Bytes::copy(value);
    }
    std::string key = request.key;
    char kind = request.remove ? 'D' : 'P';
    uint64_t hash = hash_of(request.value.view());
    Result<WriteResult> result = co_await child->store->write(std::move(request));
    if (!result.ok()) {
      std::fprintf(stderr, "child: %s\n", std::string(result.status().message()).c_str());
      _exit(1);
    }
    if (kind == 'D' && result->current.mod_revision == 0) continue;  // nothing was there
    char line[128];
    int size = std::snprintf(line, sizeof line, "%" PRId64 " %c %s %" PRIu64 "\n", result->revision,
                             kind, key.c_str(), hash);
    if (::write(child->out, line, static_cast<size_t>(size)) != size) _exit(1);
    if (random() % 3000 == 0) {
      Status status = co_await child->store->compact(result->revision - 500);
      if (!status.ok()) _exit(1);
    }
  }
}

int child_main(const char* dir, uint64_t seed) {
  Result<std::unique_ptr<EmbeddedStore>> store = open_embedded_store(options_of(dir));
  if (!store.ok()) {
    std::fprintf(stderr, "child: %s\n", std::string(store.status().message()).c_str());
    return 1;
  }
  Child child{store->get(), STDOUT_FILENO};
  boost::asio::io_context first, second;
  for (int i = 0; i < kWriters; ++i) {
    spawn((i % 2 == 0 ? first : second).get_executor(),
          write_for_ever(&child, seed * 1000 + static_cast<uint64_t>(i)));
  }
  std::thread other([&] { second.run(); });
  first.run();
  return 1;
}

// ---- The parent

struct Change {
  char kind = 'P';
  std::string key;
  uint64_t hash = 0;
  bool operator==(const Change&) const = default;
};

#define MUST(condition)                                                           \
  do {                                                                            \
    if (!(condition)) {                                                           \
      std::fprintf(stderr, "FAILED %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                               \
    }                                                                             \
  } while (false)

class Checker {
 public:
  // One line of the child.
  void acknowledged(int64_t revision, Change change) {
    // What an earlier opening showed or acknowledged stays true.
    auto [at, fresh] = known_.try_emplace(revision, change);
    MUST(fresh || at->second == change);
    last_acknowledged_ = std::max(last_acknowledged_, revision);
    ++count_;
  }

  void check(Store& store, std::mt19937_64& random) {
    int64_t revision = store.revision();
    // Revision 1 is the empty store: no event made it.
    int64_t compacted = std::max<int64_t>(1, store.compacted_revision());
    MUST(revision >= last_acknowledged_);
    MUST(compacted >= last_compacted_);
    last_compacted_ = compacted;
    std::vector<Event> events = events_after(store, compacted);
    MUST(static_cast<int64_t>(events.size()) == revision - compacted);
    for (size_t i = 0; i < events.size(); ++i) {
      MUST(events[i].revision == compacted + 1 + static_cast<int64_t>(i));
      auto [at, fresh] = known_.try_emplace(events[i].revision, change_of(events[i]));
      MUST(fresh || at->second == change_of(events[i]));
    }
    check_state(store, compacted, revision, events);
    for (int i = 0; i < 5 && revision > compacted; ++i) {
      int64_t from =
          compacted + static_cast<int64_t>(random() % static_cast<uint64_t>(revision - compacted));
      std::vector<Event> later = events_after(store, from);
      MUST(static_cast<int64_t>(later.size()) == revision - from);
      MUST(later.front().revision == from + 1);
    }
    last_acknowledged_ = revision;
  }

  size_t count() const { return count_; }

 private:
  static Change change_of(const Event& event) {
    bool put = event.kind == Event::Kind::kPut;
    return {put ? 'P' : 'D', event.key, hash_of(event.value.view())};
  }

  static std::vector<Event> events_after(Store& store, int64_t revision) {
    auto watch = store.watch("", "", revision, [] {});
    MUST(watch.ok());
    std::vector<Event> all;
    for (;;) {
      Result<std::vector<Event>> some = (*watch)->poll(97);
      MUST(some.ok());
      if (some->empty()) return all;
      for (Event& event : *some) all.push_back(std::move(event));
    }
  }

  static Task<void> read(Store* store, int64_t revision, std::map<std::string, Entry>* entries) {
    RangeRequest request;
    request.revision = revision;
    Result<RangeResult> result = co_await store->range(std::move(request));
    MUST(result.ok());
    for (Entry& entry : result->entries) (*entries)[entry.key] = entry;
  }
  static std::map<std::string, Entry> state_at(Store& store, int64_t revision) {
    std::map<std::string, Entry> entries;
    boost::asio::io_context context;
    spawn(context.get_executor(), read(&store, revision, &entries));
    context.run();
    return entries;
  }

  // The state at the compacted revision and the events after it give the latest state; and each
  // value is what was acknowledged for its revision.
  void check_state(Store& store, int64_t compacted, int64_t revision,
                   const std::vector<Event>& events) {
    std::map<std::string, Entry> state;
    if (compacted > 1) state = state_at(store, compacted);
    for (const Event& event : events) {
      auto at = state.find(event.key);
      MUST((at != state.end()) == !event.previous.is_null());
      if (at != state.end()) MUST(at->second.value.view() == event.previous.view());
      if (event.kind == Event::Kind::kDelete) {
        MUST(at != state.end());
        state.erase(at);
      } else {
        state[event.key] = {event.key, event.value, event.create_revision, event.revision};
      }
    }
    std::map<std::string, Entry> now = state_at(store, revision);
    MUST(now.size() == state.size());
    for (auto& [key, entry] : now) {
      MUST(state.contains(key));
      MUST(state[key].value.view() == entry.value.view());
      MUST(state[key].mod_revision == entry.mod_revision);
      MUST(state[key].create_revision == entry.create_revision);
      auto at = known_.find(entry.mod_revision);
      if (at != known_.end()) MUST(at->second == (Change{'P', key, hash_of(entry.value.view())}));
    }
    // Every revision is known by now (acknowledged, or seen above), so the latest change of each
    // key must show.
    MUST(known_.rbegin()->first - known_.begin()->first + 1 == static_cast<int64_t>(known_.size()));
    std::map<std::string, std::pair<int64_t, Change>> latest;
    for (auto& [at, change] : known_) latest[change.key] = {at, change};
    for (auto& [key, last] : latest) {
      auto at = now.find(key);
      MUST((at == now.end() ? 0 : at->second.mod_revision) ==
           (last.second.kind == 'P' ? last.first : 0));
    }
    known_.erase(known_.begin(), known_.lower_bound(compacted - 20'000));
  }

  std::map<int64_t, Change> known_;
  int64_t last_acknowledged_ = 0;
  int64_t last_compacted_ = 0;
  size_t count_ = 0;
};

// Runs the child for `ms` after its first acknowledged write, kills it, and takes all it said.
void run_child(const char* self, const std::string& dir, uint64_t seed, int ms, Checker& checker) {
  int pipe_fds[2];
  MUST(::pipe(pipe_fds) == 0);
  std::string seed_text = std::to_string(seed);
  pid_t pid = ::fork();
  MUST(pid >= 0);
  if (pid == 0) {
    ::dup2(pipe_fds[1], STDOUT_FILENO);
    ::close(pipe_fds[0]);
    ::close(pipe_fds[1]);
    ::execl(self, self, "--child", dir.c_str(), seed_text.c_str(), nullptr);
    _exit(127);
  }
  ::close(pipe_fds[1]);
  FILE* out = ::fdopen(pipe_fds[0], "r");
  std::thread killer;
  char line[128], key[64], kind;
  int64_t revision;
  uint64_t hash;
  while (std::fgets(line, sizeof line, out) != nullptr) {
    if (!killer.joinable()) {
      killer = std::thread([pid, ms] {
        std::this_thread::sleep_for(std::chrono::milliseconds(ms));
        ::kill(pid, SIGKILL);
      });
    }
    if (std::strchr(line, '\n') == nullptr) break;  // cut short by the kill
    MUST(std::sscanf(line, "%" SCNd64 " %c %63s %" SCNu64, &revision, &kind, key, &hash) == 4);
    checker.acknowledged(revision, {kind, key, hash});
  }
  std::fclose(out);
  MUST(killer.joinable());  // else it never got to write
  killer.join();
  int status = 0;
  MUST(::waitpid(pid, &status, 0) == pid);
  MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int parent_main(int rounds, uint64_t seed) {
  char dir[] = "/tmp/knarr-store-crash-XXXXXX";
  MUST(::mkdtemp(dir) != nullptr);
  std::mt19937_64 random(seed);
  Checker checker;
  for (int round = 0; round < rounds; ++round) {
    run_child("/proc/self/exe", dir, random(), static_cast<int>(random() % 120), checker);
    Result<std::unique_ptr<EmbeddedStore>> store = open_embedded_store(options_of(dir));
    MUST(store.ok());
    checker.check(**store, random);
    if (round % 20 == 19 || round + 1 == rounds) {
      std::printf("%d kills, %zu acknowledged writes, revision %" PRId64 ", compacted %" PRId64
                  "\n",
                  round + 1, checker.count(), (*store)->revision(), (*store)->compacted_revision());
      std::fflush(stdout);
    }
  }
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace knarr::store

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--child")
    return knarr::store::child_main(argv[2], std::strtoull(argv[3], nullptr, 10));
  int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return knarr::store::parent_main(rounds, seed);
}
