// SPDX-License-Identifier: Apache-2.0
// The objects of an informer by key, by namespace, and by the indexes that readers asked for. One executor; visits must not change it.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/informer.h"

namespace knarr::client {

class IndexedCache {
 public:
  void add_index(std::string name, InformerCore::IndexFunction function);  // indexes what is there, too
  void put(const std::string& key, SharedObject object);
  SharedObject erase(const std::string& key);  // what was there, or null
  SharedObject get(std::string_view key) const;
  size_t size() const { return entries_.size(); }
  void for_each(const std::function<void(const std::string& key, const SharedObject&)>& visit) const;
  void for_each_in(std::string_view ns, const std::function<void(const SharedObject&)>& visit) const;
  void for_each_indexed(std::string_view index, std::string_view value,
                        const std::function<void(const SharedObject&)>& visit) const;

 private:
  struct Entry {
    std::string key;
    SharedObject object;
  };
  using Bucket = absl::flat_hash_set<const Entry*>;
  struct Index {
    std::string name;
    InformerCore::IndexFunction function;
    absl::flat_hash_map<std::string, Bucket> buckets;
  };
  void insert(Index& index, const Entry* entry);
  void remove(Index& index, const Entry* entry);
  void visit_bucket(const Index& index, std::string_view value, const std::function<void(const SharedObject&)>& visit) const;

  absl::flat_hash_map<std::string, std::unique_ptr<Entry>> entries_;
  // The first one is by namespace.
  std::vector<Index> indexes_ = {Index{"", by_namespace, {}}};
  static void by_namespace(const schema::Object& object, std::vector<std::string>& values);
};

}  // namespace knarr::client
