// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "schema/codec.h"
#include "schema/codec_internal.h"
#include "schema/json_reader.h"
#include "schema/json_text.h"
#include "schema/resource.h"
#include "schema/time.h"

namespace knarr::schema {
namespace {

class JsonEncoder {
 public:
  explicit JsonEncoder(std::string& out) : out_(out) {}

  void object(const Type& type, const void* object, const KindInfo* meta) {
    if (type.flags & (kOrBool | kOrArray | kOrStringArray)) return special(type, object);
    out_ += '{';
    bool first = true;
    if (meta != nullptr && (type.flags & kHasTypeMeta)) {
      if (!meta->kind.empty()) name(first, "kind"), append_json_string(out_, meta->kind);
      if (!meta->api_version.empty())
        name(first, "apiVersion"), append_json_string(out_, meta->api_version);
    }
    members(type, object, first);
    out_ += '}';
  }

 private:
  void name(bool& first, std::string_view text) {
    size_t size = out_.size();
    size_t comma = first ? 0 : 1;
    first = false;
    out_.resize(size + comma + text.size() + 3);
    char* to = out_.data() + size;
    if (comma != 0) *to++ = ',';
    *to++ = '"';
    std::memcpy(to, text.data(), text.size());
    to += text.size();
    *to++ = '"';
    *to = ':';
  }

  void members(const Type& type, const void* object, bool& first) {
    const TypeSet& set = *type.set;
    for (const Field& field : type.fields()) {
      const void* at = field_at(object, field);
      const Type* inner = field.kind == Kind::kStruct ? &set.types[field.type] : nullptr;
      if (field.flags & kInline) {
        members(*inner, at, first);
        continue;
      }
      if (field.shape == Shape::kPlain) {
        if ((field.flags & kOmitEmpty) && is_empty_value(field.kind, at)) continue;
        if (field.name == 0 && (type.flags & kPreserveUnknown)) {
          unknown_members(*static_cast<const Raw*>(at), first);
          continue;
        }
        name(first, set.text(field.name));
        value(field.kind, inner, at);
        continue;
      }
      shaped_member(field, inner, at, set.text(field.name), first);
    }
  }

  void shaped_member(const Field& field, const Type* inner, const void* at, std::string_view key,
                     bool& first) {
    bool omit = field.flags & kOmitEmpty;
    if (field.shape == Shape::kOptional) {
      const void* held = optional_value(field.kind, at);
      if (held == nullptr) {
        if (omit) return;
        name(first, key);
        out_ += "null";
        return;
      }
      name(first, key);
      return value(field.kind, inner, held);
    }
    const RawList& list = *static_cast<const RawList*>(at);
    if (omit && list.size() == 0) return;
    name(first, key);
    if (list.block == nullptr) {
      out_ += "null";
    } else if (field.shape == Shape::kList) {
      elements(field.kind, inner, list, field.flags & kShowsTypeMeta ? kind_info_of(*inner) : nullptr);
    } else {
      entries(field.kind, inner, list);
    }
  }

  static const KindInfo* kind_info_of(const Type& type) {
    for (const KindInfo& info : builtin_kinds())
      if (info.type == &type) return &info;
    return nullptr;
  }

  void elements(Kind kind, const Type* inner, const RawList& list, const KindInfo* meta = nullptr) {
    size_t step = kind_size(kind, inner);
    out_ += '[';
    for (size_t i = 0, n = list.size(); i < n; ++i) {
      if (i != 0) out_ += ',';
      if (meta != nullptr) {
        object(*inner, list.at(i, step), meta);
      } else {
        value(kind, inner, list.at(i, step));
      }
    }
    out_ += ']';
  }

  void entries(Kind kind, const Type* inner, const RawList& list) {
    size_t step = map_entry_size(kind_size(kind, inner));
    out_ += '{';
    for (size_t i = 0, n = list.size(); i < n; ++i) {
      if (i != 0) out_ += ',';
      const char* entry = list.at(i, step);
      append_json_string(out_, reinterpret_cast<const Str*>(entry)->view());
      out_ += ':';
      value(kind, inner, entry + kMapValueOffset);
    }
    out_ += '}';
  }

  void value(Kind kind, const Type* inner, const void* at) {
    switch (kind) {
      case Kind::kString:
        return append_json_string(out_, static_cast<const Str*>(at)->view());
      case Kind::kStruct:
        return object(*inner, at, nullptr);
      case Kind::kBool:
        out_ += *static_cast<const bool*>(at) ? "true" : "false";
        return;
      case Kind::kInt32:
        return append_int(out_, *static_cast<const int32_t*>(at));
      case Kind::kInt64:
        return append_int(out_, *static_cast<const int64_t*>(at));
      case Kind::kUint32:
        return append_uint(out_, *static_cast<const uint32_t*>(at));
      case Kind::kUint64:
        return append_uint(out_, *static_cast<const uint64_t*>(at));
      case Kind::kFloat:
        return append_float(out_, *static_cast<const float*>(at));
      case Kind::kDouble:
        return append_double(out_, *static_cast<const double*>(at));
      case Kind::kStringList:
        return string_list(*static_cast<const List<Str>*>(at));
      default:
        return text_value(kind, at);
    }
  }

