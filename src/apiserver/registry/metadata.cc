// SPDX-License-Identifier: Apache-2.0
#include "apiserver/registry/metadata.h"

#include <sys/random.h>

#include <cstdio>
#include <cstring>

#include "apiserver/errors.h"
#include "apiserver/registry/registry.h"
#include "schema/json.h"
#include "schema/selector.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

using api::meta_v1::ObjectMeta;
using api::meta_v1::OwnerReference;

constexpr size_t kMaxAnnotationBytes = 256 * 1024;
constexpr std::string_view kLabelChars = "must start and end with an alphanumeric character";
constexpr std::string_view kImmutable = "field is immutable";
constexpr std::string_view kOrphan = "orphan", kForeground = "foregroundDeletion";

bool lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_dns_label(std::string_view text) {
  if (text.empty() || !lower_alnum(text.front()) || !lower_alnum(text.back())) return false;
  for (char c : text)
    if (!lower_alnum(c) && c != '-') return false;
  return true;
}

bool is_dns_subdomain(std::string_view text) {
  while (true) {
    size_t dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// A generated name gets a tail: a trailing dash is as good as what will follow.
std::string masked(std::string_view name, bool prefix) {
  std::string text(name);
  if (prefix && text.size() > 1 && text.back() == '-') text.back() = 'a';
  return text;
}

void check_name(const Path& path, std::string_view name, bool prefix, NameProblems name_problems, FieldErrors& errors) {
  std::vector<std::string> problems = name_problems(name, prefix);
  if (problems.empty()) problems = path_segment_problems(name, prefix);
  for (const std::string& problem : problems) errors.invalid(path, quoted(name), problem);
}

void check_labels(const schema::Map<schema::Str>& labels, const Path& path, FieldErrors& errors) {
  for (const auto& label : labels) {
    for (const std::string& problem : schema::check_qualified_name(label.key)) errors.invalid(path, quoted(label.key), problem);
    for (const std::string& problem : schema::check_label_value(label.value)) errors.invalid(path, quoted(label.value), problem);
  }
}

void check_annotations(const schema::Map<schema::Str>& annotations, const Path& path, FieldErrors& errors) {
  size_t total = 0;
  for (const auto& annotation : annotations) {
    total += annotation.key.size() + annotation.value.size();
    std::string lower = annotation.key.str();
    for (char& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    for (const std::string& problem : schema::check_qualified_name(lower)) errors.invalid(path, quoted(annotation.key), problem);
  }
  if (total > kMaxAnnotationBytes) errors.too_long(path, "", kMaxAnnotationBytes);
}

void check_owner(const OwnerReference& owner, const Path& path, FieldErrors& errors) {
  std::string_view version = owner.api_version;
  size_t slash = version.find('/');
  if (slash != std::string_view::npos) version = version.substr(slash + 1);
  if (version.empty()) errors.invalid(path.child("apiVersion"), quoted(owner.api_version), "version must not be empty");
  if (owner.kind.empty()) errors.invalid(path.child("kind"), quoted(owner.kind), "kind must not be empty");
  if (owner.name.empty()) errors.invalid(path.child("name"), quoted(owner.name), "name must not be empty");
  if (owner.uid.empty()) errors.invalid(path.child("uid"), quoted(owner.uid), "uid must not be empty");
  if (owner.api_version == "v1" && owner.kind == "Event")
    errors.invalid(path, schema::to_json(owner), "/v1, Kind=Event is disallowed from being an owner");
}

void check_owners(const ObjectMeta& meta, const Path& path, FieldErrors& errors) {
  std::string controller;
  for (const OwnerReference& owner : meta.owner_references) {
    check_owner(owner, path, errors);
    if (!owner.controller.value_or(false)) continue;
    std::string name = owner.kind.str() + "/" + owner.name.str();
    if (controller.empty()) {
      controller = std::move(name);
      continue;
    }
    std::string value = "[";
    for (const OwnerReference& each : meta.owner_references) value += (value.size() > 1 ? "," : "") + schema::to_json(each);
    errors.invalid(path, value + "]",
                   "Only one reference can have Controller set to true. Found \"true\" in references for " + controller + " and " + name);
  }
}

bool has(const schema::List<schema::Str>& list, std::string_view value) {
  for (const schema::Str& each : list)
    if (each == value) return true;
  return false;
}

std::string json_list(const schema::List<schema::Str>& list) {
  json::Value value = json::Value::array();
  for (const schema::Str& each : list) value.push_back(each.view());
  return json::to_string(value);
}

void check_finalizers(const ObjectMeta& meta, const Path& path, FieldErrors& errors) {
  for (const schema::Str& finalizer : meta.finalizers)
    for (const std::string& problem : schema::check_qualified_name(finalizer)) errors.invalid(path, quoted(finalizer), problem);
  if (has(meta.finalizers, kOrphan) && has(meta.finalizers, kForeground))
    errors.invalid(path, json_list(meta.finalizers), "finalizer orphan and foregroundDeletion cannot be both set");
}

void check_common(const ObjectMeta& meta, const Path& path, FieldErrors& errors) {
  check_labels(meta.labels, path.child("labels"), errors);
  check_annotations(meta.annotations, path.child("annotations"), errors);
  check_owners(meta, path.child("ownerReferences"), errors);
}

// The kernel's randomness, taken in small batches: one system call serves many names.
void random_bytes(void* out, size_t size) {
  constexpr size_t kBatch = 256;  // never short, by contract
  thread_local uint8_t pool[kBatch];
  thread_local size_t left = 0;
  KNARR_CHECK(size <= kBatch);
  if (left < size) {
    KNARR_CHECK(getrandom(pool, kBatch, 0) == static_cast<ssize_t>(kBatch));
    left = kBatch;
  }
  left -= size;
  std::memcpy(out, pool + left, size);
}

std::string time_value(const schema::Opt<schema::Time>& time) {
  return time.has_value() ? quoted(schema::format_time(*time)) : "null";
}

}  // namespace

ObjectMeta& metadata_of(const schema::Type& type, void* object) {
  const schema::Field* field = schema::find_field(type, "metadata");
  KNARR_CHECK(field != nullptr);
  return *static_cast<ObjectMeta*>(schema::field_at(object, *field));
}

const ObjectMeta& metadata_of(const schema::Type& type, const void* object) { return metadata_of(type, const_cast<void*>(object)); }

std::vector<std::string> dns_subdomain_problems(std::string_view name, bool prefix) {
  std::vector<std::string> problems;
  if (name.size() > 253) problems.push_back("must be no more than 253 characters");
  if (!is_dns_subdomain(masked(name, prefix)))
    problems.push_back("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and " + std::string(kLabelChars) +
                       " (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')");
  return problems;
}

std::vector<std::string> dns_label_problems(std::string_view name, bool prefix) {
  std::vector<std::string> problems;
  if (name.size() > 63) problems.push_back("must be no more than 63 characters");
  std::string text = masked(name, prefix);
  if (!is_dns_label(text)) {
    // Upstream has a shorter text for what would be a subdomain.
    problems.push_back(is_dns_subdomain(text) ? "must not contain dots"
                                              : "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " +
                                                    std::string(kLabelChars) +
                                                    " (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')");
  }
  return problems;
}

std::vector<std::string> path_segment_problems(std::string_view name, bool prefix) {
  if (!prefix && name == ".") return {"may not be '.'"};
  if (!prefix && name == "..") return {"may not be '..'"};
  std::vector<std::string> problems;
  for (char c : {'/', '%'})
    if (name.find(c) != std::string_view::npos) problems.push_back(std::string("may not contain '") + c + "'");
  return problems;
}

void validate_metadata(const ObjectMeta& meta, bool namespaced, NameProblems name_problems, FieldErrors& errors) {
  Path path("metadata");
  if (!meta.generate_name.empty()) check_name(path.child("generateName"), meta.generate_name, true, name_problems, errors);
  if (meta.name.empty()) {
    errors.required(path.child("name"), "name or generateName is required");
  } else {
    check_name(path.child("name"), meta.name, false, name_problems, errors);
  }
  if (namespaced) {
    if (meta.namespace_.empty()) {
      errors.required(path.child("namespace"));
    } else {
      for (const std::string& problem : dns_label_problems(meta.namespace_, false)) errors.invalid(path.child("namespace"), quoted(meta.namespace_), problem);
    }
  } else if (!meta.namespace_.empty()) {
    errors.forbidden(path.child("namespace"), "not allowed on this type");
  }
  if (meta.generation < 0) errors.invalid(path.child("generation"), std::to_string(meta.generation), "must be greater than or equal to 0");
  check_common(meta, path, errors);
  check_finalizers(meta, path.child("finalizers"), errors);
}

void validate_metadata_update(const ObjectMeta& meta, const ObjectMeta& old, FieldErrors& errors) {
  Path path("metadata");
  if (old.deletion_timestamp.has_value()) {
    std::string added;
    for (const schema::Str& finalizer : meta.finalizers)
      if (!has(old.finalizers, finalizer)) added += (added.empty() ? "" : ", ") + quoted(finalizer);
    if (!added.empty())
      errors.forbidden(path.child("finalizers"),
                       "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + added + "}");
  }
  if (meta.resource_version.empty()) errors.invalid(path.child("resourceVersion"), "\"\"", "must be specified for an update");
  if (meta.generation < old.generation) errors.invalid(path.child("generation"), std::to_string(meta.generation), "must not be decremented");
  if (meta.name != old.name) errors.invalid(path.child("name"), quoted(meta.name), kImmutable);
  if (meta.namespace_ != old.namespace_) errors.invalid(path.child("namespace"), quoted(meta.namespace_), kImmutable);
  if (meta.uid != old.uid) errors.invalid(path.child("uid"), quoted(meta.uid), kImmutable);
  if (meta.creation_timestamp != old.creation_timestamp)
    errors.invalid(path.child("creationTimestamp"), quoted(schema::format_time(meta.creation_timestamp)), kImmutable);
  if (!(meta.deletion_timestamp == old.deletion_timestamp))
    errors.invalid(path.child("deletionTimestamp"), time_value(meta.deletion_timestamp), kImmutable);
  if (!(meta.deletion_grace_period_seconds == old.deletion_grace_period_seconds))
    errors.invalid(path.child("deletionGracePeriodSeconds"),
                   meta.deletion_grace_period_seconds ? std::to_string(*meta.deletion_grace_period_seconds) : "null", kImmutable);
  check_common(meta, path, errors);
}

std::string generate_name(std::string_view base) {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  constexpr size_t kTail = 5, kMaxBase = 63 - kTail;
  std::string name(base.substr(0, kMaxBase));
  while (name.size() < base.substr(0, kMaxBase).size() + kTail) {
    uint8_t byte = 0;
    random_bytes(&byte, 1);
    if (byte < 256 / kAlphabet.size() * kAlphabet.size()) name += kAlphabet[byte % kAlphabet.size()];
  }
  return name;
}

std::string new_uid() {
  uint8_t b[16];
  random_bytes(b, sizeof b);
  b[6] = static_cast<uint8_t>((b[6] & 0x0F) | 0x40);
  b[8] = static_cast<uint8_t>((b[8] & 0x3F) | 0x80);
  char text[37];
  std::snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5], b[6],
                b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
  return text;
}

Status settle_namespace(ObjectMeta& meta, std::string_view ns) {
  if (meta.namespace_ == ns) return {};
  if (!meta.namespace_.empty() && !ns.empty())
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  meta.namespace_ = ns;
  return {};
}

void dedup_owner_references(ObjectMeta& meta, std::vector<std::string>& warnings, bool after_admission) {
  auto& owners = meta.owner_references;
  std::string duplicates;
  for (size_t i = 0; i < owners.size();) {
    bool seen = false;
    for (size_t j = 0; j < i && !seen; ++j) seen = owners[i] == owners[j];
    if (!seen) {
      ++i;
      continue;
    }
    duplicates += (duplicates.empty() ? "" : ", ") + owners[i].uid.str();
    owners.erase_at(i);
  }
  if (duplicates.empty()) return;
  warnings.push_back(std::string(".metadata.ownerReferences contains duplicate entries") + (after_admission ? " after mutating admission happens" : "") +
                     "; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; "
                     "duplicate UID(s) observed: " + duplicates);
}

}  // namespace knarr::apiserver
