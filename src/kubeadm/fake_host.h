// SPDX-License-Identifier: Apache-2.0
// A host made up by a test: files in memory, programs with scripted answers, a clock that sleeping moves. Records what was printed and run.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kubeadm/host.h"
#include "kubeadm/text.h"

namespace knarr::kubeadm {

class FakeHost final : public Host {
 public:
  std::map<std::string, std::string> files;
  std::map<std::string, mode_t> modes;
  std::set<std::string> dirs, sockets, programs;
  std::set<int> busy_ports;
  // Answers by the whole command line; commands that are not here fail to start.
  std::map<std::string, ProgramOutput> answers;
  std::vector<std::string> ran;
  std::string out, err, name = "node1", release = "6.1.0-18-amd64", address = "192.0.2.10";
  std::map<std::string, std::string> variables;
  std::set<std::string> known_names = {"node1"};
  uid_t uid = 0;
  int cpu_count = 4;
  uint64_t megabytes = 8000;
  bool unified = true;
  std::deque<Result<int>> health;               // answers of the kubelet, the last one for ever
  mutable FakeClock time{WallTime(std::chrono::seconds(1700000000))};

  Result<std::string> read_file(const std::string& path) const override {
    auto found = files.find(path);
    if (found == files.end()) return Status::error("open " + path + ": no such file or directory");
    return found->second;
  }
  Status write_file(const std::string& path, std::string_view content, mode_t mode) override {
    files[path] = content;
    modes[path] = mode;
    return {};
  }
  bool exists(const std::string& path) const override {
    if (files.count(path) > 0 || dirs.count(path) > 0) return true;
    auto below = files.lower_bound(path + "/");
    return below != files.end() && below->first.starts_with(path + "/");
  }
  bool is_socket(const std::string& path) const override { return sockets.count(path) > 0; }
  Result<std::vector<std::string>> list_dir(const std::string& path) const override {
    std::set<std::string> names;
    for (const auto& [file, content] : files)
      if (file.starts_with(path + "/")) names.insert(file.substr(path.size() + 1, file.find('/', path.size() + 1) - path.size() - 1));
    return std::vector<std::string>(names.begin(), names.end());
  }
  Status make_dirs(const std::string& path, mode_t) override {
    dirs.insert(path);
    return {};
  }
  Status remove_all(const std::string& path) override {
    std::erase_if(files, [&](const auto& file) { return file.first == path || file.first.starts_with(path + "/"); });
    dirs.erase(path);
    return {};
  }
  Status unmount(const std::string& path) override {
    ran.push_back("unmount " + path);
    return {};
  }
  std::string look_path(const std::string& program) const override { return programs.count(program) > 0 ? "/usr/bin/" + program : ""; }
  Result<ProgramOutput> run(const std::vector<std::string>& args) override {
    std::string line = join(args, " ");
    ran.push_back(line);
    auto found = answers.find(line);
    if (found == answers.end()) return Status::error("exec: " + quote(args[0]) + ": executable file not found in $PATH");
    return found->second;
  }
  uid_t user() const override { return uid; }
  int cpus() const override { return cpu_count; }
  uint64_t memory_megabytes() const override { return megabytes; }
  std::string host_name() const override { return name; }
  std::string kernel_release() const override { return release; }
  std::string os_name() const override { return "Linux"; }
  bool unified_cgroups() const override { return unified; }
  std::string environment(const std::string& variable) const override {
    auto found = variables.find(variable);
    return found == variables.end() ? "" : found->second;
  }
  std::vector<std::string> environment_names() const override {
    std::vector<std::string> names;
    for (const auto& [variable, value] : variables) names.push_back(variable);
    return names;
  }
  bool port_is_free(int port) const override { return busy_ports.count(port) == 0; }
  Status resolve(const std::string& host) const override {
    return known_names.count(host) > 0 ? Status() : Status::error("lookup " + host + ": no such host");
  }
  Result<std::string> default_address() const override { return address; }
  Result<int> http_get(const std::string&, int, const std::string&) const override {
    if (health.empty()) return Status::error("dial tcp 127.0.0.1:10248: connect: connection refused");
    return health.front();
  }
  void print(std::string_view text) override { out += text; }
  void print_error(std::string_view text) override { err += text; }
  std::string read_line() override { return "y"; }
  void sleep(Duration duration) override { time.advance(duration); }
  const Clock& clock() const override { return time; }
};

}  // namespace knarr::kubeadm
