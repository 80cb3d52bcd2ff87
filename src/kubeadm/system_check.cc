// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/system_check.h"

#include <zlib.h>

#include <cctype>
#include <cstdio>

#include "kubeadm/preflight.h"
#include "kubeadm/text.h"

namespace knarr::kubeadm {
namespace {

constexpr size_t kMostConfig = 16 << 20;

struct KernelOption {
  const char* name;
  const char* alias;
  bool required;
  const char* description;
};
constexpr KernelOption kOptions[] = {
    {"NAMESPACES", "", true, ""},
    {"NET_NS", "", true, ""},
    {"PID_NS", "", true, ""},
    {"IPC_NS", "", true, ""},
    {"UTS_NS", "", true, ""},
    {"CGROUPS", "", true, ""},
    {"CGROUP_CPUACCT", "", true, ""},
    {"CGROUP_DEVICE", "", true, ""},
    {"CGROUP_FREEZER", "", true, ""},
    {"CGROUP_PIDS", "", true, ""},
    {"CGROUP_SCHED", "", true, ""},
    {"CPUSETS", "", true, ""},
    {"MEMCG", "", true, ""},
    {"INET", "", true, ""},
    {"EXT4_FS", "", true, ""},
    {"PROC_FS", "", true, ""},
    {"NETFILTER_XT_TARGET_REDIRECT", "IP_NF_TARGET_REDIRECT", true, ""},
    {"NETFILTER_XT_MATCH_COMMENT", "", true, ""},
    {"FAIR_GROUP_SCHED", "", true, ""},
    {"OVERLAY_FS", "OVERLAYFS_FS", false, "Required for overlayfs."},
    {"AUFS_FS", "", false, "Required for aufs."},
    {"BLK_DEV_DM", "", false, "Required for devicemapper."},
    {"CFS_BANDWIDTH", "", false, "Required for CPU quota."},
    {"CGROUP_HUGETLB", "", false, "Required for hugetlb cgroup."},
    {"SECCOMP", "", false, "Required for seccomp."},
    {"SECCOMP_FILTER", "", false, "Required for seccomp mode 2."},
};

const std::vector<std::string> kCgroups = {"cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"};
const std::vector<std::string> kCgroupsOptional = {"hugetlb", "blkio"};
const std::vector<std::string> kUnifiedCgroups = {"cpu", "cpuset", "devices", "freezer", "memory", "pids"};
const std::vector<std::string> kUnifiedCgroupsOptional = {"hugetlb", "io"};

std::vector<std::string> config_paths(const std::string& release) {
  return {"/proc/config.gz", "/boot/config-" + release, "/usr/src/linux-" + release + "/.config", "/usr/src/linux/.config",
          "/usr/lib/modules/" + release + "/config", "/usr/lib/ostree-boot/config-" + release, "/usr/lib/kernel/config-" + release,
          "/usr/src/linux-headers-" + release + "/.config", "/lib/modules/" + release + "/build/.config"};
}

// Where there is none, the module `configs` makes /proc/config.gz appear.
Result<std::string> read_kernel_config(Host& host, const std::string& release) {
  bool loaded = false;
  for (;;) {
    for (const std::string& path : config_paths(release)) {
      if (!host.exists(path)) continue;
      TRY_ASSIGN(std::string text, host.read_file(path));
      if (path.ends_with(".gz")) {
        TRY_ASSIGN(text, gunzip(text));
      }
      if (loaded) (void)host.run({"modprobe", "-r", "configs"});
      return text;
    }
    if (loaded) return Status::error("no config path in " + bracketed(config_paths(release)) + " is available");
    auto ran = host.run({"modprobe", "configs"});
    if (!ran.ok() || ran->code != 0)
      return Status::error("unable to load kernel module: \"configs\", output: " + quote(ran.ok() ? ran->combined() : std::string()) + ", err: " +
                           (ran.ok() ? "exit status " + std::to_string(ran->code) : std::string(ran.status().message())));
    loaded = true;
  }
}

void check_kernel(Host& host, std::vector<ReportLine>& report, Findings& found) {
  std::string release = host.kernel_release();
  bool supported = kernel_release_is_supported(release);
  report.push_back({"KERNEL_VERSION", release, supported ? Verdict::kGood : Verdict::kBad});
  if (!supported) found.errors.push_back("unsupported kernel release: " + release);
  auto text = read_kernel_config(host, release);
  if (!text.ok()) return found.errors.push_back("failed to parse kernel config: " + std::string(text.status().message()));
  std::vector<std::string> missing = check_kernel_config(parse_kernel_config(*text), report);
  if (!missing.empty()) found.errors.push_back("unexpected kernel config: " + join(missing, " "));
}

void check_host_cgroups(Host& host, std::vector<ReportLine>& report, Findings& found) {
  bool unified = host.unified_cgroups();
  auto text = host.read_file(unified ? "/sys/fs/cgroup/cgroup.controllers" : "/proc/cgroups");
  if (!text.ok())
    return found.errors.push_back(std::string("failed to get cgroup ") + (unified ? "v2" : "v1") + " subsystems: " + std::string(text.status().message()));
  std::vector<std::string> enabled = unified ? split_fields(*text) : parse_cgroups_v1(*text);
  CgroupFindings cgroups = check_cgroups(enabled, unified, report);
  if (!cgroups.missing_required.empty()) found.errors.push_back("missing required cgroups: " + join(cgroups.missing_required, " "));
  if (!cgroups.missing_optional.empty()) found.warnings.push_back("missing optional cgroups: " + join(cgroups.missing_optional, " "));
}

}  // namespace

bool kernel_release_is_supported(std::string_view release) {
  int major = 0, minor = 0, patch = 0;
  int read = std::sscanf(std::string(release).c_str(), "%d.%d.%d", &major, &minor, &patch);
  if (major == 3) return read >= 2 && minor >= 10;
  return read == 3 && major >= 4;
}

std::map<std::string, char> parse_kernel_config(std::string_view text) {
  std::map<std::string, char> config;
  for (const std::string& raw : split(text, '\n')) {
    std::string line = trim_space(raw);
    size_t equals = line.find('=');
    if (!line.starts_with("CONFIG_") || equals == std::string::npos || equals + 1 >= line.size()) continue;
    char value = line[equals + 1];
    if (value == 'y' || value == 'm' || value == 'n') config[line.substr(0, equals)] = value;
  }
  return config;
}

Result<std::string> gunzip(std::string_view bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return Status::error("gzip: out of memory");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  char buffer[32768];
  int state = Z_OK;
  while (state == Z_OK && out.size() < kMostConfig) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    state = inflate(&stream, Z_NO_FLUSH);
    if (state == Z_OK || state == Z_STREAM_END) out.append(buffer, sizeof buffer - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) return Status::error(out.size() >= kMostConfig ? "gzip: too large" : "gzip: invalid header");
  return out;
}

std::vector<std::string> check_kernel_config(const std::map<std::string, char>& config, std::vector<ReportLine>& report) {
  std::vector<std::string> bad;
  for (const KernelOption& option : kOptions) {
    std::string name = std::string("CONFIG_") + option.name;
    auto found = config.find(name);
    if (found == config.end() && *option.alias != '\0') {
      name = std::string("CONFIG_") + option.alias;
      found = config.find(name);
    }
    bool present = found != config.end() && found->second != 'n';
    std::string value = found == config.end() ? "not set" : found->second == 'y' ? "enabled" : found->second == 'm' ? "enabled (as module)" : "disabled";
    Verdict verdict = present ? Verdict::kGood : option.required ? Verdict::kBad : Verdict::kWarn;
    if (verdict == Verdict::kBad) bad.push_back(name);
    if (verdict != Verdict::kGood && *option.description != '\0') value += std::string(" - ") + option.description;
    report.push_back({name, value, verdict});
  }
  return bad;
}

std::vector<std::string> parse_cgroups_v1(std::string_view proc_cgroups) {
  std::vector<std::string> enabled;
  for (const std::string& line : split(proc_cgroups, '\n')) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields = split_fields(line);
    if (fields.size() >= 4 && fields[3] != "0") enabled.push_back(fields[0]);
  }
  return enabled;
}

