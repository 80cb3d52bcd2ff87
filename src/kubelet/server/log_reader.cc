// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/log_reader.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace {

constexpr size_t kChunk = 128 << 10;
// A line longer than this is no log line (runtimes cut at 16 kB): what has come of it is given up.
constexpr size_t kMaxLine = 4 << 20;

// An open log file, read line by line. `pending` is what came after the last newline.
class LogFile {
 public:
  static Result<std::unique_ptr<LogFile>> open(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return Status::from_errno("open " + path, errno);
    return std::make_unique<LogFile>(std::move(fd));
  }
  explicit LogFile(Fd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  void seek(int64_t offset) { ::lseek(fd_.get(), offset, SEEK_SET); }

  // Blocking: reads a chunk after what is pending. False at the end of the file.
  Result<bool> read_chunk() {
    size_t old = pending_.size();
    pending_.resize(old + kChunk);
    ssize_t n = -1;
    do {
      n = ::read(fd_.get(), pending_.data() + old, kChunk);
    } while (n < 0 && errno == EINTR);
    int error = errno;
    pending_.resize(old + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0) return Status::from_errno("read", error);
    // A log that was truncated in place begins anew.
    struct stat info {};
    if (n == 0 && ::fstat(fd_.get(), &info) == 0 &&
        info.st_size < ::lseek(fd_.get(), 0, SEEK_CUR)) {
      seek(0);
      pending_.clear();
      return true;
    }
    return n > 0;
  }

  // Calls `line` for each whole line; returns early when it answers false.
  template <class Visit>
  void take_lines(Visit&& line) {
    size_t at = 0;
    bool more = true;
    while (more) {
      size_t end = pending_.find('\n', std::max(at, scanned_));
      if (end == std::string::npos) break;
      more = line(std::string_view(pending_).substr(at, end + 1 - at));
      at = end + 1;
    }
    pending_.erase(0, at);
    scanned_ = more ? pending_.size() : 0;
    if (pending_.size() > kMaxLine) pending_.clear(), scanned_ = 0;
  }
  std::string take_rest() {
    scanned_ = 0;
    return std::exchange(pending_, std::string());
  }

 private:
  Fd fd_;
  std::string pending_;
  size_t scanned_ = 0;  // no newline before
};

Result<std::unique_ptr<LogFile>> open_at_tail(const std::string& path, int64_t tail) {
  Result<std::unique_ptr<LogFile>> file = LogFile::open(path);
  if (!file.ok())
    return Status::error("failed to open log file \"" + path +
                         "\": " + std::string(file.status().message()));
  Result<int64_t> start = find_tail((*file)->fd(), tail);
  if (!start.ok())
    return Status::error("failed to tail " + std::to_string(tail) + " lines of log file \"" + path +
                         "\": " + std::string(start.status().message()));
  (*file)->seek(*start);
  return file;
}

class Reader {
 public:
  Reader(std::string path, LogOptions options, std::shared_ptr<LogFollow> follow, LogSink sink)
      : path_(std::move(path)),
        options_(options),
        follow_(std::move(follow)),
        sink_(std::move(sink)),
        formatter_(options),
        lines_left_(options.tail >= 0 && !options.follow ? options.tail : -1) {}

  Task<Status> run(FolderWatcher* watcher) {
    // The runtime's path may lead through symlinks; the watch needs the real folder.
    char real[PATH_MAX];
    if (::realpath(path_.c_str(), real) == nullptr) {
      int error = errno;
      co_return Status::error("failed to try resolving symlinks in path \"" + path_ +
                              "\": " + std::strerror(error));
    }
    path_ = real;
    std::shared_ptr<void> subscription;
    if (options_.follow) {
      // Before the first read, so that nothing is missed between the two.
      Result<std::shared_ptr<void>> watch = subscribe(*watcher);
      CO_TRY_ASSIGN(subscription, watch);
    }
    std::optional<Result<std::unique_ptr<LogFile>>> opened;
    std::function<void()> open = [&] { opened = open_at_tail(path_, options_.tail); };
    co_await run_blocking(std::move(open));
    CO_TRY_ASSIGN(file_, *opened);
    Status status = co_await copy();
    co_return status;
  }

