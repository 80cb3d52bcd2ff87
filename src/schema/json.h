// SPDX-License-Identifier: Apache-2.0
// A JSON document as a tree, for what has no table or works on documents: patches, custom
// resources, selectors, OpenAPI. Objects keep their order of insertion; numbers keep int64 apart
// from double, as Kubernetes' decoder does. Depth is bounded (2,000 levels fail), because all that
// walks a tree recurses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace knarr::json {

// Sixteen bytes: a tag and a number or one pointer. Asking a value for what it is not answers
// nothing ("", an empty list), and touching items() or members() of a value that is not a list or
// an object makes it an empty one.
class Value {
 public:
  enum class Type : uint8_t { kNull, kBool, kInt, kDouble, kString, kArray, kObject };
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Members = std::vector<Member>;

  Value() = default;
  Value(std::nullptr_t) {}                               // NOLINT: implicit by design
  Value(bool b) : type_(Type::kBool), bool_(b) {}        // NOLINT
  Value(int64_t i) : type_(Type::kInt), int_(i) {}       // NOLINT
  Value(int i) : type_(Type::kInt), int_(i) {}           // NOLINT
  Value(double d) : type_(Type::kDouble), double_(d) {}  // NOLINT
  Value(std::string s) : type_(Type::kString), string_(new std::string(std::move(s))) {}  // NOLINT
  Value(std::string_view s) : type_(Type::kString), string_(new std::string(s)) {}        // NOLINT
  Value(const char* s) : Value(std::string_view(s)) {}                                    // NOLINT
  Value(const Value& other) { copy_from(other); }
  Value(Value&& other) noexcept
      : type_(std::exchange(other.type_, Type::kNull)), int_(other.int_) {}
  Value& operator=(const Value& other) {
    if (this != &other) *this = Value(other);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    std::swap(type_, other.type_);
    std::swap(int_, other.int_);
    return *this;
  }
  ~Value() {
    if (type_ >= Type::kString) destroy();
  }
  static Value array() {
    Value value;
    value.items();
    return value;
  }
  static Value object() {
    Value value;
    value.members();
    return value;
  }

  Type type() const { return type_; }
  bool is_null() const { return type_ == Type::kNull; }
  bool is_bool() const { return type_ == Type::kBool; }
  bool is_int() const { return type_ == Type::kInt; }
  bool is_number() const { return type_ == Type::kInt || type_ == Type::kDouble; }
  bool is_string() const { return type_ == Type::kString; }
  bool is_array() const { return type_ == Type::kArray; }
  bool is_object() const { return type_ == Type::kObject; }

  bool as_bool() const { return type_ == Type::kBool && bool_; }
  // A double is cut towards zero and to the range of int64.
  int64_t as_int() const {
    return type_ == Type::kInt ? int_ : type_ == Type::kDouble ? cut(double_) : 0;
  }
  double as_double() const {
    return type_ == Type::kDouble ? double_ : static_cast<double>(as_int());
  }
  const std::string& as_string() const;  // "" unless a string

  Array& items();
  const Array& items() const;
  Members& members();
  const Members& members() const;

  // Objects. find: null when absent. operator[] makes the member (and turns null into an object).
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }
  Value& operator[](std::string_view key);
  bool erase(std::string_view key);
  // Nested lookup: at({"metadata", "name"}); a static null when absent.
  const Value& at(std::initializer_list<std::string_view> path) const;
  void push_back(Value value) { items().push_back(std::move(value)); }

  // Equal as JSON: member order does not matter, 1 equals 1.0.
  friend bool operator==(const Value& a, const Value& b);

 private:
  static int64_t cut(double number);
  void copy_from(const Value& other);
  void destroy();

  Type type_ = Type::kNull;
  union {
    bool bool_;
    int64_t int_ = 0;
    double double_;
    std::string* string_;
    Array* array_;
    Members* members_;
  };
};
static_assert(sizeof(Value) == 16);

// 400 BadRequest on malformed text. Duplicate keys: the last wins; they are added to *duplicates by
// path when given.
Result<Value> parse(std::string_view text, std::vector<std::string>* duplicates = nullptr);
void write(std::string& out, const Value& value, bool sort_keys = false);
inline std::string to_string(const Value& value) {
  std::string out;
  write(out, value);
  return out;
}
std::string to_pretty(const Value& value, int indent = 2);
// A quoted, escaped JSON string.
void write_string(std::string& out, std::string_view text);

}  // namespace knarr::json
