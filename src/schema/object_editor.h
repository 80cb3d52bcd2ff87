// SPDX-License-Identifier: Apache-2.0
// Many changes to one JSON object in linear time: an index of its members while it is edited. Wide
// objects (a ConfigMap of 100,000 keys) meet wide patches.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <string>
#include <vector>

#include "schema/json.h"

namespace knarr::schema {

// Lives as long as the edit; the object must not be changed otherwise meanwhile. Deletions happen
// when it dies.
class ObjectEditor {
 public:
  explicit ObjectEditor(json::Value& object)
      : members_(object.members()), removed_(members_.size()) {
    if (members_.size() <= kScanLimit) return;
    for (size_t i = 0; i < members_.size(); ++i) index_.emplace(members_[i].first, i);
  }
  ~ObjectEditor() {
    if (!any_removed_) return;
    size_t at = 0;
    std::erase_if(members_,
                  [&](const json::Value::Member&) { return static_cast<bool>(removed_[at++]); });
  }
  ObjectEditor(const ObjectEditor&) = delete;
  ObjectEditor& operator=(const ObjectEditor&) = delete;

  json::Value* find(const std::string& key) {
    size_t at = position(key);
    return at == kNone || removed_[at] ? nullptr : &members_[at].second;
  }
  void set(const std::string& key, json::Value value) {
    size_t at = position(key);
    if (at != kNone) {
      members_[at].second = std::move(value);
      removed_[at] = false;
      return;
    }
    if (!index_.empty()) index_.emplace(key, members_.size());
    members_.emplace_back(key, std::move(value));
    removed_.push_back(false);
    if (index_.empty() && members_.size() > kScanLimit)
      for (size_t i = 0; i < members_.size(); ++i) index_.emplace(members_[i].first, i);
  }
  void erase(const std::string& key) {
    size_t at = position(key);
    if (at == kNone) return;
    removed_[at] = true;
    any_removed_ = true;
  }

 private:
  static constexpr size_t kScanLimit = 32;
  static constexpr size_t kNone = ~size_t{0};

  size_t position(const std::string& key) const {
    if (!index_.empty()) {
      auto found = index_.find(key);
      return found == index_.end() ? kNone : found->second;
    }
    for (size_t i = 0; i < members_.size(); ++i)
      if (members_[i].first == key) return i;
    return kNone;
  }

  json::Value::Members& members_;
  std::vector<bool> removed_;
  bool any_removed_ = false;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace knarr::schema
