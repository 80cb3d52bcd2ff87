// SPDX-License-Identifier: Apache-2.0
// Values of the expression language.
//
// A Value is 24 bytes and owns nothing: texts, lists and maps are views into the object that is
// looked at (a JSON tree, or a typed object by its tables) or into the Arena of one evaluation.
// Errors are values too, as the language has it: `||` and
// `&&` may absorb them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "schema/json.h"
#include "schema/resource.h"

namespace knarr::cel {

struct Schema;
class Value;

// Memory of one evaluation: grows by blocks, is freed as a whole. reset() keeps the first block.
// One thread at a time.
class Arena {
 public:
  // Beyond `limit` bytes over_limit() holds, and the evaluation ends at its next step.
  explicit Arena(size_t limit = size_t{64} << 20) : limit_(limit) {}
  void* allocate(size_t size);
  std::string_view copy(std::string_view text);
  Value* values(size_t count);
  bool fits(size_t size) const { return size <= limit_ && used_ <= limit_ - size; }
  bool over_limit() const { return used_ > limit_; }
  void refuse() { used_ = limit_ + 1; }  // something was too large even to try
  void reset();
  // Keeps a thing that has a destructor until reset().
  void keep(std::shared_ptr<const void> thing) { kept_.push_back(std::move(thing)); }

 private:
  struct Block {
    std::unique_ptr<char[]> memory;
    size_t size;
  };
  size_t limit_, used_ = 0;
  char* next_ = nullptr;
  size_t left_ = 0;
  std::vector<Block> blocks_;
  std::vector<std::shared_ptr<const void>> kept_;
};

// A map whose members are made when they are asked for (the variables of an admission policy).
// Lives longer than the evaluation.
class LazyMap {
 public:
  virtual ~LazyMap() = default;
  virtual bool find(std::string_view key, Arena& arena, Value& out) = 0;
};

// Something with receiver functions but without fields: URL, Quantity, an authorizer's parts.
struct Opaque {
  const char* type_name;
};

struct MadeMap;
struct Concat;

class Value {
 public:
  enum class Kind : uint8_t {
    kUnset,
    kError,
    kNull,
    kBool,
    kInt,
    kUint,
    kDouble,
    kString,
    kBytes,
    kDuration,
    kTimestamp,
    kList,
    kMap,
    kType,
    kOptional,
    kOpaque,
    kPreserved,  // data that its schema says nothing of
  };
  // How a list or map is held.
  enum class Form : uint8_t { kMade, kConcat, kJson, kTyped, kTypedRoot, kTypedMap, kLazy };

  Value() = default;
  static Value null() { return Value(Kind::kNull); }
  static Value boolean(bool b) {
    Value v(Kind::kBool);
    v.bool_ = b;
    return v;
  }
  static Value integer(int64_t i) {
    Value v(Kind::kInt);
    v.int_ = i;
    return v;
  }
  static Value uinteger(uint64_t u) {
    Value v(Kind::kUint);
    v.uint_ = u;
    return v;
  }
  static Value number(double d) {
    Value v(Kind::kDouble);
    v.double_ = d;
    return v;
  }
  static Value string(std::string_view text) { return text_of(Kind::kString, text); }
  static Value bytes(std::string_view bytes) { return text_of(Kind::kBytes, bytes); }
  static Value duration(int64_t nanos) {
    Value v(Kind::kDuration);
    v.int_ = nanos;
    return v;
  }
  // The zone (minutes east of UTC) only shows when the timestamp is written as text.
  static Value timestamp(int64_t unix_seconds, uint32_t nanos, int zone_minutes = 0);
  static Value type(std::string_view name) {
    return text_of(Kind::kType, name);
  }  // a name that lives forever
  static Value error(std::string_view message) { return text_of(Kind::kError, message); }
  static Value error(Arena& arena, std::string_view message) { return error(arena.copy(message)); }
  static Value list(const Value* items, size_t size) {
    return made(Kind::kList, Form::kMade, items, size);
  }
  static Value concat(const Concat* node, const Schema* schema);
  // Keeps the meaning of a set or of a list by keys.
  static Value typed_list(const Value* items, size_t size, const Schema* schema);
  static Value map(const MadeMap* map);
  static Value lazy(LazyMap* map) { return made(Kind::kMap, Form::kLazy, map, 0); }
  static Value opaque(const Opaque* thing) { return made(Kind::kOpaque, Form::kMade, thing, 0); }
  // Null when `held` is.
  static Value optional(const Value* held) { return made(Kind::kOptional, Form::kMade, held, 0); }

  // A JSON tree as it stands (upstream: an unstructured object without a schema).
  static Value of(const json::Value& json);
  // A JSON tree by its schema: numbers, times and bytes become what the schema says; field names
  // are escaped; data that does not fit is an error value.
  static Value of(const json::Value& json, const Schema& schema, Arena& arena);
  // A typed object, as its JSON would look.
  static Value of(const schema::KindInfo& kind, const void* object);
  static Value of(const schema::Type& type, const void* object);

