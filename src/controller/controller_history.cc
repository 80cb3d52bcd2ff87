// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_history.h"

#include "controller/util.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::controller {

std::string template_patch(const api::core_v1::PodTemplateSpec& pod_template) {
  auto parsed = json::parse(schema::to_json(pod_template));
  json::Value made = parsed.ok() ? std::move(*parsed) : json::Value::object();
  made["$patch"] = "replace";
  json::Value patch;
  patch["spec"]["template"] = std::move(made);
  std::string text;
  json::write(text, patch, true);
  return text;
}

bool has_data(const ControllerRevision& revision, std::string_view data) {
  if (revision.data.bytes == data) return true;
  auto ours = json::parse(revision.data.bytes), theirs = json::parse(data);
  return ours.ok() && theirs.ok() && *ours == *theirs;
}

std::string revision_hash(std::string_view data, const schema::Opt<int32_t>& collision_count) {
  uint32_t hash = 2166136261u;
  auto add = [&hash](std::string_view bytes) {
    for (char c : bytes) hash = (hash * 16777619u) ^ static_cast<uint8_t>(c);
  };
  add(data);
  if (collision_count) add(std::to_string(*collision_count));
  return safe_encode(std::to_string(hash));
}

std::string revision_name(std::string_view owner_name, std::string_view hash) {
  constexpr size_t kMaxPrefix = 223;
  return std::string(owner_name.substr(0, kMaxPrefix)) + "-" + std::string(hash);
}

bool older_revision(const RevisionPtr& a, const RevisionPtr& b) {
  if (a->revision != b->revision) return a->revision < b->revision;
  const auto& x = a->metadata;
  const auto& y = b->metadata;
  if (x.creation_timestamp != y.creation_timestamp) return x.creation_timestamp < y.creation_timestamp;
  return x.name < y.name;
}

int64_t max_revision(const RevisionList& list) {
  int64_t most = 0;
  for (const RevisionPtr& revision : list) most = std::max(most, revision->revision);
  return most;
}

Task<Result<RevisionPtr>> renumber(client::Client& client, RevisionPtr revision, int64_t number) {
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    if (revision->revision == number) co_return revision;
    ControllerRevision copy = *revision;
    copy.revision = number;
    auto updated = co_await client.update(std::move(copy));
    if (updated.ok()) co_return std::make_shared<const ControllerRevision>(std::move(*updated));
    if (!updated.status().is("Conflict") || attempt >= kAttempts) co_return updated.status();
    std::string ns = revision->metadata.namespace_.str(), name = revision->metadata.name.str();
    auto fresh = co_await client.get<ControllerRevision>(std::move(ns), std::move(name));
    if (!fresh.ok()) co_return fresh.status();
    revision = std::make_shared<const ControllerRevision>(std::move(*fresh));
  }
}

Task<Status> remove_revision(client::Client& client, RevisionPtr revision) {
  std::string ns = revision->metadata.namespace_.str(), name = revision->metadata.name.str();
  Status status = co_await client.remove<ControllerRevision>(std::move(ns), std::move(name));
  co_return status;
}

}  // namespace knarr::controller
