// SPDX-License-Identifier: Apache-2.0
#include "cel/type.h"

namespace knarr::cel {

using Kind = Type::Kind;

namespace types {
const Type kError{Kind::kError}, kDyn{Kind::kDyn}, kAny{Kind::kAny}, kNull{Kind::kNull},
    kBool{Kind::kBool}, kInt{Kind::kInt}, kUint{Kind::kUint}, kDouble{Kind::kDouble},
    kString{Kind::kString}, kBytes{Kind::kBytes}, kDuration{Kind::kDuration},
    kTimestamp{Kind::kTimestamp}, kType{Kind::kType};
const Type kUrl{Kind::kObject, 0, "kubernetes.URL"},
    kQuantity{Kind::kObject, 0, "kubernetes.Quantity"},
    kAuthorizer{Kind::kObject, 0, "kubernetes.authorization.Authorizer"},
    kPathCheck{Kind::kObject, 0, "kubernetes.authorization.PathCheck"},
    kGroupCheck{Kind::kObject, 0, "kubernetes.authorization.GroupCheck"},
    kResourceCheck{Kind::kObject, 0, "kubernetes.authorization.ResourceCheck"},
    kDecision{Kind::kObject, 0, "kubernetes.authorization.Decision"};
}  // namespace types

const Type* TypePool::make(Kind kind, std::vector<const Type*> params) {
  Type& type = types_.emplace_back();
  type.kind = kind;
  type.params = std::move(params);
  return &type;
}
const Type* TypePool::list(const Type* element) { return make(Kind::kList, {element}); }
const Type* TypePool::map(const Type* key, const Type* value) {
  return make(Kind::kMap, {key, value});
}
const Type* TypePool::type_of(const Type* named) { return make(Kind::kType, {named}); }
const Type* TypePool::optional(const Type* value) { return make(Kind::kOptional, {value}); }
const Type* TypePool::object(std::string_view name, const DeclType* decl) {
  Type& type = types_.emplace_back();
  type.kind = Kind::kObject;
  type.name = name;
  type.decl = decl;
  return &type;
}
const Type* TypePool::var(uint32_t number) {
  Type& type = types_.emplace_back();
  type.kind = Kind::kVar;
  type.var = number;
  return &type;
}
DeclType* TypePool::decl() { return &decls_.emplace_back(); }

bool same(const Type& a, const Type& b) {
  if (&a == &b) return true;
  if (a.kind != b.kind || a.var != b.var || a.name != b.name || a.params.size() != b.params.size())
    return false;
  for (size_t i = 0; i < a.params.size(); ++i)
    if (!same(*a.params[i], *b.params[i])) return false;
  return true;
}

namespace {

struct KindNames {
  const char* message;
  const char* proto;
};
// In the order of Type::Kind.
constexpr KindNames kKindNames[] = {
    {"!error!", "error:{}"},
    {"dyn", "dyn:{}"},
    {"any", "well_known:ANY"},
    {"null", "null:NULL_VALUE"},
    {"bool", "primitive:BOOL"},
    {"int", "primitive:INT64"},
    {"uint", "primitive:UINT64"},
    {"double", "primitive:DOUBLE"},
    {"string", "primitive:STRING"},
    {"bytes", "primitive:BYTES"},
    {"duration", "well_known:DURATION"},
    {"timestamp", "well_known:TIMESTAMP"},
    {"type", "type:{}"},
    {"list", ""},
    {"map", ""},
    {"", ""},
    {"optional", ""},
    {"", ""},
};

}  // namespace

std::string to_string(const Type& type) {
  if (type.kind == Kind::kObject) return type.name;
  if (type.kind == Kind::kVar) return "_var" + std::to_string(type.var);
  std::string text = kKindNames[static_cast<size_t>(type.kind)].message;
  if (type.params.empty()) return text;
  text += '(';
  for (size_t i = 0; i < type.params.size(); ++i)
    text += (i == 0 ? "" : ", ") + to_string(*type.params[i]);
  return text + ')';
}

std::string to_proto_text(const Type& type) {
  auto param = [&](size_t i) { return ":{" + to_proto_text(*type.params[i]) + "}"; };
  switch (type.kind) {
    case Kind::kObject:
      return "message_type:\"" + type.name + "\"";
    case Kind::kVar:
      return "type_param:\"" + to_string(type) + "\"";
    case Kind::kList:
      return "list_type:{elem_type" + param(0) + "}";
    case Kind::kMap:
      return "map_type:{key_type" + param(0) + " value_type" + param(1) + "}";
    case Kind::kOptional:
      return "abstract_type:{name:\"optional\" parameter_types" + param(0) + "}";
    case Kind::kType:
      return type.params.empty() ? "type:{}" : "type" + param(0);
    default:
      return kKindNames[static_cast<size_t>(type.kind)].proto;
  }
}

// --- Unifier
// ---------------------------------------------------------------------------------------------------------

const Type* Unifier::new_var() {
  bindings_.push_back(nullptr);
  return pool_.var(static_cast<uint32_t>(bindings_.size() - 1));
}

void Unifier::bind(const Type* var, const Type* type) {
  trail_.emplace_back(var->var, bindings_[var->var]);
  bindings_[var->var] = type;
}

void Unifier::roll_back(size_t mark) {
  while (trail_.size() > mark) {
    bindings_[trail_.back().first] = trail_.back().second;
    trail_.pop_back();
  }
}

bool Unifier::assignable(const Type* to, const Type* from) {
  size_t mark = trail_.size();
  if (unify(to, from)) return true;
  roll_back(mark);
  return false;
}

bool Unifier::assignable(const std::vector<const Type*>& to, const std::vector<const Type*>& from) {
  size_t mark = trail_.size();
  if (unify_all(to, from)) return true;
  roll_back(mark);
  return false;
}

bool Unifier::unify_all(const std::vector<const Type*>& a, const std::vector<const Type*>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!unify(a[i], b[i])) return false;
  return true;
}

