// SPDX-License-Identifier: Apache-2.0
#include "kubelet/cgroup/cgroup_manager.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files.h"
#include "base/log.h"

namespace knarr::kubelet {

namespace {

constexpr int kMaxDepth = 16;  // of a pod's cgroup tree that we clean up

// Pseudo-files are written in one go, without the rename that write_file does.
Status write_value(const std::string& file, const std::string& value) {
  int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Status::from_errno("open " + file, errno);
  ssize_t written = ::write(fd, value.data(), value.size());
  int error = errno;
  ::close(fd);
  if (written != static_cast<ssize_t>(value.size())) return Status::from_errno("write " + file, error);
  return {};
}

bool is_dir(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::vector<std::string> sub_dirs(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return names;
  while (dirent* entry = ::readdir(dir)) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entry->d_type == DT_DIR || (entry->d_type == DT_UNKNOWN && is_dir(path + "/" + std::string(name)))) names.emplace_back(name);
  }
  ::closedir(dir);
  return names;
}

void kill_inside(const std::string& path) {
  auto procs = read_file(path + "/cgroup.procs");
  if (!procs.ok()) return;
  std::string_view rest = *procs;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('\n'), rest.size());
    long pid = std::atol(std::string(rest.substr(0, end)).c_str());
    if (pid > 1) ::kill(static_cast<pid_t>(pid), SIGKILL);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

Status remove_tree(const std::string& path, int depth) {
  if (depth > kMaxDepth) return Status::error("cgroup " + path + " is nested too deeply");
  for (const std::string& name : sub_dirs(path)) TRY(remove_tree(path + "/" + name, depth + 1));
  for (int attempt = 0;; ++attempt) {
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY || attempt == 20) return Status::from_errno("rmdir " + path, errno);
    // Killed processes leave their cgroup only when they are reaped; this runs on the blocking pool.
    if (attempt == 0) kill_inside(path);
    ::usleep(5000 << std::min(attempt, 4));
  }
}

std::string shares_to_weight(int64_t shares) { return std::to_string(1 + ((shares - 2) * 9999) / 262142); }

}  // namespace

CgroupManager::CgroupManager(Options options) : options_(std::move(options)) {
  if (options_.root == "/") options_.root.clear();
  if (!options_.root.empty() && options_.root.front() != '/') options_.root.insert(0, "/");
  v2_ = file_exists(options_.mount + "/cgroup.controllers");
}

std::vector<std::string> CgroupManager::hierarchies() const {
  if (v2_) return {options_.mount};
  std::vector<std::string> found;
  for (const std::string& name : sub_dirs(options_.mount)) {
    std::string path = options_.mount + "/" + name;
    // Links such as cpu -> cpu,cpuacct are not listed as folders; what is no hierarchy has no cgroup.procs.
    if (name != "unified" && file_exists(path + "/cgroup.procs")) found.push_back(path);
  }
  return found;
}

Status CgroupManager::make_cgroup(const std::string& path) {
  for (const std::string& base : hierarchies()) {
    std::string full = base + path;
    if (is_dir(full)) continue;
    std::string parent = dir_name(full);
    if (v2_) {
      // Children get only the controllers that their parent passes on.
      auto available = read_file(parent + "/cgroup.controllers");
      if (available.ok()) {
        for (std::string_view name : {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}) {
          if (available->find(name) != std::string::npos) (void)write_value(parent + "/cgroup.subtree_control", "+" + std::string(name)).ok();
        }
      }
    }
    if (::mkdir(full.c_str(), 0755) != 0 && errno != EEXIST) {
      if (!v2_ && errno == ENOENT) continue;  // a hierarchy in which our root was not made
      return Status::from_errno("mkdir " + full, errno);
    }
    if (!v2_ && file_exists(full + "/cpuset.cpus")) {
      // A v1 cpuset starts empty, and nothing can run in it before it has CPUs and memory nodes.
      for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
        auto value = read_file(parent + file);
        if (value.ok()) (void)write_value(full + file, *value).ok();
      }
    }
  }
  return {};
}

void CgroupManager::put(const std::string& controller, const std::string& path, std::string_view file, const std::string& value) {
  std::string full = options_.mount + (v2_ ? "" : "/" + controller) + path + "/" + std::string(file);
  if (!file_exists(full)) return;  // the controller is not mounted
  Status status = write_value(full, value);
  if (!status.ok()) log_debug("Cgroup value refused", {{"file", full}, {"value", value}, {"err", status.message()}});
}