  // Values that Go holds in structs with a marshaler of their own.
  void text_value(Kind kind, const void* at) {
    switch (kind) {
      case Kind::kTime: {
        Time time = *static_cast<const Time*>(at);
        return time.is_zero() ? null() : plain_string(format_time(time));
      }
      case Kind::kMicroTime: {
        MicroTime time = *static_cast<const MicroTime*>(at);
        return time.is_zero() ? null() : plain_string(format_micro_time(time));
      }
      case Kind::kDuration:
        return plain_string(format_duration(static_cast<const DurationValue*>(at)->nanos));
      case Kind::kQuantity: {
        std::string_view text = *static_cast<const Str*>(at);
        return append_json_string(out_, text.empty() ? "0" : text);
      }
      case Kind::kIntOrString: {
        const auto& either = *static_cast<const IntOrString*>(at);
        return either.is_string ? append_json_string(out_, either.text)
                                : append_int(out_, either.number);
      }
      case Kind::kBytes: {
        const auto& bytes = *static_cast<const Str*>(at);
        if (bytes.is_null()) return null();
        out_ += '"';
        append_base64(out_, bytes);
        out_ += '"';
        return;
      }
      default:
        return append_raw_json(out_, static_cast<const Raw*>(at)->bytes, kind);
    }
  }

  void string_list(const List<Str>& list) {
    if (list.is_null()) return null();
    out_ += '[';
    for (size_t i = 0; i < list.size(); ++i) {
      if (i != 0) out_ += ',';
      append_json_string(out_, list[i]);
    }
    out_ += ']';
  }

  // The three types of an OpenAPI schema that are one of two forms.
  void special(const Type& type, const void* object) {
    std::span<const Field> fields = type.fields();
    const Type* inner[2];
    for (size_t i = 0; i < 2; ++i)
      inner[i] = fields[i].kind == Kind::kStruct ? &type.set->types[fields[i].type] : nullptr;
    if (type.flags & kOrBool) {  // allows, schema
      const void* schema = optional_value(Kind::kStruct, field_at(object, fields[1]));
      if (schema != nullptr) return value(Kind::kStruct, inner[1], schema);
      out_ += *static_cast<const bool*>(field_at(object, fields[0])) ? "true" : "false";
      return;
    }
    // schema, then a list that wins when it has elements
    const RawList& list = *static_cast<const RawList*>(field_at(object, fields[1]));
    if (list.size() != 0) return elements(fields[1].kind, inner[1], list);
    const void* schema = optional_value(Kind::kStruct, field_at(object, fields[0]));
    if (schema != nullptr) return value(Kind::kStruct, inner[0], schema);
    null();
  }

  // What a run-time type keeps of fields that it does not know: the text of an object.
  void unknown_members(const Raw& raw, bool& first) {
    std::string_view text = raw.bytes;
    if (text.size() <= 2) return;
    if (!first) out_ += ',';
    first = false;
    append_compact_json(out_, text.substr(1, text.size() - 2), true);
  }

  void null() { out_ += "null"; }
  void plain_string(std::string_view text) {
    out_ += '"';
    out_ += text;
    out_ += '"';
  }

  std::string& out_;
};

}  // namespace

void append_raw_json(std::string& out, std::string_view bytes, Kind kind) {
  if (bytes.empty()) {
    out += "null";
    return;
  }
  if (kind == Kind::kRawExtension && bytes.starts_with(kProtoMagic)) {
    // An object that came as protobuf is shown when its kind is one of ours.
    Result<Envelope> envelope = open_envelope(bytes);
    const KindInfo* info =
        envelope.ok() ? find_kind(envelope->type_meta.api_version, envelope->type_meta.kind)
                      : nullptr;
    if (info != nullptr) {
      Object object(*info->type);
      if (decode_proto(envelope->raw, *info->type, object.data()).ok())
        return encode_json(out, *info->type, object.data(), info);
    }
  }
  // Bytes from protobuf were never checked, and what is not JSON would break the document around
  // it.
  if (!is_valid_json(bytes)) {
    out += "null";
    return;
  }
  append_compact_json(out, bytes, true);
}

void encode_json(std::string& out, const Type& type, const void* object, const KindInfo* meta) {
  JsonEncoder(out).object(type, object, meta);
}

}  // namespace knarr::schema
