// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
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

Result<pid_t> spawn_child(const ProcessOptions& options, int output) {
  SpawnSetup setup;
  posix_spawn_file_actions_addopen(&setup.actions, 0, "/dev/null", O_RDONLY, 0);
  if (!options.log_file.empty()) {
    posix_spawn_file_actions_addopen(&setup.actions, 1, options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    posix_spawn_file_actions_adddup2(&setup.actions, 1, 2);
  } else if (output >= 0) {
    posix_spawn_file_actions_adddup2(&setup.actions, output, 1);
    posix_spawn_file_actions_adddup2(&setup.actions, output, 2);
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

}  // namespace

Result<std::unique_ptr<Process>> Process::start(const ProcessOptions& options) {
  TRY_ASSIGN(pid_t pid, spawn_child(options, -1));
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
  Result<pid_t> pid = spawn_child(options, ends[1]);
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

}  // namespace knarr
