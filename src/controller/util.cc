// SPDX-License-Identifier: Apache-2.0
#include "controller/util.h"

#include <set>

#include "schema/json.h"

namespace knarr::controller {

std::pair<std::string, std::string> split_key(std::string_view key) {
  size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

const api::meta_v1::OwnerReference* controller_of(const api::meta_v1::ObjectMeta& metadata) {
  for (const auto& owner : metadata.owner_references)
    if (owner.controller.value_or(false)) return &owner;
  return nullptr;
}

bool is_namespace_terminating(const Status& status) {
  if (status.info() == nullptr) return false;
  for (const Cause& cause : status.info()->causes)
    if (cause.type == "NamespaceTerminating") return true;
  return false;
}

Task<BatchResult> slow_start(int count, Job job) {
  BatchResult result;
  int remaining = count;
  for (int batch = std::min(remaining, 1); batch > 0; batch = std::min(2 * batch, remaining)) {
    std::vector<Job> jobs(static_cast<size_t>(batch), job);
    std::vector<Status> statuses = co_await run_together(std::move(jobs));
    for (Status& status : statuses) {
      if (status.ok()) {
        ++result.successes;
      } else if (result.first_error.ok()) {
        result.first_error = std::move(status);
      }
    }
    if (!result.first_error.ok()) break;
    remaining -= batch;
  }
  co_return result;
}

Status aggregate(const std::vector<Status>& failures) {
  std::vector<std::string> messages;
  std::set<std::string> seen;
  const Status* first = nullptr;
  for (const Status& status : failures) {
    if (status.ok()) continue;
    if (first == nullptr) first = &status;
    if (seen.insert(std::string(status.message())).second) messages.emplace_back(status.message());
  }
  if (first == nullptr) return {};
  if (messages.size() == 1) return *first;
  std::string text = "[";
  for (size_t i = 0; i < messages.size(); ++i) text += (i == 0 ? "" : ", ") + messages[i];
  return Status::make(first->code(), first->reason(), text + "]");
}

uint32_t fnv32a(std::string_view bytes, uint32_t hash) {
  for (char c : bytes) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 16777619u;
  }
  return hash;
}

std::string safe_encode(std::string_view text) {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (char c : text) out += kAlphabet[static_cast<uint8_t>(c) % kAlphabet.size()];
  return out;
}

std::string quote(std::string_view text) {
  std::string out;
  json::write_string(out, text);
  return out;
}

}  // namespace knarr::controller
