// SPDX-License-Identifier: Apache-2.0
// The machine that kubeadm works on: files, programs, network, terminal. One interface, so that checks and phases are tested on a host that a
// test makes up (fake_host.h). All calls block: kubeadm does one thing after the other, on one thread.
#pragma once

#include <sys/types.h>

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::kubeadm {

struct ProgramOutput {
  int code = 0;           // 128 + signal when killed
  std::string out, err;
  std::string combined() const { return out + err; }
};

class Host {
 public:
  virtual ~Host() = default;

  // ---- files
  virtual Result<std::string> read_file(const std::string& path) const = 0;
  virtual Status write_file(const std::string& path, std::string_view content, mode_t mode) = 0;
  virtual bool exists(const std::string& path) const = 0;
  virtual bool is_socket(const std::string& path) const = 0;
  virtual Result<std::vector<std::string>> list_dir(const std::string& path) const = 0;
  virtual Status make_dirs(const std::string& path, mode_t mode) = 0;
  // A file, or a folder with all that is in it. One that is not there is no error.
  virtual Status remove_all(const std::string& path) = 0;
  virtual Status unmount(const std::string& path) = 0;

  // ---- programs
  virtual std::string look_path(const std::string& program) const = 0;  // "" when PATH has none
  virtual Result<ProgramOutput> run(const std::vector<std::string>& args) = 0;

  // ---- the machine
  virtual uid_t user() const = 0;
  virtual int cpus() const = 0;
  virtual uint64_t memory_megabytes() const = 0;
  virtual std::string host_name() const = 0;
  virtual std::string kernel_release() const = 0;
  virtual std::string os_name() const = 0;                          // as `uname`: "Linux"
  virtual bool unified_cgroups() const = 0;                         // cgroup v2 at /sys/fs/cgroup
  virtual std::string environment(const std::string& name) const = 0;
  virtual std::vector<std::string> environment_names() const = 0;

  // ---- network
  virtual bool port_is_free(int port) const = 0;
  virtual Status resolve(const std::string& name) const = 0;        // fails, worded as Go's resolver, when there is no address
  virtual Result<std::string> default_address() const = 0;          // of the interface with the default route
  // Status code of an HTTP GET without TLS.
  virtual Result<int> http_get(const std::string& host, int port, const std::string& path) const = 0;

  // ---- terminal and time
  virtual void print(std::string_view text) = 0;                    // stdout
  virtual void print_error(std::string_view text) = 0;              // stderr
  virtual std::string read_line() = 0;                              // stdin
  virtual void sleep(Duration duration) = 0;
  virtual const Clock& clock() const = 0;

  // klog's form: W1125 01:34:04.666835   25168 file.cc:12] text
  void warn(std::string_view text, std::source_location where = std::source_location::current());
  void info(std::string_view text, std::source_location where = std::source_location::current());
  int verbosity = 0;

 private:
  void log(char level, std::string_view text, const std::source_location& where);
};

// The machine that this program runs on.
Host& this_host();

}  // namespace knarr::kubeadm
