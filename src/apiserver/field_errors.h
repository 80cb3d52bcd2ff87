// SPDX-License-Identifier: Apache-2.0
// What validation found wrong, field by field, in upstream's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace knarr::apiserver {

// A field's path: Path("spec").child("containers").index(0).child("name") is spec.containers[0].name; key("a") gives spec.x[a].
// Cheap to make, since most paths are never printed: names given to child() must outlive the path (they are literals, or names of tables).
class Path {
 public:
  explicit Path(std::string_view root = {}) : base_(root) {}
  Path child(std::string_view name) const { return with({name.data(), static_cast<uint32_t>(name.size()), kName}); }
  Path index(size_t i) const { return with({nullptr, static_cast<uint32_t>(i), kIndex}); }
  Path key(std::string_view key) const { return Path(text() + "[" + std::string(key) + "]"); }
  std::string text() const;

 private:
  enum StepKind : uint32_t { kName, kIndex };
  struct Step {
    const char* name;
    uint32_t number;  // the name's length, or the index
    StepKind kind;
  };
  static constexpr size_t kMaxSteps = 12;  // more are folded into base_
  Path with(Step step) const;
  std::string base_;
  Step steps_[kMaxSteps];  // the first count_ are set
  uint32_t count_ = 0;
};

class FieldErrors {
 public:
  // `value` is the bad value as upstream prints it (strings quoted by quoted(), numbers plain, structs as JSON).
  void required(const Path& path, std::string_view detail = {});                       // Required value
  void invalid(const Path& path, std::string_view value, std::string_view detail);     // Invalid value: VALUE: detail; without a value: detail alone
  void not_supported(const Path& path, std::string_view value, const std::vector<std::string_view>& valid);
  void duplicate(const Path& path, std::string_view value);
  void forbidden(const Path& path, std::string_view detail);
  void too_long(const Path& path, std::string_view value, int max_length);
  void too_many(const Path& path, int actual, int max);
  void not_found(const Path& path, std::string_view value);
  bool empty() const { return causes_.empty(); }
  const std::vector<Cause>& causes() const { return causes_; }  // `message` without the field, as in Status.details.causes

 private:
  std::vector<Cause> causes_;
};

std::string quoted(std::string_view text);  // Go's %q

// 422 Invalid: `Pod "x" is invalid: [a: Required value, ...]`, with all causes.
Status invalid_status(std::string_view group, std::string_view kind, std::string_view name, const FieldErrors& errors);

}  // namespace knarr::apiserver
