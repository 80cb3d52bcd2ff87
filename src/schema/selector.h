// SPDX-License-Identifier: Apache-2.0
// Label and field selectors: parsed once, then matched against many objects.
//
// Values are immutable after parsing and may be read by any thread. Parse errors are 400
// BadRequest, worded as upstream.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "schema/value.h"

namespace knarr::api::meta_v1 {
struct LabelSelector;
}

namespace knarr::schema {

class LabelSelector {
 public:
  enum class Op : uint8_t {
    kEquals,
    kDoubleEquals,
    kNotEquals,
    kIn,
    kNotIn,
    kExists,
    kDoesNotExist,
    kGreaterThan,
    kLessThan
  };
  struct Requirement {
    std::string key;
    Op op;
    std::vector<std::string> values;  // sorted, without duplicates
    bool matches(const Map<Str>& labels) const;
  };

  LabelSelector() = default;  // matches everything
  static LabelSelector nothing();
  // "a=b,c in (d,e),!f,g>3"; "" matches everything.
  static Result<LabelSelector> parse(std::string_view text);
  // Of an API object. A null pointer matches nothing, an empty one everything.
  static Result<LabelSelector> from(const api::meta_v1::LabelSelector* selector);
  // A plain label set (a Service's or ReplicationController's selector); empty matches everything.
  static LabelSelector from_set(const Map<Str>& labels);

  bool matches(const Map<Str>& labels) const;
  bool matches_everything() const { return !nothing_ && requirements_.empty(); }
  bool matches_nothing() const { return nothing_; }
  const std::vector<Requirement>& requirements() const { return requirements_; }
  void add(Requirement requirement);
  std::string to_string() const;  // canonical, parsable

 private:
  std::vector<Requirement> requirements_;  // sorted by key
  bool nothing_ = false;
};

class FieldSelector {
 public:
  struct Term {
    std::string field, value;
    bool equal = true;
  };

  FieldSelector() = default;  // matches everything
  // "metadata.name=x,spec.nodeName!=y"; backslash escapes \ , and = in values.
  static Result<FieldSelector> parse(std::string_view text);

  // `lookup(field)` answers the object's value of a field, "" when absent: std::string_view or
  // std::string.
  template <class Lookup>
  bool matches(Lookup&& lookup) const {
    for (const Term& term : terms_)
      if ((std::string_view(lookup(std::string_view(term.field))) == term.value) != term.equal)
        return false;
    return true;
  }
  bool matches_everything() const { return terms_.empty(); }
  const std::vector<Term>& terms() const { return terms_; }
  // The value that the field must have, when some term demands one; else null.
  const std::string* required_value(std::string_view field) const;
  std::string to_string() const;

 private:
  std::vector<Term> terms_;
};

// Checks of upstream's util/validation that selectors and others share; empty when the text is
// valid, else upstream's messages.
std::vector<std::string> check_qualified_name(std::string_view text);
std::vector<std::string> check_label_value(std::string_view text);

}  // namespace knarr::schema
