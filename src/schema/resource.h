// SPDX-License-Identifier: Apache-2.0
// What the API server, the client and discovery know of a kind and of a resource. Built-in ones are generated constants; a custom
// resource's live as long as its registration.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "schema/type.h"

namespace knarr::schema {

// One apiVersion and kind, with the type that decodes it. Lists have theirs too.
struct KindInfo {
  std::string_view group, version, kind;
  std::string_view api_version;  // "v1", "apps/v1"
  const Type* type = nullptr;
};

enum Verb : uint16_t {
  kCreate = 1, kDelete = 2, kDeleteCollection = 4, kGet = 8, kList = 16, kPatch = 32, kUpdate = 64, kWatch = 128,
};

struct Subresource {
  std::string_view name;
  uint16_t verbs = 0;
  const KindInfo* kind = nullptr;  // null: the parent's
};

struct Column {
  std::string_view name, type, format, description;
  int32_t priority = 0;        // above 0: wide only
  std::string_view path;       // JSONPath-like, or @name of a function of the table printer
};

struct Resource {
  std::string_view group, version;     // group "" is core
  std::string_view api_version;        // "v1", "apps/v1"
  std::string_view plural, singular, kind, list_kind;
  bool namespaced = false;
  bool served = false;                 // by default
  uint16_t verbs = 0;
  std::string_view storage;            // path element under /registry/
  std::string_view storage_hash;
  std::span<const std::string_view> short_names, categories, selectors;
  std::span<const Subresource> subresources;
  std::span<const Column> columns;
  const Type* type = nullptr;
  const Type* list_type = nullptr;
};

std::span<const KindInfo> builtin_kinds();
std::span<const Resource> builtin_resources();
// Null when unknown. api_version is "v1" or "group/version".
const KindInfo* find_kind(std::string_view api_version, std::string_view kind);
const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural);
const Resource* find_resource_of_kind(std::string_view api_version, std::string_view kind);

}  // namespace knarr::schema