  Kind kind() const { return kind_; }
  Form form() const { return form_; }
  bool is_error() const { return kind_ == Kind::kError; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_true() const { return kind_ == Kind::kBool && bool_; }
  bool as_bool() const { return bool_; }
  int64_t as_int() const { return int_; }  // of a duration: nanoseconds; of a timestamp: seconds
  uint64_t as_uint() const { return uint_; }
  double as_double() const { return double_; }
  std::string_view text() const {
    return {static_cast<const char*>(pointer_), size_};
  }  // string, bytes, type, error
  uint32_t nanos() const { return size_; }
  int zone_minutes() const { return small_; }
  const Value* held() const { return static_cast<const Value*>(pointer_); }
  const Opaque* as_opaque() const { return static_cast<const Opaque*>(pointer_); }
  const json::Value* json() const {
    return form_ == Form::kJson ? static_cast<const json::Value*>(pointer_) : nullptr;
  }
  const Schema* json_schema() const {
    return form_ == Form::kJson ? static_cast<const Schema*>(extra_) : nullptr;
  }
  // The schema of a list that came from data, also after additions to a set or list by keys.
  const Schema* list_schema() const {
    return form_ <= Form::kJson ? static_cast<const Schema*>(extra_) : nullptr;
  }
  const void* pointer() const { return pointer_; }
  const void* extra() const { return extra_; }
  uint32_t made_size() const { return size_; }

  // The name that type() answers: "int", "google.protobuf.Timestamp", "map".
  std::string_view type_name() const;

 private:
  friend class TypedView;
  explicit Value(Kind kind) : kind_(kind) {}
  static Value text_of(Kind kind, std::string_view text);
  static Value made(Kind kind, Form form, const void* pointer, size_t size,
                    const void* extra = nullptr);

  Kind kind_ = Kind::kUnset;
  Form form_ = Form::kMade;
  int16_t small_ = 0;  // zone of a timestamp; schema::Kind of typed elements
  uint32_t size_ = 0;
  union {
    bool bool_;
    int64_t int_ = 0;
    uint64_t uint_;
    double double_;
    const void* pointer_;
  };
  const void* extra_ = nullptr;
};
static_assert(sizeof(Value) == 24);

// A map that the expression made: its entries in the order of making, keys distinct by type and
// value.
struct MadeMap {
  Value* entries = nullptr;  // key, value, key, value ...
  uint32_t size = 0;
  uint32_t* index = nullptr;  // of larger ones: a hash table of 1 + the number of an entry
  uint32_t slots = 0;         // a power of two

  // With room for so many entries.
  static MadeMap* make(size_t most, Arena& arena);
  // Replaces the value of a key that is there.
  void set(const Value& key, const Value& value);
  void erase(const Value& key);  // only of small maps and literals: keeps the order
  Value* find(const Value& key) const;

 private:
  uint32_t* slot(const Value& key) const;
};
// Two lists end to end, so that a chain of `+` costs what upstream's does.
struct Concat {
  Value left, right;
  uint32_t size;
};

// --- What all forms of lists and maps answer
// -----------------------------------------------------------------------------

size_t list_size(const Value& list);
Value list_at(const Value& list, size_t i, Arena& arena);  // i < size
size_t map_size(const Value& map);
// False when absent. A key of a type that the map cannot have: an error as `out`, and true, where
// upstream answers so.
bool map_find(const Value& map, const Value& key, Arena& arena, Value& out);
// The same for a field whose name's unescaped form is known.
bool map_find_field(const Value& map, const Value& key, std::string_view unescaped,
                    bool can_unescape, Arena& arena, Value& out);
Value map_keys(const Value& map, Arena& arena);  // a list

// --- The language's relations
// --------------------------------------------------------------------------------------------

Value no_such_overload();
// x == y of the language: true, false, or (for schema-typed data against something else) an error.
Value equals(const Value& a, const Value& b, Arena& arena);
// The receiver's own equality, which `in` and indexOf use: null is not told apart first.
Value receiver_equals(const Value& a, const Value& b, Arena& arena);
// -1, 0, 1 as an int, or an error. Only for types that have an order.
Value compare(const Value& a, const Value& b);
bool is_comparable(const Value& v);
// Additions to a set or to a list by keys: what is new goes behind the first `count` of `items`
// (which has room for all), what has the keys of an element of a list by keys takes its place. The
// new size.
size_t add_elements_by_identity(Value* items, size_t count, const Value& added,
                                const Schema& schema, Arena& arena);
// size() of strings (code points), bytes, lists and maps; 1 of anything else, for counting costs.
uint64_t cost_size(const Value& v);
size_t count_code_points(std::string_view text);
// As Go's %v shows it in messages.
std::string display(const Value& v, Arena& arena);
std::string format_double(double number);  // Go's %g

// int(x), string(x) and so on, by the name of the type that is wanted.
enum class Conversion : uint8_t {
  kInt,
  kUint,
  kDouble,
  kBool,
  kString,
  kBytes,
  kDuration,
  kTimestamp,
  kType
};
Value convert(const Value& v, Conversion to, Arena& arena);
bool double_to_int_exact(double d, int64_t& out);
bool double_to_uint_exact(double d, uint64_t& out);

inline constexpr int64_t kMinUnixSeconds = -62135596800, kMaxUnixSeconds = 253402300799;
// RFC 3339 with any fraction and offset; false unless it is one.
bool parse_timestamp(std::string_view text, Value& out);
std::string format_timestamp(const Value& timestamp);
// OpenAPI's "duration": Go's, or numbers with words ("3 days 2 hours").
bool parse_open_api_duration(std::string_view text, int64_t& nanos);

}  // namespace knarr::cel
