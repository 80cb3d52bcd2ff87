// SPDX-License-Identifier: Apache-2.0
#include "kubelet/runtime/pod_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "schema/codec.h"

namespace knarr::kubelet {

namespace {

// The last `limit` bytes of a regular file. False when there is no such file; an error text in *content otherwise.
bool read_tail(const std::string& path, size_t limit, std::string* content, bool* failed) {
  *failed = false;
  // A container can put a symlink or a FIFO where its message file was bound: neither is followed nor waited for.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) {
    if (errno == ENOENT) return false;
    *failed = true;
    *content = "open " + path + ": " + std::strerror(errno);
    return true;
  }
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    *failed = true;
    *content = "open " + path + ": not a regular file";
    return true;
  }
  off_t start = info.st_size > static_cast<off_t>(limit) ? info.st_size - static_cast<off_t>(limit) : 0;
  content->resize(limit);
  ssize_t count = ::pread(fd, content->data(), limit, start);
  ::close(fd);
  content->resize(count > 0 ? static_cast<size_t>(count) : 0);
  return true;
}

std::string termination_message(const cri::ContainerStatus& status) {
  std::string_view path = schema::get_or_empty(status.annotations, kMessagePathAnnotation);
  bool check_logs = schema::get_or_empty(status.annotations, kMessagePolicyAnnotation) == "FallbackToLogsOnError" && status.exit_code != 0 &&
                    status.reason != "ContainerCannotRun";
  if (!path.empty()) {
    for (const cri::Mount& mount : status.mounts) {
      if (mount.container_path != path) continue;
      std::string content;
      bool failed = false;
      if (!read_tail(mount.host_path.str(), kMaxTerminationMessage, &content, &failed)) break;
      if (failed) return "Error on reading termination log " + mount.host_path.str() + ": " + content;
      if (!content.empty()) return content;
      break;
    }
  }
  if (!check_logs || status.log_path.empty()) return {};
  std::string content;
  bool failed = false;
  // Each line carries a prefix of some 40 bytes; this much surely holds the lines wanted.
  if (!read_tail(status.log_path.str(), kMaxTerminationLog + kMaxTerminationLogLines * 64 + 16384, &content, &failed)) {
    return "Error on reading termination message from logs: failed to open log file \"" + status.log_path.str() + "\"";
  }
  if (failed) return "Error on reading termination message from logs: " + content;
  return tail_of_cri_log(content, kMaxTerminationLogLines, kMaxTerminationLog);
}

uint64_t parse_number(std::string_view text, int base) {
  if (text.empty() || text.size() > 20) return 0;
  return std::strtoull(std::string(text).c_str(), nullptr, base);
}

}  // namespace

const ContainerRecord* PodRecord::newest(std::string_view name) const {
  for (const ContainerRecord& container : containers)
    if (container.name == name) return &container;
  return nullptr;
}

ContainerRecord* PodRecord::by_id(std::string_view id) {
  for (ContainerRecord& container : containers)
    if (container.id == id) return &container;
  return nullptr;
}

SandboxRecord* PodRecord::sandbox_by_id(std::string_view id) {
  for (SandboxRecord& sandbox : sandboxes)
    if (sandbox.id == id) return &sandbox;
  return nullptr;
}

std::vector<std::string> PodRecord::ips() const {
  if (sandboxes.empty() || sandboxes.front().state != CriSandboxState::kReady) return {};
  return sandboxes.front().ips;
}

bool PodRecord::any_running() const {
  return std::any_of(containers.begin(), containers.end(), [](const ContainerRecord& c) { return c.running(); });
}

void PodRecord::sort() {
  std::stable_sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
  std::stable_sort(sandboxes.begin(), sandboxes.end(), [](const auto& a, const auto& b) { return a.created_at > b.created_at; });
}

ContainerRecord to_record(const cri::ContainerStatus& status) {
  ContainerRecord record;
  record.id = status.id.str();
  record.name = std::string(schema::get_or_empty(status.labels, kContainerNameLabel));
  if (record.name.empty() && status.metadata) record.name = status.metadata->name.str();
  if (status.image) record.image = status.image->image.str();
  record.image_id = status.image_ref.str();
  record.log_path = status.log_path.str();
  record.hash = parse_number(schema::get_or_empty(status.annotations, kHashAnnotation), 16);
  record.restart_count = static_cast<int>(parse_number(schema::get_or_empty(status.annotations, kRestartCountAnnotation), 10));
  record.state = static_cast<CriContainerState>(status.state);
  record.created_at = status.created_at;
  if (record.state != CriContainerState::kCreated) record.started_at = status.started_at;
  if (record.state == CriContainerState::kExited) {
    record.reason = status.reason.str();
    record.message = status.message.str();
    record.exit_code = status.exit_code;
    record.finished_at = status.finished_at;
    std::string message = termination_message(status);
    if (!message.empty()) {
      if (!record.message.empty()) record.message += ": ";
      record.message += message;
    }
  }
  return record;
}

SandboxRecord to_record(const cri::PodSandboxStatus& status) {
  SandboxRecord record;
  record.id = status.id.str();
  record.state = static_cast<CriSandboxState>(status.state);
  record.created_at = status.created_at;
  if (status.metadata) record.attempt = status.metadata->attempt;
  if (status.linux_ && status.linux_->namespaces && status.linux_->namespaces->options) {
    record.network = static_cast<CriNamespace>(status.linux_->namespaces->options->network);
  }
  if (status.network) {
    record.has_network = true;
    if (!status.network->ip.empty()) record.ips.push_back(status.network->ip.str());
    for (const cri::PodIP& ip : status.network->additional_ips)
      if (!ip.ip.empty()) record.ips.push_back(ip.ip.str());
  }
  return record;
}

std::string tail_of_cri_log(std::string_view content, size_t max_lines, size_t max_bytes) {
  // From the end: lines "TIME STREAM TAG TEXT"; a line tagged P goes on in the next one.
  std::vector<std::string_view> pieces;
  size_t lines = 0;
  while (!content.empty()) {
    if (content.back() == '\n') content.remove_suffix(1);
    size_t start = content.rfind('\n');
    std::string_view line = start == std::string_view::npos ? content : content.substr(start + 1);
    bool whole = start != std::string_view::npos;
    content = whole ? content.substr(0, start + 1) : std::string_view();
    size_t first = line.find(' ');
    size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    if (second == std::string_view::npos) continue;  // the cut first line, or no CRI line
    std::string_view rest = line.substr(second + 1);
    size_t third = rest.find(' ');
    bool partial = !rest.empty() && rest.front() == 'P';
    std::string_view text = third == std::string_view::npos ? std::string_view() : rest.substr(third + 1);
    if (!partial && ++lines > max_lines) break;
    if (!partial) pieces.push_back("\n");
    pieces.push_back(text);
  }
  std::string out;
  for (auto it = pieces.rbegin(); it != pieces.rend(); ++it) out.append(*it);
  if (out.size() > max_bytes) out.erase(0, out.size() - max_bytes);
  return out;
}

uint64_t hash_container(const core::Container& container) {
  std::string json = schema::to_json(container);
  uint32_t hash = 2166136261u;
  auto feed = [&hash](std::string_view text) {
    for (char c : text) {
      hash ^= static_cast<uint8_t>(c);
      hash *= 16777619u;
    }
  };
  feed("([]uint8)[");
  bool first = true;
  for (char c : json) {
    if (!first) feed(" ");
    first = false;
    feed(std::to_string(static_cast<uint8_t>(c)));
  }
  feed("]");
  return hash;
}

}  // namespace knarr::kubelet