bool Unifier::unify(const Type* a, const Type* b) {
  if (b->kind == Kind::kVar) {
    Substitution answer = substitute(a, b);
    if (answer != Substitution::kNo) return answer == Substitution::kYes;
  }
  if (a->kind == Kind::kVar) return substitute(b, a) == Substitution::kYes;
  if (a->is_dyn_or_error() || b->is_dyn_or_error()) return true;
  if (a->kind == Kind::kNull)
    return b->kind == Kind::kNull || b->kind == Kind::kObject || b->kind == Kind::kOptional ||
           b->kind == Kind::kDuration || b->kind == Kind::kTimestamp;
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case Kind::kObject:
      return a->name == b->name;
    case Kind::kList:
    case Kind::kMap:
    case Kind::kOptional:
      return unify_all(a->params, b->params);
    default:
      return true;  // scalars; and types, whatever they name
  }
}

Unifier::Substitution Unifier::substitute(const Type* type, const Type* var) {
  if (type->kind == Kind::kVar && type->var == var->var) return Substitution::kYes;
  if (const Type* bound = bindings_[var->var]) {
    if (same(*type, *bound)) return Substitution::kYes;
    if (!unify(type, bound)) return Substitution::kNoButBound;
    const Type* general = most_general(type, bound);
    if (occurs_not(var, general)) bind(var, general);
    return Substitution::kYes;
  }
  if (!occurs_not(var, type)) return Substitution::kNo;
  bind(var, type);
  return Substitution::kYes;
}

bool Unifier::occurs_not(const Type* var, const Type* within) const {
  if (within->kind == Kind::kVar) {
    if (within->var == var->var) return false;
    const Type* bound = bindings_[within->var];
    return bound == nullptr || occurs_not(var, bound);
  }
  if (within->kind == Kind::kType) return true;
  for (const Type* param : within->params)
    if (!occurs_not(var, param)) return false;
  return true;
}

const Type* Unifier::resolve(const Type* type, bool free_to_dyn) {
  if (type->kind == Kind::kVar) {
    if (const Type* bound = bindings_[type->var]) return resolve(bound, free_to_dyn);
    return free_to_dyn ? &types::kDyn : type;
  }
  if (type->params.empty()) return type;
  std::vector<const Type*> params;
  bool changed = false;
  for (const Type* param : type->params) {
    params.push_back(resolve(param, free_to_dyn));
    changed |= params.back() != param;
  }
  if (!changed) return type;
  switch (type->kind) {
    case Kind::kList:
      return pool_.list(params[0]);
    case Kind::kMap:
      return pool_.map(params[0], params[1]);
    case Kind::kOptional:
      return pool_.optional(params[0]);
    default:
      return pool_.type_of(params[0]);
  }
}

namespace {

bool equal_or_less_specific(const Type& a, const Type& b) {
  if (a.is_dyn() || a.kind == Kind::kVar) return true;
  if (b.is_dyn() || b.kind == Kind::kVar) return false;
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::kType) return true;
  if (a.params.size() != b.params.size()) return false;
  for (size_t i = 0; i < a.params.size(); ++i)
    if (!equal_or_less_specific(*a.params[i], *b.params[i])) return false;
  return a.name == b.name;
}

}  // namespace

const Type* Unifier::most_general(const Type* a, const Type* b) {
  return equal_or_less_specific(*a, *b) ? a : b;
}

}  // namespace knarr::cel
