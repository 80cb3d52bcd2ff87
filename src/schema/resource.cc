// SPDX-License-Identifier: Apache-2.0
#include "schema/resource.h"

#include <absl/container/flat_hash_map.h>

#include <deque>
#include <tuple>

namespace knarr::schema {
namespace {

using PairKey = std::pair<std::string_view, std::string_view>;
using TripleKey = std::tuple<std::string_view, std::string_view, std::string_view>;

struct Index {
  absl::flat_hash_map<PairKey, const KindInfo*> kinds;
  absl::flat_hash_map<TripleKey, const Resource*> resources;
  absl::flat_hash_map<PairKey, const Resource*> by_kind;
  std::deque<KindInfo> options;

  Index() {
    for (const KindInfo& kind : builtin_kinds()) kinds.emplace(PairKey(kind.api_version, kind.kind), &kind);
    add_options();
    for (const Resource& resource : builtin_resources()) {
      resources.emplace(TripleKey(resource.group, resource.version, resource.plural), &resource);
      by_kind.emplace(PairKey(resource.api_version, resource.kind), &resource);
    }
  }

  // The options of requests are known under every group-version that has kinds.
  void add_options() {
    for (const KindInfo& kind : builtin_kinds()) {
      if (kind.api_version == "v1" || kinds.contains(PairKey(kind.api_version, "DeleteOptions"))) continue;
      for (std::string_view name : {"CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions"}) {
        auto core = kinds.find(PairKey("v1", name));
        if (core == kinds.end()) continue;
        const KindInfo& made = options.emplace_back(KindInfo{kind.group, kind.version, name, kind.api_version, core->second->type});
        kinds.emplace(PairKey(made.api_version, made.kind), &made);
      }
    }
  }
};

const Index& index() {
  static const Index built;
  return built;
}

}  // namespace

const KindInfo* find_kind(std::string_view api_version, std::string_view kind) {
  auto at = index().kinds.find(PairKey(api_version, kind));
  return at == index().kinds.end() ? nullptr : at->second;
}

const Resource* find_resource(std::string_view group, std::string_view version, std::string_view plural) {
  auto at = index().resources.find(TripleKey(group, version, plural));
  return at == index().resources.end() ? nullptr : at->second;
}

const Resource* find_resource_of_kind(std::string_view api_version, std::string_view kind) {
  auto at = index().by_kind.find(PairKey(api_version, kind));
  return at == index().by_kind.end() ? nullptr : at->second;
}

}  // namespace knarr::schema
