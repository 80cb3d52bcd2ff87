// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/files.h"
#include "kubeadm/host.h"
#include "kubeadm/text.h"

extern char** environ;  // NOLINT

namespace knarr::kubeadm {
namespace {

constexpr long kCgroup2Magic = 0x63677270;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// Reads both pipes until they end.
void drain(int out, int err, ProgramOutput& output) {
  pollfd polled[] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string* texts[] = {&output.out, &output.err};
  char buffer[16384];
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return;
    for (int i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      ssize_t size = ::read(polled[i].fd, buffer, sizeof buffer);
      if (size > 0) texts[i]->append(buffer, static_cast<size_t>(size));
      if (size == 0 || (size < 0 && errno != EINTR)) polled[i].fd = -1;
    }
  }
}

Result<ProgramOutput> run_program(const std::vector<std::string>& args) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) return Status::from_errno("pipe", errno);
  Descriptor out_read(out[0]), out_write(out[1]), err_read(err[0]), err_write(err[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, err[1], 2);
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return Status::error(error == ENOENT ? "exec: " + quote(args[0]) + ": executable file not found in $PATH"
                                         : "fork/exec " + args[0] + ": " + std::strerror(error));
  out_write.reset();
  err_write.reset();
  ProgramOutput output;
  drain(out_read.get(), err_read.get(), output);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

// A connection that is made within a second, or none.
Result<int> connect_to(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  std::string service = std::to_string(port);
  if (int error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found); error != 0) return Status::error(::gai_strerror(error));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  Status last = Status::error("no address");
  for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
    int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval limit{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) return fd;
    int error = errno;
    ::close(fd);
    char address[INET6_ADDRSTRLEN] = "";
    ::getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, nullptr, 0, NI_NUMERICHOST);
    std::string text = std::strerror(error);
    if (!text.empty()) text[0] = static_cast<char>(std::tolower(text[0]));
    last = Status::error("dial tcp " + join_host_port(address, std::to_string(port)) + ": connect: " + text);
  }
  return last;
}

class LinuxHost final : public Host {
 public:
  Result<std::string> read_file(const std::string& path) const override { return knarr::read_file(path); }
  Status write_file(const std::string& path, std::string_view content, mode_t mode) override { return knarr::write_file(path, content, mode); }
  bool exists(const std::string& path) const override { return file_exists(path); }
  bool is_socket(const std::string& path) const override {
    struct stat info;
    return ::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
  }
  Result<std::vector<std::string>> list_dir(const std::string& path) const override { return knarr::list_dir(path); }
  Status make_dirs(const std::string& path, mode_t mode) override { return knarr::make_dirs(path, mode); }
  Status remove_all(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    return error ? Status::error("unlinkat " + path + ": " + error.message()) : Status();
  }
  Status unmount(const std::string& path) override {
    if (::umount2(path.c_str(), 0) == 0 || ::umount2(path.c_str(), MNT_DETACH) == 0) return {};
    return Status::from_errno("unmount " + path, errno);
  }

