// SPDX-License-Identifier: Apache-2.0
// The tables that describe API types, and the operations that need nothing but them.
//
// A Type is a list of 12-byte field records that say where each field lies in the struct, what it is, and how the encodings
// name it. Built-in types have C++ structs (build/gen/api/*.h) and constant tables, both written by tools/schema-gen.py;
// a custom resource gets a TypeSet made at run time, whose objects have no C++ struct but the same layout rules. Every codec,
// patch and comparison is one interpreter over these tables. Tables are immutable; any thread may read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "schema/value.h"

namespace knarr::schema {

enum class Kind : uint8_t {
  kBool,          // bool
  kInt32,         // int32_t
  kInt64,         // int64_t
  kUint32,        // uint32_t
  kUint64,        // uint64_t
  kFloat,         // float
  kDouble,        // double
  kString,        // Str
  kBytes,         // Str (base64 in JSON)
  kTime,          // Time
  kMicroTime,     // MicroTime
  kDuration,      // DurationValue
  kQuantity,      // Quantity
  kIntOrString,   // IntOrString
  kRawExtension,  // Raw
  kFieldsV1,      // Raw
  kJson,          // Raw
  kStringList,    // List<Str>, as the value of a map only
  kStruct,        // a struct with a Type
};

// How values of the kind are held.
enum class Shape : uint8_t {
  kPlain,     // T
  kOptional,  // Opt<T> for scalars, Box<T> for structs
  kList,      // List<T>
  kMap,       // Map<T>
};

enum FieldFlag : uint8_t {
  kOmitEmpty = 1,  // JSON leaves it out when empty
  kInline = 2,     // its fields belong to the parent's JSON object
  kWrapped = 4,    // protobuf nests the list in a message { items = 1 }
  kRequired = 8,   // by OpenAPI
};

struct Field {
  uint32_t name;    // TypeSet::text
  uint16_t type;    // index into TypeSet::types, for kStruct
  uint16_t offset;  // bytes from the start of the struct
  uint8_t tag;      // protobuf field number, 0 = not in protobuf
  Kind kind;
  Shape shape;
  uint8_t flags;
};
static_assert(sizeof(Field) == 12);

// What only some interpreters need; parallel to the fields. Offsets into TypeSet::text, 0 = none.
struct FieldMeta {
  uint32_t default_json;
  uint32_t merge_key;     // patchMergeKey
  uint32_t list_keys;     // list=map:..., comma separated
  uint32_t enum_values;   // comma separated
  uint32_t description;
  enum ListType : uint8_t { kNone, kAtomic, kSet, kMap } list_type;  // x-kubernetes-list-type (or map-type/struct atomic: kAtomic)
  // Without any: objects merge, lists are replaced. kReplaceWhole: objects are replaced too.
  enum PatchStrategy : uint8_t { kReplace = 0, kMerge = 1, kRetainKeys = 2, kReplaceWhole = 4 };
  uint8_t patch_strategy;  // bits of PatchStrategy
};

struct TypeSet;

enum TypeFlag : uint16_t {
  kHasTypeMeta = 1,    // a kind: apiVersion and kind appear in JSON, before the fields
  kProto3 = 2,         // zero scalars are not written
  kAtomicStruct = 4,
  kOrBool = 8,         // JSONSchemaPropsOrBool
  kOrArray = 16,       // JSONSchemaPropsOrArray
  kOrStringArray = 32, // JSONSchemaPropsOrStringArray
  kPreserveUnknown = 64,  // run-time types: fields not in the table are kept in an extra field (the last one, kJson, named "")
};

struct Type {
  const TypeSet* set;
  uint32_t name;         // "Pod"
  uint32_t openapi_name; // "io.k8s.api.core.v1.Pod"
  uint32_t first_field;
  uint16_t field_count;
  uint16_t size;         // of the struct
  uint16_t flags;
  uint16_t index;        // in the set
  uint32_t tag_order;    // TypeSet::tag_orders: field indexes in the order of their protobuf numbers
  uint32_t description;

  inline std::span<const Field> fields() const;
  inline std::string_view type_name() const;
};

struct TypeSet {
  const char* strings;       // records of a 16-bit little-endian length and the characters
  const Type* types;
  const Field* fields;
  const FieldMeta* metas;
  const uint8_t* tag_orders;
  uint32_t type_count;

