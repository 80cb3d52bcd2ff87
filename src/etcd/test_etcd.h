// SPDX-License-Identifier: Apache-2.0
// A real etcd on loopback for tests: Debian's from PATH, or the one built beside the Kubernetes parts under $KNARR_KIT.
#pragma once

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "store/test_support.h"

namespace knarr::etcd {

inline uint16_t free_port() {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  uint16_t port = 0;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    port = ntohs(address.sin_port);
  ::close(fd);
  return port;
}

// "" when there is none.
inline std::string etcd_of_path() {
  for (const char* path : {"/usr/bin/etcd", "/usr/local/bin/etcd"})
    if (::access(path, X_OK) == 0) return path;
  return {};
}
inline std::string etcd_of_kit() {
  const char* kit = std::getenv("KNARR_KIT");
  std::string path = kit == nullptr ? "" : std::string(kit) + "/bin/etcd";
  return !path.empty() && ::access(path.c_str(), X_OK) == 0 ? path : "";
}

class EtcdProcess {
 public:
  // `flags` may replace the scheme of the URLs by https with its certificates.
  explicit EtcdProcess(std::string program, std::string scheme = "http", std::vector<std::string> flags = {})
      : program_(std::move(program)), url_(scheme + "://127.0.0.1:" + std::to_string(free_port())), flags_(std::move(flags)) {
    peer_ = "http://127.0.0.1:" + std::to_string(free_port());
    start();
  }
  ~EtcdProcess() { kill(); }
  EtcdProcess(const EtcdProcess&) = delete;
  EtcdProcess& operator=(const EtcdProcess&) = delete;
  const std::string& url() const { return url_; }

  void start() {
    std::vector<std::string> arguments = {program_, "--data-dir=" + dir_.path() + "/data", "--listen-client-urls=" + url_,
                                          "--advertise-client-urls=" + url_, "--listen-peer-urls=" + peer_,
                                          "--initial-advertise-peer-urls=" + peer_, "--initial-cluster=default=" + peer_,
                                          "--heartbeat-interval=10", "--election-timeout=50", "--logger=zap", "--log-level=error"};
    arguments.insert(arguments.end(), flags_.begin(), flags_.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execv(program_.c_str(), pointers.data());
    ::_exit(127);
  }
  // As kill -9; the data stays until the object goes.
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  const std::string program_, url_;
  const std::vector<std::string> flags_;
  std::string peer_;
  store::TempDir dir_;
  pid_t pid_ = -1;
};

}  // namespace knarr::etcd