  std::string look_path(const std::string& program) const override {
    if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0 ? program : "";
    const char* path = std::getenv("PATH");
    for (const std::string& folder : split(path == nullptr ? "" : path, ':')) {
      std::string candidate = (folder.empty() ? "." : folder) + "/" + program;
      struct stat info;
      if (::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    return "";
  }
  Result<ProgramOutput> run(const std::vector<std::string>& args) override { return run_program(args); }

  uid_t user() const override { return ::getuid(); }
  int cpus() const override {
    cpu_set_t set;
    return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  }
  uint64_t memory_megabytes() const override {
    struct sysinfo info;
    return ::sysinfo(&info) == 0 ? info.totalram * info.mem_unit / 1024 / 1024 : 0;
  }
  std::string host_name() const override {
    char name[256] = "";
    ::gethostname(name, sizeof name - 1);
    return name;
  }
  std::string kernel_release() const override {
    utsname names;
    return ::uname(&names) == 0 ? names.release : "";
  }
  std::string os_name() const override {
    utsname names;
    return ::uname(&names) == 0 ? names.sysname : "";
  }
  bool unified_cgroups() const override {
    struct statfs info;
    return ::statfs("/sys/fs/cgroup", &info) == 0 && static_cast<long>(info.f_type) == kCgroup2Magic;
  }
  std::string environment(const std::string& name) const override {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? "" : value;
  }
  std::vector<std::string> environment_names() const override {
    std::vector<std::string> names;
    for (char** at = environ; *at != nullptr; ++at) names.emplace_back(std::string_view(*at).substr(0, std::string_view(*at).find('=')));
    return names;
  }

  bool port_is_free(int port) const override {
    Descriptor fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool v6 = fd.get() >= 0;
    Descriptor fd4(v6 ? -1 : ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int used = v6 ? fd.get() : fd4.get(), on = 1, off = 0;
    ::setsockopt(used, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (v6) ::setsockopt(used, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_in6 address6{};
    address6.sin6_family = AF_INET6;
    address6.sin6_port = htons(static_cast<uint16_t>(port));
    sockaddr_in address4{};
    address4.sin_family = AF_INET;
    address4.sin_port = htons(static_cast<uint16_t>(port));
    int bound = v6 ? ::bind(used, reinterpret_cast<sockaddr*>(&address6), sizeof address6)
                   : ::bind(used, reinterpret_cast<sockaddr*>(&address4), sizeof address4);
    return bound == 0 && ::listen(used, 1) == 0;
  }
  Status resolve(const std::string& name) const override {
    addrinfo* found = nullptr;
    int error = ::getaddrinfo(name.c_str(), nullptr, nullptr, &found);
    if (error == 0) {
      ::freeaddrinfo(found);
      return {};
    }
    return Status::error("lookup " + name + ": " + (error == EAI_NONAME ? "no such host" : ::gai_strerror(error)));
  }
  // The kernel chooses the source address of a datagram socket when it is connected; nothing is sent.
  Result<std::string> default_address() const override {
    Descriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in far{};
    far.sin_family = AF_INET;
    far.sin_port = htons(9);
    ::inet_pton(AF_INET, "192.0.2.1", &far.sin_addr);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&far), sizeof far) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0)
      return Status::error("no default routes found in \"/proc/net/route\" or \"/proc/net/ipv6_route\"");
    char text[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &own.sin_addr, text, sizeof text);
    return std::string(text);
  }
  Result<int> http_get(const std::string& host, int port, const std::string& path) const override {
    TRY_ASSIGN(int connection, connect_to(host, port));
    Descriptor fd(connection);
    std::string request = "GET " + path + " HTTP/1.0\r\nHost: " + host + "\r\n\r\n", answer;
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      return Status::from_errno("write", errno);
    char buffer[4096];
    for (ssize_t size; answer.size() < 4096 && (size = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<size_t>(size));
    int code = 0;
    if (std::sscanf(answer.c_str(), "HTTP/%*d.%*d %d", &code) != 1) return Status::error("malformed HTTP response");
    return code;
  }

  void print(std::string_view text) override {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  void print_error(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stderr); }
  std::string read_line() override {
    std::string line;
    for (int c; (c = std::getchar()) != EOF && c != '\n';) line += static_cast<char>(c);
    return line;
  }
  void sleep(Duration duration) override { std::this_thread::sleep_for(duration); }
  const Clock& clock() const override { return Clock::real(); }
};

}  // namespace

void Host::log(char level, std::string_view text, const std::source_location& where) {
  auto now = clock().now().time_since_epoch();
  time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  long micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count() % 1000000;
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char head[128];
  std::snprintf(head, sizeof head, "%c%02d%02d %02d:%02d:%02d.%06ld %7d %s:%u] ", level, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                parts.tm_min, parts.tm_sec, micros, static_cast<int>(::getpid()), base_name(where.file_name()).c_str(),
                static_cast<unsigned>(where.line()));
  print_error(head + std::string(text) + "\n");
}
void Host::warn(std::string_view text, std::source_location where) { log('W', text, where); }
void Host::info(std::string_view text, std::source_location where) {
  if (verbosity > 0) log('I', text, where);
}

Host& this_host() {
  static LinuxHost host;
  return host;
}

}  // namespace knarr::kubeadm