CgroupFindings check_cgroups(const std::vector<std::string>& enabled, bool unified, std::vector<ReportLine>& report) {
  auto is_enabled = [&](const std::string& name) {
    // The unified hierarchy has no controllers for these two: they are always there.
    return contains(enabled, name) || (unified && (name == "devices" || name == "freezer"));
  };
  CgroupFindings found;
  auto check = [&](const std::vector<std::string>& names, bool required, std::vector<std::string>& missing) {
    for (const std::string& name : names) {
      std::string key = "CGROUPS_" + name;
      for (char& c : key) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      bool present = is_enabled(name);
      report.push_back({key, present ? "enabled" : "missing", present ? Verdict::kGood : required ? Verdict::kBad : Verdict::kWarn});
      if (!present) missing.push_back(name);
    }
  };
  check(unified ? kUnifiedCgroups : kCgroups, true, found.missing_required);
  check(unified ? kUnifiedCgroupsOptional : kCgroupsOptional, false, found.missing_optional);
  return found;
}

std::string format_report(const std::vector<ReportLine>& report) {
  std::string text;
  for (const ReportLine& line : report) {
    int color = line.verdict == Verdict::kGood ? 32 : line.verdict == Verdict::kBad ? 31 : 33;
    text += "\033[0;37m" + line.key + "\033[0m: \033[0;" + std::to_string(color) + "m" + line.value + "\033[0m\n";
  }
  return text;
}

Check system_verification_check() {
  return {"SystemVerification", [](Host& host, Findings& found) {
            std::vector<ReportLine> report;
            check_kernel(host, report, found);
            std::string os = host.os_name();
            report.push_back({"OS", os, os == "Linux" ? Verdict::kGood : Verdict::kBad});
            if (os != "Linux") found.errors.push_back("unsupported operating system: " + os);
            check_host_cgroups(host, report, found);
            if (!found.errors.empty())
              host.print("[preflight] The system verification failed. Printing the output from the verification:\n" + format_report(report));
          }};
}

}  // namespace knarr::kubeadm
