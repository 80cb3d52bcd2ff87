// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

extern char** environ;

namespace knarr {
namespace {

struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// What a child gets as descriptors 0, 1 and 2; -1 = nothing to read, and our own output.
struct Streams {
  int in = -1, out = -1, err = -1;
};

Result<pid_t> spawn_child(const ProcessOptions& options, Streams streams) {
  SpawnSetup setup;
  if (streams.in >= 0)
    posix_spawn_file_actions_adddup2(&setup.actions, streams.in, 0);
  else
    posix_spawn_file_actions_addopen(&setup.actions, 0, "/dev/null", O_RDONLY, 0);
  if (!options.log_file.empty()) {
    posix_spawn_file_actions_addopen(&setup.actions, 1, options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    posix_spawn_file_actions_adddup2(&setup.actions, 1, 2);
  } else if (streams.out >= 0) {
    posix_spawn_file_actions_adddup2(&setup.actions, streams.out, 1);
    posix_spawn_file_actions_adddup2(&setup.actions, streams.err, 2);
  }
  // The child starts with default handlers and nothing blocked, whatever we have set for ourselves.
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&setup.attributes, &all);
  posix_spawnattr_setsigmask(&setup.attributes, &none);
  short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (options.new_session) flags |= POSIX_SPAWN_SETSID;
  posix_spawnattr_setflags(&setup.attributes, flags);

  std::vector<char*> args, environment;
  for (const std::string& arg : options.args) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  for (const std::string& variable : options.environment) environment.push_back(const_cast<char*>(variable.c_str()));
  for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
  environment.push_back(nullptr);
  pid_t pid = -1;
  int error = posix_spawnp(&pid, args[0], &setup.actions, &setup.attributes, args.data(), environment.data());
  if (error != 0) return Status::from_errno("starting " + options.args[0], error);
  return pid;
}

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// A file in memory: a child reads and writes it at its own pace, and nobody has to stand at the other end of a pipe.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("stream", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }
  Status fill(std::string_view text) const {
    for (size_t done = 0; done < text.size();) {
      ssize_t n = ::pwrite(fd_, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (n < 0 && errno != EINTR) return Status::from_errno("memory for a program's input", errno);
      if (n > 0) done += static_cast<size_t>(n);
    }
    return {};
  }
  std::string content() const {
    off_t size = ::lseek(fd_, 0, SEEK_END);
    std::string text(size > 0 ? static_cast<size_t>(size) : 0, '\0');
    size_t done = 0;
    while (done < text.size()) {
      ssize_t n = ::pread(fd_, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (n <= 0 && errno != EINTR) break;
      if (n > 0) done += static_cast<size_t>(n);
    }
    text.resize(done);
    return text;
  }

 private:
  const int fd_;
};

}  // namespace

Result<std::unique_ptr<Process>> Process::start(const ProcessOptions& options) {
  TRY_ASSIGN(pid_t pid, spawn_child(options, Streams()));
  return std::unique_ptr<Process>(new Process(pid, open_pidfd(pid)));
}

Process::~Process() {
  if (pidfd_ >= 0) ::close(pidfd_);
}

bool Process::running() const {
  if (exit_code_ >= 0) return false;
  pollfd poll_fd{pidfd_, POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) == 0;
}

void Process::signal(int number) const {
  if (exit_code_ < 0) ::kill(pid_, number);
}

int Process::reap() {
  int status = 0;
  if (exit_code_ < 0 && ::waitpid(pid_, &status, 0) == pid_)
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

Task<int> Process::wait() {
  namespace asio = boost::asio;
  if (exit_code_ < 0) {
    asio::posix::stream_descriptor descriptor(co_await asio::this_coro::executor, ::dup(pidfd_));
    boost::system::error_code ignored;
    co_await descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                   asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return reap();
}

Task<void> Process::stop(Duration grace) {
  signal(SIGTERM);
  // A short poll at the end of a life, where a second watcher on the pidfd would be more than it is worth.
  Duration waited{};
  while (running() && waited < grace) {
    co_await sleep_for(std::chrono::milliseconds(20));
    waited += std::chrono::milliseconds(20);
  }
  if (running()) signal(SIGKILL);
  co_await wait();
}

Task<Result<std::string>> run_process(std::vector<std::string> args) {
  namespace asio = boost::asio;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) co_return Status::from_errno("pipe", errno);
  ProcessOptions options;
  options.args = std::move(args);
  Result<pid_t> pid = spawn_child(options, Streams{-1, ends[1], ends[1]});
  ::close(ends[1]);
  asio::posix::stream_descriptor reader(co_await asio::this_coro::executor, ends[0]);
  if (!pid.ok()) co_return pid.status();
  std::string output;
  char buffer[4096];
  for (;;) {
    boost::system::error_code error;
    auto room = asio::buffer(buffer);
    size_t n = co_await reader.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
    output.append(buffer, n);
    if (error) break;
  }
  int status = 0;
  ::waitpid(*pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    co_return Status::error(options.args[0] + " failed: " + output);
  co_return output;
}

Result<std::unique_ptr<Process>> Process::start_with(const ProcessOptions& options, int in, int out, int err) {
  TRY_ASSIGN(pid_t pid, spawn_child(options, Streams{in, out, err}));
  return std::unique_ptr<Process>(new Process(pid, open_pidfd(pid)));
}

Task<Result<CommandResult>> run_command(std::vector<std::string> args, std::string input) {
  MemoryFile in, out, err;
  if (in.fd() < 0 || out.fd() < 0 || err.fd() < 0) co_return Status::from_errno("memfd_create", errno);
  CO_TRY(in.fill(input));
  ProcessOptions options;
  options.args = std::move(args);
  auto process = Process::start_with(options, in.fd(), out.fd(), err.fd());
  if (!process.ok()) co_return process.status();
  CommandResult result;
  result.exit_code = co_await (*process)->wait();
  result.out = out.content();
  result.err = err.content();
  co_return result;
}

}  // namespace knarr
