// SPDX-License-Identifier: Apache-2.0
#include "schema/type.h"

#include <cstdlib>
#include <cstring>

namespace knarr::schema {

namespace detail {
void* grow_list(void* block, size_t element, uint32_t capacity) {
  void* grown = std::realloc(block, sizeof(ListHeader) + element * capacity);
  if (grown == nullptr) std::abort();
  auto* header = static_cast<ListHeader*>(grown);
  if (block == nullptr) header->size = 0;
  header->capacity = capacity;
  return grown;
}
}  // namespace detail

size_t kind_size(Kind kind, const Type* type) {
  switch (kind) {
    case Kind::kBool: return sizeof(bool);
    case Kind::kInt32:
    case Kind::kUint32:
    case Kind::kFloat: return 4;
    case Kind::kInt64:
    case Kind::kUint64:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kTime:
    case Kind::kMicroTime:
    case Kind::kDuration:
    case Kind::kQuantity:
    case Kind::kRawExtension:
    case Kind::kFieldsV1:
    case Kind::kJson:
    case Kind::kStringList: return 8;
    case Kind::kIntOrString: return sizeof(IntOrString);
    case Kind::kStruct: return type->size;
  }
  return 0;
}

namespace {

// Kinds that own one string: their value is a Str at offset 0.
bool is_text(Kind kind) {
  switch (kind) {
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kQuantity:
    case Kind::kRawExtension:
    case Kind::kFieldsV1:
    case Kind::kJson:
    case Kind::kIntOrString: return true;
    default: return false;
  }
}

const Type* type_of(const Type& type, const Field& field) {
  return field.kind == Kind::kStruct ? &type.set->types[field.type] : nullptr;
}

void destroy_list(const Type* element, Kind kind, RawList& list, bool map) {
  if (list.block == nullptr) return;
  size_t value = kind_size(kind, element);
  size_t step = map ? map_entry_size(value) : value;
  if (map || is_text(kind) || kind == Kind::kStruct || kind == Kind::kStringList) {
    for (size_t i = 0; i < list.size(); ++i) {
      char* at = list.at(i, step);
      if (map) reinterpret_cast<Str*>(at)->reset();
      destroy_value(kind, element, map ? at + kMapValueOffset : at);
    }
  }
  std::free(list.block);
  list.block = nullptr;
}

void copy_list(const Type* element, Kind kind, RawList& to, const RawList& from, bool map) {
  if (from.block == nullptr) return;
  size_t value = kind_size(kind, element);
  size_t step = map ? map_entry_size(value) : value;
  auto size = static_cast<uint32_t>(from.size());
  to.block = static_cast<detail::ListHeader*>(detail::grow_list(nullptr, step, size));
  std::memset(to.block + 1, 0, size * step);
  to.block->size = size;
  for (size_t i = 0; i < size; ++i) {
    char* out = to.at(i, step);
    const char* in = from.at(i, step);
    if (map) *reinterpret_cast<Str*>(out) = *reinterpret_cast<const Str*>(in);
    size_t skip = map ? kMapValueOffset : 0;
    copy_value(kind, element, out + skip, in + skip);
  }
}

bool is_zero_bytes(const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  for (size_t i = 0; i < size; ++i)
    if (p[i] != 0) return false;
  return true;
}

}  // namespace

void destroy_value(Kind kind, const Type* type, void* value) {
  if (kind == Kind::kStruct) return destroy(*type, value);
  if (kind == Kind::kStringList) return static_cast<List<Str>*>(value)->reset();
  if (is_text(kind)) static_cast<Str*>(value)->reset();
  std::memset(value, 0, kind_size(kind, type));
}

void copy_value(Kind kind, const Type* type, void* to, const void* from) {
  if (kind == Kind::kStruct) return copy(*type, to, from);
  if (kind == Kind::kStringList) {
    *static_cast<List<Str>*>(to) = *static_cast<const List<Str>*>(from);
  } else if (kind == Kind::kIntOrString) {
    *static_cast<IntOrString*>(to) = *static_cast<const IntOrString*>(from);
  } else if (is_text(kind)) {
    *static_cast<Str*>(to) = *static_cast<const Str*>(from);
  } else {
    std::memcpy(to, from, kind_size(kind, type));
  }
}

bool equal_value(Kind kind, const Type* type, const void* a, const void* b) {
  switch (kind) {
    case Kind::kStruct: return equal(*type, a, b);
    case Kind::kStringList:
      return *static_cast<const List<Str>*>(a) == *static_cast<const List<Str>*>(b);
    case Kind::kIntOrString:
      return *static_cast<const IntOrString*>(a) == *static_cast<const IntOrString*>(b);
    case Kind::kFloat: return *static_cast<const float*>(a) == *static_cast<const float*>(b);
    case Kind::kDouble: return *static_cast<const double*>(a) == *static_cast<const double*>(b);
    case Kind::kQuantity: {
      // "" and "0" are the same quantity.
      std::string_view x = *static_cast<const Str*>(a), y = *static_cast<const Str*>(b);
      return (x.empty() ? "0" : x) == (y.empty() ? "0" : y);
    }
    default: break;
  }
  if (is_text(kind)) return *static_cast<const Str*>(a) == *static_cast<const Str*>(b);
  return std::memcmp(a, b, kind_size(kind, type)) == 0;
}

bool equal_list(Kind kind, const Type* element, const RawList& a, const RawList& b, bool map) {
  if (a.size() != b.size()) return false;
  size_t value = kind_size(kind, element);
  size_t step = map ? map_entry_size(value) : value;
  for (size_t i = 0; i < a.size(); ++i) {
    const char* x = a.at(i, step);
    const char* y = b.at(i, step);
    if (map && !(*reinterpret_cast<const Str*>(x) == *reinterpret_cast<const Str*>(y))) return false;
    size_t skip = map ? kMapValueOffset : 0;
    if (!equal_value(kind, element, x + skip, y + skip)) return false;
  }
  return true;
}

void destroy(const Type& type, void* object) {
  for (const Field& field : type.fields()) {
    void* at = field_at(object, field);
    const Type* inner = type_of(type, field);
    switch (field.shape) {
      case Shape::kPlain: destroy_value(field.kind, inner, at); break;
      case Shape::kOptional: optional_reset(field.kind, inner, at); break;
      case Shape::kList: destroy_list(inner, field.kind, *static_cast<RawList*>(at), false); break;
      case Shape::kMap: destroy_list(inner, field.kind, *static_cast<RawList*>(at), true); break;
    }
  }
}

void copy(const Type& type, void* to, const void* from) {
  for (const Field& field : type.fields()) {
    void* out = field_at(to, field);
    const void* in = field_at(from, field);
    const Type* inner = type_of(type, field);
    switch (field.shape) {
      case Shape::kPlain: copy_value(field.kind, inner, out, in); break;
      case Shape::kOptional:
        if (const void* value = optional_value(field.kind, in))
          copy_value(field.kind, inner, optional_ensure(field.kind, inner, out), value);
        break;
      case Shape::kList:
      case Shape::kMap:
        copy_list(inner, field.kind, *static_cast<RawList*>(out), *static_cast<const RawList*>(in),
                  field.shape == Shape::kMap);
        break;
    }
  }
}

bool equal(const Type& type, const void* a, const void* b) {
  for (const Field& field : type.fields()) {
    const void* x = field_at(a, field);
    const void* y = field_at(b, field);
    const Type* inner = type_of(type, field);
    switch (field.shape) {
      case Shape::kPlain:
        if (!equal_value(field.kind, inner, x, y)) return false;
        break;
      case Shape::kOptional: {
        const void* p = optional_value(field.kind, x);
        const void* q = optional_value(field.kind, y);
        if ((p == nullptr) != (q == nullptr)) return false;
        if (p != nullptr && !equal_value(field.kind, inner, p, q)) return false;
        break;
      }
      case Shape::kList:
      case Shape::kMap:
        if (!equal_list(field.kind, inner, *static_cast<const RawList*>(x),
                        *static_cast<const RawList*>(y), field.shape == Shape::kMap))
          return false;
        break;
    }
  }
  return true;
}

// Zero bytes are the only representation of a zero value, but for a Str or list that is present and empty.
bool is_zero(const Type& type, const void* object) { return is_zero_bytes(object, type.size); }

const void* zero_object() {
  alignas(8) static const char kZero[UINT16_MAX + 1] = {};
  return kZero;
}

Object::Object(const Type& type) : type_(&type), data_(std::calloc(1, type.size ? type.size : 1)) {
  if (data_ == nullptr) std::abort();
}
Object::Object(const Type& type, const void* copied) : Object(type) { copy(type, data_, copied); }
Object::Object(const Object& other) : type_(other.type_) {
  if (other.data_ == nullptr) return;
  data_ = std::calloc(1, type_->size ? type_->size : 1);
  if (data_ == nullptr) std::abort();
  copy(*type_, data_, other.data_);
}
Object::~Object() {
  if (data_ == nullptr) return;
  destroy(*type_, data_);
  std::free(data_);
}

const Field* find_field(const Type& type, std::string_view json_name) {
  for (const Field& field : type.fields())
    if (field_name(type, field) == json_name) return &field;
  return nullptr;
}

void* RawList::append(size_t element) {
  size_t n = size();
  if (block == nullptr || n == block->capacity)
    block = static_cast<detail::ListHeader*>(
        detail::grow_list(block, element, n == 0 ? 2 : static_cast<uint32_t>(n * 2)));
  char* made = at(n, element);
  std::memset(made, 0, element);
  block->size = static_cast<uint32_t>(n + 1);
  return made;
}

void RawList::make_present() {
  if (block == nullptr)
    block = static_cast<detail::ListHeader*>(detail::grow_list(nullptr, 0, 0));
}

void* map_slot(RawList& list, std::string_view key, size_t value_size, bool* existed) {
  size_t step = map_entry_size(value_size);
  size_t low = 0, high = list.size();
  // Encoders write sorted maps: look at the end first.
  if (high > 0 && reinterpret_cast<Str*>(list.at(high - 1, step))->view() < key) low = high;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (reinterpret_cast<Str*>(list.at(middle, step))->view() < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low < list.size() && reinterpret_cast<Str*>(list.at(low, step))->view() == key) {
    if (existed != nullptr) *existed = true;
    return list.at(low, step) + kMapValueOffset;
  }
  if (existed != nullptr) *existed = false;
  list.append(step);
  char* slot = list.at(low, step);
  std::memmove(slot + step, slot, (list.size() - 1 - low) * step);
  std::memset(slot, 0, step);
  reinterpret_cast<Str*>(slot)->assign(key, true);
  return slot + kMapValueOffset;
}

bool optional_present(Kind kind, const void* field) {
  switch (kind) {
    case Kind::kStruct: return *static_cast<void* const*>(field) != nullptr;
    // Opt<Str> has no flag; bytes and raw kinds are never pointers in Go, and are held like Opt<Str> if they come to be.
    case Kind::kString:
    case Kind::kBytes: return !static_cast<const Str*>(field)->is_null();
    default: return *(static_cast<const bool*>(field) + kind_size(kind, nullptr));
  }
}

void* optional_value(Kind kind, void* field) {
  if (!optional_present(kind, field)) return nullptr;
  return kind == Kind::kStruct ? *static_cast<void**>(field) : field;
}

void* optional_ensure(Kind kind, const Type* type, void* field) {
  switch (kind) {
    case Kind::kStruct: {
      void*& pointer = *static_cast<void**>(field);
      if (pointer == nullptr) {
        // Box deletes with `delete`, which is `free` of memory that `operator new` took.
        pointer = ::operator new(type->size ? type->size : 1);
        std::memset(pointer, 0, type->size);
      }
      return pointer;
    }
    case Kind::kString:
    case Kind::kBytes: {
      auto* text = static_cast<Str*>(field);
      if (text->is_null()) text->assign({}, true);
      return field;
    }
    default:
      *(static_cast<bool*>(field) + kind_size(kind, nullptr)) = true;
      return field;
  }
}

void optional_reset(Kind kind, const Type* type, void* field) {
  switch (kind) {
    case Kind::kStruct: {
      void*& pointer = *static_cast<void**>(field);
      if (pointer == nullptr) return;
      destroy(*type, pointer);
      ::operator delete(pointer);
      pointer = nullptr;
      return;
    }
    case Kind::kString:
    case Kind::kBytes: return static_cast<Str*>(field)->reset();
    default:
      destroy_value(kind, nullptr, field);
      *(static_cast<bool*>(field) + kind_size(kind, nullptr)) = false;
  }
}

}  // namespace knarr::schema
