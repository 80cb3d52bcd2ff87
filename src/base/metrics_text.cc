// SPDX-License-Identifier: Apache-2.0
#include "base/metrics_text.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/files.h"
#include "base/version.h"

namespace knarr::metrics {
namespace {

// Field `index` (1 is the pid) of /proc/self/stat, counted behind the command, which may hold anything.
std::vector<std::string> stat_fields() {
  auto text = read_file("/proc/self/stat");
  std::vector<std::string> fields;
  if (!text.ok()) return fields;
  size_t close = text->rfind(')');
  if (close == std::string::npos) return fields;
  std::string_view rest = std::string_view(*text).substr(close + 1);
  while (!rest.empty()) {
    size_t start = rest.find_first_not_of(" \n");
    if (start == std::string_view::npos) break;
    size_t end = std::min(rest.find_first_of(" \n", start), rest.size());
    fields.emplace_back(rest.substr(start, end - start));
    rest.remove_prefix(end);
  }
  return fields;
}

double to_number(const std::vector<std::string>& fields, size_t index) {
  return index < fields.size() ? std::strtod(fields[index].c_str(), nullptr) : 0;
}

double boot_time() {
  auto text = read_file("/proc/stat");
  if (!text.ok()) return 0;
  size_t at = text->find("\nbtime ");
  return at == std::string::npos ? 0 : std::strtod(text->c_str() + at + 7, nullptr);
}

int open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int count = 0;
  while (dirent* entry = ::readdir(folder))
    if (entry->d_name[0] != '.') ++count;
  ::closedir(folder);
  return count - 1;  // the folder's own
}

void write_one(std::string& out, std::string_view name, std::string_view type, std::string_view help, double value) {
  write_head(out, name, type, help);
  write_sample(out, name, "", value);
}

}  // namespace

void write_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void write_number(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  char text[40];
  auto [end, error] = std::to_chars(text, text + sizeof text, value);
  out.append(text, static_cast<size_t>(end - text));
}

void write_sample(std::string& out, std::string_view name, std::string_view labels, double value) {
  out.append(name);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out += ' ';
  write_number(out, value);
  out += '\n';
}

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') text += "\\n";
    else text += c;
  }
  return text + "\"";
}

void write_process_metrics(std::string& out) {
  std::vector<std::string> fields = stat_fields();  // the first one is the state, field 3 of proc(5)
  double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK)), page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  write_one(out, "process_cpu_seconds_total", "counter", "User and system CPU time, in seconds.", (to_number(fields, 11) + to_number(fields, 12)) / ticks);
  write_one(out, "process_max_fds", "gauge", "Limit of open file descriptors.", static_cast<double>(limit.rlim_cur));
  write_one(out, "process_open_fds", "gauge", "Open file descriptors.", open_files());
  write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory, in bytes.", to_number(fields, 21) * page);
  write_one(out, "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", boot_time() + to_number(fields, 19) / ticks);
  write_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", to_number(fields, 20));
}

void write_build_info(std::string& out) {
  write_head(out, "kubernetes_build_info", "gauge", "1, labelled by the version that is served.");
  write_sample(out, "kubernetes_build_info",
               label("git_commit", kKnarrVersion) + "," + label("git_version", kKubernetesVersion) + "," + label("major", kKubernetesMajor) + "," +
                   label("minor", kKubernetesMinor),
               1);
}

void Histogram::observe(double value) {
  size_t at = 0;
  while (at < bounds_.size() && value > bounds_[at]) ++at;
  ++buckets_[at];
  ++count_;
  sum_ += value;
}

void Histogram::add(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

void Histogram::write(std::string& out, std::string_view name, std::string_view labels) const {
  std::string with = labels.empty() ? std::string() : std::string(labels) + ",";
  uint64_t sum = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    sum += buckets_[i];
    std::string bound;
    write_number(bound, bounds_[i]);
    write_sample(out, std::string(name) + "_bucket", with + label("le", bound), static_cast<double>(sum));
  }
  write_sample(out, std::string(name) + "_bucket", with + label("le", "+Inf"), static_cast<double>(count_));
  write_sample(out, std::string(name) + "_sum", labels, sum_);
  write_sample(out, std::string(name) + "_count", labels, static_cast<double>(count_));
}

}  // namespace knarr::metrics
