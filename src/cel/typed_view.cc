// SPDX-License-Identifier: Apache-2.0
#include "cel/typed_view.h"

#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::cel {

using schema::Field;
using schema::RawList;
using schema::Shape;
using Kind = schema::Kind;
using Form = Value::Form;

namespace {

// JSON that no table describes: parsed once for the evaluation.
Value parsed(std::string_view text, Arena& arena) {
  Result<json::Value> tree = json::parse(text.empty() ? "null" : text);
  if (!tree.ok()) return Value::null();
  auto kept = std::make_shared<json::Value>(std::move(*tree));
  arena.keep(kept);
  return Value::of(*kept);
}

bool is_either_type(const schema::Type& type) {
  return type.flags & (schema::kOrBool | schema::kOrArray | schema::kOrStringArray);
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    auto byte = [&](size_t k) {
      return i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : uint32_t{0};
    };
    uint32_t bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (int k = 0; k < 4; ++k)
      out += i + static_cast<size_t>(k) > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

}  // namespace

Value Value::of(const schema::KindInfo& kind, const void* object) {
  return made(Kind::kMap, Form::kTypedRoot, object, 0, &kind);
}
Value Value::of(const schema::Type& type, const void* object) {
  return made(Kind::kMap, Form::kTyped, object, 0, &type);
}

const schema::Type& TypedView::type_of(const Value& map) {
  if (map.form() == Form::kTypedRoot)
    return *static_cast<const schema::KindInfo*>(map.extra())->type;
  return *static_cast<const schema::Type*>(map.extra());
}

// Go's omitempty, as the JSON encoder has it: structs are never empty, and to Go times and
// quantities are structs.
bool TypedView::is_written(const Field& field, const void* at) {
  if (!(field.flags & schema::kOmitEmpty)) return true;
  if (field.shape == Shape::kOptional) return schema::optional_value(field.kind, at) != nullptr;
  if (field.shape != Shape::kPlain) return static_cast<const RawList*>(at)->size() != 0;
  switch (field.kind) {
    case Kind::kBool:
      return *static_cast<const bool*>(at);
    case Kind::kInt32:
    case Kind::kUint32:
      return *static_cast<const uint32_t*>(at) != 0;
    case Kind::kInt64:
    case Kind::kUint64:
      return *static_cast<const uint64_t*>(at) != 0;
    case Kind::kFloat:
      return *static_cast<const float*>(at) != 0;
    case Kind::kDouble:
      return *static_cast<const double*>(at) != 0;
    case Kind::kString:
    case Kind::kBytes:
      return !static_cast<const schema::Str*>(at)->empty();
    case Kind::kStringList:
      return !static_cast<const schema::List<schema::Str>*>(at)->empty();
    default:
      return true;
  }
}

template <class Visit>
bool TypedView::each_member(const schema::Type& type, const void* object, const Visit& visit) {
  for (const Field& field : type.fields()) {
    const void* at = schema::field_at(object, field);
    const schema::Type* inner =
        field.kind == Kind::kStruct ? &schema::field_type(type, field) : nullptr;
    if (field.flags & schema::kInline) {
      if (each_member(*inner, at, visit)) return true;
    } else if (is_written(field, at) && visit(schema::field_name(type, field), field, inner, at)) {
      return true;
    }
  }
  return false;
}

size_t TypedView::size(const Value& v) {
  if (v.is(Value::Kind::kList) || v.form() == Form::kTypedMap)
    return static_cast<const RawList*>(v.pointer())->size();
  size_t count = 0;
  if (v.form() == Form::kTypedRoot) count = 2;
  each_member(type_of(v), v.pointer(), [&](auto&&...) {
    ++count;
    return false;
  });
  return count;
}

Value TypedView::at(const Value& list, size_t i, Arena& arena) {
  const auto* inner = static_cast<const schema::Type*>(list.extra());
  auto kind = static_cast<Kind>(list.small_);
  return element(kind, inner,
                 static_cast<const RawList*>(list.pointer())->at(i, schema::kind_size(kind, inner)),
                 arena);
}

bool TypedView::find(const Value& map, std::string_view key, Arena& arena, Value& out) {
  if (map.form() == Form::kTypedMap) {
    const auto* inner = static_cast<const schema::Type*>(map.extra());
    auto kind = static_cast<Kind>(map.small_);
    const auto& list = *static_cast<const RawList*>(map.pointer());
    size_t step = schema::map_entry_size(schema::kind_size(kind, inner));
    size_t low = 0, high = list.size();
    while (low < high) {
      size_t middle = (low + high) / 2;
      const char* entry = list.at(middle, step);
      std::string_view name = reinterpret_cast<const schema::Str*>(entry)->view();
      if (name == key) {
        out = element(kind, inner, entry + schema::kMapValueOffset, arena);
        return true;
      }
      (name < key ? low : high) = name < key ? middle + 1 : middle;
    }
    return false;
  }
  if (map.form() == Form::kTypedRoot && (key == "kind" || key == "apiVersion")) {
    const auto& info = *static_cast<const schema::KindInfo*>(map.extra());
    out = Value::string(key == "kind" ? info.kind : info.api_version);
    return true;
  }
  return each_member(
      type_of(map), map.pointer(),
      [&](std::string_view name, const Field& field, const schema::Type* inner, const void* at) {
        if (name != key) return false;
        out = member(field, inner, at, arena);
        return true;
      });
}

Value TypedView::keys(const Value& map, Arena& arena) {
  Value* keys = arena.values(size(map));
  size_t count = 0;
  if (map.form() == Form::kTypedMap) {
    auto kind = static_cast<Kind>(map.small_);
    size_t step = schema::map_entry_size(
        schema::kind_size(kind, static_cast<const schema::Type*>(map.extra())));
    const auto& list = *static_cast<const RawList*>(map.pointer());
    for (; count < list.size(); ++count)
      keys[count] =
          Value::string(reinterpret_cast<const schema::Str*>(list.at(count, step))->view());
    return Value::list(keys, count);
  }
  if (map.form() == Form::kTypedRoot) {
    keys[count++] = Value::string("kind");
    keys[count++] = Value::string("apiVersion");
  }
  each_member(type_of(map), map.pointer(), [&](std::string_view name, auto&&...) {
    keys[count++] = Value::string(name);
    return false;
  });
  return Value::list(keys, count);
}

Value TypedView::member(const Field& field, const schema::Type* inner, const void* at,
                        Arena& arena) {
  switch (field.shape) {
    case Shape::kPlain:
      return element(field.kind, inner, at, arena);
    case Shape::kOptional: {
      const void* held = schema::optional_value(field.kind, at);
      return held == nullptr ? Value::null() : element(field.kind, inner, held, arena);
    }
    case Shape::kList:
    case Shape::kMap:
      break;
  }
  if (static_cast<const RawList*>(at)->block == nullptr) return Value::null();
  bool is_map = field.shape == Shape::kMap;
  Value v = Value::made(is_map ? Value::Kind::kMap : Value::Kind::kList,
                        is_map ? Form::kTypedMap : Form::kTyped, at, 0, inner);
  v.small_ = static_cast<int16_t>(field.kind);
  return v;
}

Value TypedView::element(Kind kind, const schema::Type* inner, const void* at, Arena& arena) {
  switch (kind) {
    case Kind::kBool:
      return Value::boolean(*static_cast<const bool*>(at));
    case Kind::kInt32:
      return Value::integer(*static_cast<const int32_t*>(at));
    case Kind::kInt64:
      return Value::integer(*static_cast<const int64_t*>(at));
    case Kind::kUint32:
      return Value::integer(*static_cast<const uint32_t*>(at));
    case Kind::kUint64:
      return Value::integer(static_cast<int64_t>(*static_cast<const uint64_t*>(at)));
    case Kind::kFloat:
      return Value::number(*static_cast<const float*>(at));
    case Kind::kDouble:
      return Value::number(*static_cast<const double*>(at));
    case Kind::kString:
      return Value::string(*static_cast<const schema::Str*>(at));
    case Kind::kStruct: {
      if (!is_either_type(*inner)) return Value::of(*inner, at);
      std::string text;
      schema::encode_json(text, *inner, at);
      return parsed(text, arena);
    }
    case Kind::kStringList: {
      if (static_cast<const RawList*>(at)->block == nullptr) return Value::null();
      Value v = Value::made(Value::Kind::kList, Form::kTyped, at, 0);
      v.small_ = static_cast<int16_t>(Kind::kString);
      return v;
    }
    default:
      return text_element(kind, at, arena);
  }
}

// Kinds that JSON has as texts made from something else.
Value TypedView::text_element(Kind kind, const void* at, Arena& arena) {
  auto text = [&](std::string_view made) { return Value::string(arena.copy(made)); };
  switch (kind) {
    case Kind::kTime: {
      schema::Time time = *static_cast<const schema::Time*>(at);
      return time.is_zero() ? Value::null() : text(schema::format_time(time));
    }
    case Kind::kMicroTime: {
      schema::MicroTime time = *static_cast<const schema::MicroTime*>(at);
      return time.is_zero() ? Value::null() : text(schema::format_micro_time(time));
    }
    case Kind::kDuration:
      return text(schema::format_duration(static_cast<const schema::DurationValue*>(at)->nanos));
    case Kind::kQuantity: {
      std::string_view quantity = *static_cast<const schema::Str*>(at);
      return Value::string(quantity.empty() ? "0" : quantity);
    }
    case Kind::kIntOrString: {
      const auto& either = *static_cast<const schema::IntOrString*>(at);
      return either.is_string ? Value::string(either.text) : Value::integer(either.number);
    }
    case Kind::kBytes: {
      const auto& bytes = *static_cast<const schema::Str*>(at);
      return bytes.is_null() ? Value::null() : text(base64(bytes));
    }
    default:
      return parsed(static_cast<const schema::Raw*>(at)->bytes, arena);
  }
}

}  // namespace knarr::cel