void CgroupManager::apply(const std::string& path, const PodCgroupLimits& limits, int64_t pids) {
  if (limits.cpu_shares >= 0) {
    if (v2_) {
      put("cpu", path, "cpu.weight", shares_to_weight(limits.cpu_shares));
    } else {
      put("cpu", path, "cpu.shares", std::to_string(limits.cpu_shares));
    }
  }
  if (limits.cpu_quota > 0) {
    if (v2_) {
      put("cpu", path, "cpu.max", std::to_string(limits.cpu_quota) + " " + std::to_string(limits.cpu_period));
    } else {
      put("cpu", path, "cpu.cfs_period_us", std::to_string(limits.cpu_period));
      put("cpu", path, "cpu.cfs_quota_us", std::to_string(limits.cpu_quota));
    }
  }
  if (limits.memory > 0) put("memory", path, v2_ ? "memory.max" : "memory.limit_in_bytes", std::to_string(limits.memory));
  if (pids > 0) put("pids", path, "pids.max", std::to_string(pids));
}

Status CgroupManager::setup(int64_t allocatable_milli_cpu, int64_t allocatable_memory) {
  if (options_.systemd) return {};
  TRY(make_cgroup(kubepods()));
  TRY(make_cgroup(kubepods() + "/burstable"));
  TRY(make_cgroup(kubepods() + "/besteffort"));
  PodCgroupLimits whole;
  whole.cpu_shares = milli_cpu_to_shares(allocatable_milli_cpu);
  whole.memory = allocatable_memory;
  apply(kubepods(), whole, -1);
  PodCgroupLimits least;
  least.cpu_shares = kMinShares;
  apply(kubepods() + "/besteffort", least, -1);
  apply(kubepods() + "/burstable", least, -1);
  return {};
}

std::string CgroupManager::pod_parent(const core::Pod& pod) const {
  std::string_view qos = pod_qos_class(pod);
  std::string uid = pod.metadata.uid.str();
  if (options_.systemd) {
    std::string escaped = uid;
    std::replace(escaped.begin(), escaped.end(), '-', '_');
    if (qos == "Guaranteed") return "/kubepods.slice/kubepods-pod" + escaped + ".slice";
    std::string level = qos == "Burstable" ? "burstable" : "besteffort";
    return "/kubepods.slice/kubepods-" + level + ".slice/kubepods-" + level + "-pod" + escaped + ".slice";
  }
  if (qos == "Guaranteed") return kubepods() + "/pod" + uid;
  return kubepods() + (qos == "Burstable" ? "/burstable" : "/besteffort") + "/pod" + uid;
}

Status CgroupManager::create_pod(const std::string& parent, const PodCgroupLimits& limits) {
  if (options_.systemd) return {};
  TRY(make_cgroup(parent));
  apply(parent, limits, options_.pod_pids_limit);
  return {};
}

bool CgroupManager::pod_exists(const std::string& parent) const {
  if (options_.systemd) return true;
  return is_dir(options_.mount + (v2_ ? "" : "/memory") + parent) || is_dir(options_.mount + (v2_ ? "" : "/cpu") + parent);
}

Status CgroupManager::destroy_pod(const std::string& parent) {
  if (options_.systemd) return {};
  Status first;
  for (const std::string& base : hierarchies()) {
    if (!is_dir(base + parent)) continue;
    Status status = remove_tree(base + parent, 0);
    if (first.ok()) first = status;
  }
  return first;
}

void CgroupManager::set_burstable_milli_cpu(int64_t milli) {
  if (options_.systemd) return;
  PodCgroupLimits limits;
  limits.cpu_shares = milli_cpu_to_shares(milli);
  apply(kubepods() + "/burstable", limits, -1);
}

std::vector<std::pair<std::string, std::string>> CgroupManager::list_pods() const {
  std::vector<std::pair<std::string, std::string>> found;
  if (options_.systemd) return found;
  for (const std::string& base : hierarchies()) {
    for (const char* level : {"", "/burstable", "/besteffort"}) {
      std::string path = kubepods() + level;
      for (const std::string& name : sub_dirs(base + path)) {
        if (name.size() <= 3 || name.compare(0, 3, "pod") != 0) continue;
        std::pair<std::string, std::string> item{name.substr(3), path + "/" + name};
        if (std::find(found.begin(), found.end(), item) == found.end()) found.push_back(std::move(item));
      }
    }
  }
  return found;
}

}  // namespace knarr::kubelet
