// SPDX-License-Identifier: Apache-2.0
#include "client/indexed_cache.h"

#include <absl/strings/string_view.h>

#include "client/metadata.h"

namespace knarr::client {
namespace {

// Debian's abseil has a string_view of its own.
absl::string_view lookup(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void IndexedCache::by_namespace(const schema::Object& object, std::vector<std::string>& values) {
  if (const auto* metadata = metadata_of(object)) values.push_back(metadata->namespace_.str());
}

void IndexedCache::add_index(std::string name, InformerCore::IndexFunction function) {
  for (const Index& index : indexes_)
    if (index.name == name) return;  // two readers of a shared informer want the same
  indexes_.push_back(Index{std::move(name), std::move(function), {}});
  for (auto& [key, entry] : entries_) insert(indexes_.back(), entry.get());
}

void IndexedCache::insert(Index& index, const Entry* entry) {
  std::vector<std::string> values;
  index.function(*entry->object, values);
  for (std::string& value : values) index.buckets[std::move(value)].insert(entry);
}

void IndexedCache::remove(Index& index, const Entry* entry) {
  std::vector<std::string> values;
  index.function(*entry->object, values);
  for (const std::string& value : values) {
    auto at = index.buckets.find(value);
    if (at == index.buckets.end()) continue;
    at->second.erase(entry);
    if (at->second.empty()) index.buckets.erase(at);
  }
}

void IndexedCache::put(const std::string& key, SharedObject object) {
  auto [at, fresh] = entries_.try_emplace(key);
  if (fresh) {
    at->second = std::make_unique<Entry>(Entry{key, nullptr});
  } else {
    for (Index& index : indexes_) remove(index, at->second.get());
  }
  at->second->object = std::move(object);
  for (Index& index : indexes_) insert(index, at->second.get());
}

SharedObject IndexedCache::erase(const std::string& key) {
  auto at = entries_.find(key);
  if (at == entries_.end()) return nullptr;
  for (Index& index : indexes_) remove(index, at->second.get());
  SharedObject object = std::move(at->second->object);
  entries_.erase(at);
  return object;
}

SharedObject IndexedCache::get(std::string_view key) const {
  auto at = entries_.find(lookup(key));
  return at == entries_.end() ? nullptr : at->second->object;
}

void IndexedCache::for_each(const std::function<void(const std::string& key, const SharedObject&)>& visit) const {
  for (const auto& [key, entry] : entries_) visit(key, entry->object);
}

void IndexedCache::visit_bucket(const Index& index, std::string_view value,
                                const std::function<void(const SharedObject&)>& visit) const {
  auto at = index.buckets.find(lookup(value));
  if (at == index.buckets.end()) return;
  for (const Entry* entry : at->second) visit(entry->object);
}

void IndexedCache::for_each_in(std::string_view ns, const std::function<void(const SharedObject&)>& visit) const {
  visit_bucket(indexes_.front(), ns, visit);
}

void IndexedCache::for_each_indexed(std::string_view name, std::string_view value,
                                    const std::function<void(const SharedObject&)>& visit) const {
  for (const Index& index : indexes_)
    if (index.name == name) return visit_bucket(index, value, visit);
}

}  // namespace knarr::client
