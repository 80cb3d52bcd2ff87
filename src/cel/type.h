// SPDX-License-Identifier: Apache-2.0
// Types of the expression language: what the checker knows of a value.
//
// A Type is immutable once made. The simple ones are constants; composed ones live in a TypePool
// and are referred to by plain pointers, so a pool must outlive what was checked with it (a Program
// keeps its own and its Environment's).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace knarr::cel {

struct DeclType;

struct Type {
  enum class Kind : uint8_t {
    kError,  // of an expression that has been reported already; agrees with everything
    kDyn,
    kAny,
    kNull,
    kBool,
    kInt,
    kUint,
    kDouble,
    kString,
    kBytes,
    kDuration,
    kTimestamp,
    kType,      // params[0]: the type that it names; none for `type` itself
    kList,      // params[0]
    kMap,       // params[0], params[1]
    kObject,    // name; decl when its fields are known
    kOptional,  // params[0]
    kVar,       // a type variable: its number
  };
  Kind kind = Kind::kDyn;
  uint32_t var = 0;
  std::string name;
  const DeclType* decl = nullptr;
  std::vector<const Type*> params;

  bool is_dyn() const { return kind == Kind::kDyn || kind == Kind::kAny; }
  bool is_dyn_or_error() const { return is_dyn() || kind == Kind::kError; }
};

// A type with what OpenAPI says of its sizes; objects with their fields. Names of fields are
// escaped (see escape.h). The numbers are upstream's: they decide which rules a
// CustomResourceDefinition may have.
struct DeclType {
  const Type* type = nullptr;
  const DeclType* key = nullptr;      // of a map
  const DeclType* element = nullptr;  // of a map or list
  std::map<std::string, const DeclType*, std::less<>> fields;
  int64_t max_elements = 0;         // items, properties, or bytes of a string
  int64_t min_serialized_size = 0;  // bytes of the shortest JSON text
};

namespace types {
extern const Type kError, kDyn, kAny, kNull, kBool, kInt, kUint, kDouble, kString, kBytes,
    kDuration, kTimestamp, kType;
extern const Type kUrl, kQuantity, kAuthorizer, kPathCheck, kGroupCheck, kResourceCheck, kDecision;
}  // namespace types

class TypePool {
 public:
  const Type* list(const Type* element);
  const Type* map(const Type* key, const Type* value);
  const Type* type_of(const Type* named);
  const Type* optional(const Type* value);
  const Type* object(std::string_view name, const DeclType* decl);
  const Type* var(uint32_t number);
  DeclType* decl();  // an empty one, to be filled

 private:
  const Type* make(Type::Kind kind, std::vector<const Type*> params);
  std::deque<Type> types_;
  std::deque<DeclType> decls_;
};

bool same(const Type& a, const Type& b);
// As messages show a type: "list(int)", "map(string, dyn)".
std::string to_string(const Type& type);
// As two of cel-go's messages show a type: the text form of its protobuf message
// ("primitive:STRING").
std::string to_proto_text(const Type& type);

// Type variables and what they stand for, while an expression is checked. A failed comparison
// leaves no trace.
class Unifier {
 public:
  explicit Unifier(TypePool& pool) : pool_(pool) {}
  const Type* new_var();
  // Whether a value of type `from` may be used as `to`; binds variables on the way. The relation is
  // upstream's: not symmetric for null and for variables that are bound.
  bool assignable(const Type* to, const Type* from);
  bool assignable(const std::vector<const Type*>& to, const std::vector<const Type*>& from);
  // Without bound variables; free ones become dyn when asked for.
  const Type* resolve(const Type* type, bool free_to_dyn);
  static const Type* most_general(const Type* a, const Type* b);

 private:
  bool unify(const Type* a, const Type* b);
  bool unify_all(const std::vector<const Type*>& a, const std::vector<const Type*>& b);
  enum class Substitution { kNo, kNoButBound, kYes };
  Substitution substitute(const Type* type, const Type* var);
  bool occurs_not(const Type* var, const Type* within) const;
  void bind(const Type* var, const Type* type);
  void roll_back(size_t mark);

  TypePool& pool_;
  std::vector<const Type*> bindings_;  // by variable
  std::vector<std::pair<uint32_t, const Type*>> trail_;
};

}  // namespace knarr::cel
