// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "apiserver/core.h"
#include "apiserver/metrics/metrics.h"
#include "base/files.h"
#include "base/version.h"

namespace knarr::apiserver::metrics {
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

void write_object_counts(Core& core, std::string& out) {
  write_head(out, "apiserver_storage_objects", "gauge", "Stored objects by resource.");
  std::map<std::string, size_t> counts;
  for (const schema::Resource& resource : schema::builtin_resources()) {
    WatchCache* cache = core.cache(resource);
    if (cache == nullptr || &cache->resource() != &resource) continue;
    std::string name(resource.plural);
    if (!resource.group.empty()) name.append(".").append(resource.group);
    counts[name] = cache->snapshot("").objects->size();
  }
  for (const auto& [name, count] : counts) write_sample(out, "apiserver_storage_objects", label("resource", name), static_cast<double>(count));
}

}  // namespace

void write_head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void write_number(std::string& out, double value) {
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

Task<Status> serve_metrics(RequestContext& context) {
  std::string text;
  context.core.request_metrics().write(text);
  write_object_counts(context.core, text);
  write_head(text, "kubernetes_build_info", "gauge", "1, labelled by the version that is served.");
  write_sample(text, "kubernetes_build_info",
               label("git_commit", kKnarrVersion) + "," + label("git_version", kKubernetesVersion) + "," + label("major", kKubernetesMajor) + "," +
                   label("minor", kKubernetesMinor),
               1);
  write_process_metrics(text);
  Body body{std::string_view(text)};
  Status status = co_await respond_raw(context, 200, "text/plain; version=0.0.4; charset=utf-8", std::move(body));
  co_return status;
}

}  // namespace knarr::apiserver::metrics