  std::string_view text(uint32_t offset) const {
    if (offset == 0) return {};
    const char* p = strings + offset;
    auto size = static_cast<uint8_t>(p[0]) | static_cast<uint8_t>(p[1]) << 8;
    return {p + 2, static_cast<size_t>(size)};
  }
  const FieldMeta& meta(const Field& field) const { return metas[&field - fields]; }
};

inline std::span<const Field> Type::fields() const {
  return {set->fields + first_field, field_count};
}
inline std::string_view Type::type_name() const { return set->text(name); }
inline std::string_view field_name(const Type& type, const Field& field) {
  return type.set->text(field.name);
}
inline const Type& field_type(const Type& type, const Field& field) {
  return type.set->types[field.type];
}

// The built-in types. kBuiltin is defined by the generated tables.
extern const TypeSet kBuiltin;

// Size of one value of a kind, as it lies in lists, maps and plain fields.
size_t kind_size(Kind kind, const Type* type);

// Type-erased life of objects; `object` points at type.size bytes.
void destroy(const Type& type, void* object);                         // leaves zero bytes
void copy(const Type& type, void* to, const void* from);              // `to` holds zero bytes
bool equal(const Type& type, const void* a, const void* b);           // nil and empty lists are equal (semantic deep equal)
bool is_zero(const Type& type, const void* object);                   // every field is its zero value
const void* zero_object();                                            // the zero value of any type
// The same for one value of a kind.
void destroy_value(Kind kind, const Type* type, void* value);
void copy_value(Kind kind, const Type* type, void* to, const void* from);
bool equal_value(Kind kind, const Type* type, const void* a, const void* b);

// An owned object of a type known at run time.
class Object {
 public:
  Object() = default;
  explicit Object(const Type& type);
  Object(const Type& type, const void* copied);
  Object(const Object& other);
  Object(Object&& other) noexcept
      : type_(std::exchange(other.type_, nullptr)), data_(std::exchange(other.data_, nullptr)) {}
  Object& operator=(Object other) noexcept {
    std::swap(type_, other.type_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Object();
  explicit operator bool() const { return data_ != nullptr; }
  const Type& type() const { return *type_; }
  void* data() { return data_; }
  const void* data() const { return data_; }
  // The C++ struct, when T::table() is this object's type; else null.
  template <class T>
  T* as() {
    return type_ == &T::table() ? static_cast<T*>(data_) : nullptr;
  }
  template <class T>
  const T* as() const {
    return type_ == &T::table() ? static_cast<const T*>(data_) : nullptr;
  }
  template <class T>
  static Object of(T value) {
    Object object(T::table());
    *static_cast<T*>(object.data_) = std::move(value);
    return object;
  }

 private:
  const Type* type_ = nullptr;
  void* data_ = nullptr;
};

// Access by JSON name, for generic code. Null when there is no such field.
const Field* find_field(const Type& type, std::string_view json_name);
inline void* field_at(void* object, const Field& field) {
  return static_cast<char*>(object) + field.offset;
}
inline const void* field_at(const void* object, const Field& field) {
  return static_cast<const char*>(object) + field.offset;
}

// Layout of the containers, for interpreters only.
struct RawList {
  detail::ListHeader* block = nullptr;
  size_t size() const { return block == nullptr ? 0 : block->size; }
  char* at(size_t i, size_t element) const {
    return reinterpret_cast<char*>(block + 1) + i * element;
  }
  // A new zeroed element at the end.
  void* append(size_t element);
  void make_present();  // nil becomes empty
};
// A map is a list of entries {Str key; value}, sorted by key. Its value lies 8 bytes into the entry.
constexpr size_t kMapValueOffset = 8;
inline size_t map_entry_size(size_t value_size) { return (kMapValueOffset + value_size + 7) & ~size_t{7}; }
bool equal_list(Kind kind, const Type* type, const RawList& a, const RawList& b, bool map);
// The value under `key`, made (zeroed) when absent.
void* map_slot(RawList& list, std::string_view key, size_t value_size, bool* existed = nullptr);

// Whether an optional field holds a value, and where.
bool optional_present(Kind kind, const void* field);
void* optional_value(Kind kind, void* field);              // null when absent
inline const void* optional_value(Kind kind, const void* field) {
  return optional_value(kind, const_cast<void*>(field));
}
void* optional_ensure(Kind kind, const Type* type, void* field);  // made when absent
void optional_reset(Kind kind, const Type* type, void* field);

}  // namespace knarr::schema