 private:
  Result<std::shared_ptr<void>> subscribe(FolderWatcher& watcher) {
    std::weak_ptr<LogFollow> weak = follow_;
    std::string name = base_name(path_);
    return watcher.watch(dir_name(path_), [weak, name](const FolderChange& change) {
      std::shared_ptr<LogFollow> follow = weak.lock();
      if (follow == nullptr || (!change.name.empty() && change.name != name)) return;
      follow->changed = true;
      if (change.appeared || change.name.empty()) follow->replaced = true;
      follow->wake.notify();
    });
  }

  bool done() const {
    return formatter_.full() || lines_left_ == 0 || (follow_ != nullptr && follow_->client_gone);
  }

  Task<Status> copy() {
    while (!done()) {
      // Read before looking at what happened: what was written before a stop or a rotation is read
      // after it.
      bool last_round = !options_.follow || follow_->stopped;
      bool replaced = options_.follow && std::exchange(follow_->replaced, false);
      if (options_.follow) follow_->changed = false;
      Status status = co_await drain();
      CO_TRY(status);
      if (done()) break;
      if (replaced) {
        reopen();
        continue;
      }
      if (last_round) {
        Status rest = co_await flush_rest();
        co_return rest;
      }
      while (!follow_->changed && !follow_->stopped && !follow_->client_gone)
        co_await follow_->wake.wait();
    }
    co_return Status();
  }

  // To the present end of the file.
  Task<Status> drain() {
    bool more = true;
    while (more && !done()) {
      std::string out;
      Result<bool> read = false;
      std::function<void()> work = [&] {
        read = file_->read_chunk();
        if (read.ok()) file_->take_lines([&](std::string_view line) { return take(line, out); });
      };
      co_await run_blocking(std::move(work));
      CO_TRY_ASSIGN(more, read);
      if (out.empty()) continue;
      Status sent = co_await sink_(std::move(out));
      CO_TRY(sent);
    }
    co_return Status();
  }

  bool take(std::string_view line, std::string& out) {
    if (lines_left_ == 0 || formatter_.full()) return false;
    formatter_.add(line, out);
    if (lines_left_ > 0) --lines_left_;
    return true;
  }

  // A last line without an end.
  Task<Status> flush_rest() {
    std::string rest = file_->take_rest(), out;
    if (!rest.empty()) take(rest, out);
    if (out.empty()) co_return Status();
    Status sent = co_await sink_(std::move(out));
    co_return sent;
  }

  void reopen() {
    Result<std::unique_ptr<LogFile>> next = LogFile::open(path_);
    if (!next.ok()) return;  // renamed again; the next event tells
    struct stat now {
    }, then{};
    bool same = ::fstat((*next)->fd(), &now) == 0 && ::fstat(file_->fd(), &then) == 0 &&
                now.st_ino == then.st_ino && now.st_dev == then.st_dev;
    if (!same) file_ = std::move(*next);
  }

  std::string path_;
  LogOptions options_;
  std::shared_ptr<LogFollow> follow_;
  LogSink sink_;
  LogFormatter formatter_;
  int64_t lines_left_;  // -1 = no limit
  std::unique_ptr<LogFile> file_;
};

}  // namespace

Task<Status> stream_log(std::string path, LogOptions options, std::shared_ptr<LogFollow> follow,
                        FolderWatcher* watcher, LogSink sink) {
  if (options.follow && (follow == nullptr || watcher == nullptr))
    co_return Status::error("cannot follow this log");
  auto reader =
      std::make_unique<Reader>(std::move(path), options, std::move(follow), std::move(sink));
  Status status = co_await reader->run(watcher);
  co_return status;
}

Result<int64_t> find_tail(int fd, int64_t lines) {
  if (lines < 0) return int64_t{0};
  int64_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return Status::from_errno("seek", errno);
  if (lines == 0) return end;
  char block[16 << 10];
  int64_t found = 0;
  for (int64_t left = end; left > 0;) {
    auto size = static_cast<size_t>(std::min<int64_t>(left, sizeof block));
    left -= static_cast<int64_t>(size);
    ssize_t n = ::pread(fd, block, size, left);
    if (n < 0) return Status::from_errno("read", errno);
    // The newline that ends the file ends its last line: it takes one more to begin the first of
    // them.
    for (ssize_t i = n; i-- > 0;)
      if (block[i] == '\n' && ++found > lines) return left + i + 1;
  }
  return int64_t{0};
}

}  // namespace knarr::kubelet
