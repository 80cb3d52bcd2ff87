// SPDX-License-Identifier: Apache-2.0
// Protobuf into structs. As gogo's generated code: messages merge, the last scalar wins, unknown
// fields are passed over, a known number with the wrong wire type fails.
#include <algorithm>

#include "schema/codec.h"
#include "schema/codec_internal.h"
#include "schema/proto_reader.h"
#include "schema/quantity.h"

namespace knarr::schema {
namespace {

class ProtoDecoder {
 public:
  Status run(std::string_view bytes, const Type& type, void* object) {
    if (message(bytes, type, object)) return {};
    return Status::make(
        400, "BadRequest",
        error_.empty() ? "proto: malformed " + std::string(type.type_name()) : error_);
  }

 private:
  bool message(std::string_view bytes, const Type& type, void* object) {
    if (++depth_ > kMaxTypedDepth) return fail("proto: exceeded max depth");
    const TypeSet& set = *type.set;
    const Field* fields = set.fields + type.first_field;
    const uint8_t* order = set.tag_orders + type.tag_order;
    size_t count = *order++, next = 0;
    ProtoReader reader(bytes);
    while (!reader.done()) {
      uint32_t number;
      WireType wire;
      if (!reader.tag(number, wire)) return fail("proto: illegal tag");
      // Fields come in the order of their numbers: go on from the last hit; otherwise look from the
      // start.
      if (next >= count || fields[order[next]].tag > number) next = 0;
      while (next < count && fields[order[next]].tag < number) ++next;
      if (next >= count || fields[order[next]].tag != number) {
        next = 0;
        if (!reader.skip(wire)) return fail("proto: illegal wireType or unexpected EOF");
        continue;
      }
      const Field& known = fields[order[next]];
      const Type* inner = known.kind == Kind::kStruct ? &set.types[known.type] : nullptr;
      if (!field(reader, wire, known, inner, field_at(object, known))) {
        if (error_.empty())
          error_ = "proto: malformed field " + std::string(set.text(known.name)) + " of " +
                   std::string(type.type_name());
        return false;
      }
    }
    --depth_;
    return true;
  }

  bool field(ProtoReader& reader, WireType wire, const Field& field, const Type* inner, void* at) {
    switch (field.shape) {
      case Shape::kPlain:
        return value(reader, wire, field.kind, inner, at);
      case Shape::kOptional:
        return value(reader, wire, field.kind, inner, optional_ensure(field.kind, inner, at));
      case Shape::kList:
        return list(reader, wire, field, inner, *static_cast<RawList*>(at));
      case Shape::kMap:
        return map(reader, wire, field, inner, *static_cast<RawList*>(at));
    }
    return false;
  }

  bool list(ProtoReader& reader, WireType wire, const Field& field, const Type* inner,
            RawList& list) {
    size_t step = kind_size(field.kind, inner);
    bool packed = wire == WireType::kBytes && field.kind <= Kind::kDouble;
    if (!packed && !(field.flags & kWrapped))
      return value(reader, wire, field.kind, inner, list.append(step));
    std::string_view bytes;
    if (wire != WireType::kBytes || !reader.bytes(bytes)) return false;
    ProtoReader items(bytes);
    if (packed) {
      WireType item = field.kind == Kind::kFloat    ? WireType::kFixed32
                      : field.kind == Kind::kDouble ? WireType::kFixed64
                                                    : WireType::kVarint;
      while (!items.done())
        if (!value(items, item, field.kind, inner, list.append(step))) return false;
      return true;
    }
    list.make_present();
    uint32_t number;
    while (!items.done()) {
      if (!items.tag(number, wire)) return false;
      if (number == 1 ? !value(items, wire, field.kind, inner, list.append(step))
                      : !items.skip(wire))
        return false;
    }
    return true;
  }

  bool map(ProtoReader& reader, WireType wire, const Field& field, const Type* inner,
           RawList& map) {
    std::string_view bytes, key;
    if (wire != WireType::kBytes || !reader.bytes(bytes)) return false;
    // The key may come behind the value: find the key first.
    for (ProtoReader entry(bytes); !entry.done();) {
      uint32_t number;
      if (!entry.tag(number, wire)) return false;
      if (number == 1 && wire == WireType::kBytes) {
        if (!entry.bytes(key)) return false;
        if (!entry.done() && *entry.position() == '\x12')
          break;  // the usual order: the value's tag follows
      } else if (!entry.skip(wire)) {
        return false;
      }
    }
    map.make_present();
    bool existed = false;
    void* slot = map_slot(map, key, kind_size(field.kind, inner), &existed);
    if (existed) destroy_value(field.kind, inner, slot);
    for (ProtoReader entry(bytes); !entry.done();) {
      uint32_t number;
      if (!entry.tag(number, wire)) return false;
      if (number == 2 ? !value(entry, wire, field.kind, inner, slot) : !entry.skip(wire))
        return false;
    }
    return true;
  }

  bool value(ProtoReader& reader, WireType wire, Kind kind, const Type* inner, void* at) {
    if (kind < Kind::kString) return scalar(reader, wire, kind, at);
    std::string_view bytes;
    if (wire != WireType::kBytes)
      return fail("proto: wrong wireType = " + std::to_string(static_cast<int>(wire)));
    if (!reader.bytes(bytes)) return fail("unexpected EOF");
    switch (kind) {
      case Kind::kString: {
        auto& text = *static_cast<Str*>(at);
        text.assign(bytes, !text.is_null());  // an Opt<Str> is present even when empty
        return true;
      }
      case Kind::kBytes:
        static_cast<Str*>(at)->assign(bytes, true);
        return true;
      case Kind::kStruct:
        return message(bytes, *inner, at);
      default:
        return nested(bytes, kind, at);
    }
  }

  bool scalar(ProtoReader& reader, WireType wire, Kind kind, void* at) {
    uint64_t number = 0;
    WireType wanted = kind == Kind::kFloat    ? WireType::kFixed32
                      : kind == Kind::kDouble ? WireType::kFixed64
                                              : WireType::kVarint;
    if (wire != wanted)
      return fail("proto: wrong wireType = " + std::to_string(static_cast<int>(wire)));
    if (kind == Kind::kFloat) return reader.fixed(*static_cast<uint32_t*>(at));
    if (kind == Kind::kDouble) return reader.fixed(*static_cast<uint64_t*>(at));
    if (!reader.varint(number)) return fail("unexpected EOF");
    switch (kind) {
      case Kind::kBool:
        *static_cast<bool*>(at) = number != 0;
        break;
      case Kind::kInt32:
      case Kind::kUint32:
        *static_cast<uint32_t*>(at) = static_cast<uint32_t>(number);
        break;
      default:
        *static_cast<uint64_t*>(at) = number;
    }
    return true;
  }

  // The small messages: up to three fields, collected and then put together.
  bool nested(std::string_view bytes, Kind kind, void* at) {
    uint64_t numbers[4] = {};
    std::string_view texts[4];
    bool has_text[4] = {};
    auto* list = static_cast<List<Str>*>(at);
    for (ProtoReader reader(bytes); !reader.done();) {
      uint32_t number;
      WireType wire;
      if (!reader.tag(number, wire)) return false;
      if (number > 3) {
        if (!reader.skip(wire)) return false;
        continue;
      }
      if (wire == WireType::kVarint) {
        if (!reader.varint(numbers[number])) return false;
      } else if (wire == WireType::kBytes) {
        if (!reader.bytes(texts[number])) return false;
        has_text[number] = true;
        if (kind == Kind::kStringList && number == 1) list->emplace_back().assign(texts[1]);
      } else {
        return false;
      }
    }
    auto seconds = static_cast<int64_t>(numbers[1]);
    switch (kind) {
      case Kind::kTime:
        // No message is the zero time; what Go's calendar cannot hold is cut to what 64 bits can.
        *static_cast<Time*>(at) =
            bytes.empty() ? Time()
                          : Time::from_unix(std::clamp(seconds, -kMaxSeconds, kMaxSeconds));
        return true;
      case Kind::kMicroTime: {
        int64_t whole = std::clamp(seconds, -kMaxMicroSeconds, kMaxMicroSeconds);
        *static_cast<MicroTime*>(at) =
            bytes.empty() ? MicroTime()
                          : MicroTime::from_unix_micros(whole * 1000000 +
                                                        static_cast<int32_t>(numbers[2]) / 1000);
        return true;
      }
      case Kind::kDuration:
        static_cast<DurationValue*>(at)->nanos = seconds;
        return true;
      case Kind::kQuantity:
        return quantity(texts[1], *static_cast<Quantity*>(at));
      case Kind::kIntOrString: {
        auto& either = *static_cast<IntOrString*>(at);
        either.is_string = numbers[1] == 1;
        either.number = static_cast<int32_t>(numbers[2]);
        either.text.assign(texts[3]);
        return true;
      }
      case Kind::kStringList:
        if (list->is_null()) list->reserve(1);
        return true;
      default:
        if (has_text[1]) static_cast<Raw*>(at)->bytes.assign(texts[1], true);
        return true;
    }
  }

  bool quantity(std::string_view text, Quantity& target) {
    if (text.empty()) {
      target.text.reset();
      return true;
    }
    // Mostly it is canonical already, for a server wrote it.
    Result<std::string> canonical = canonical_quantity(text);
    if (!canonical.ok()) return fail(std::string(canonical.status().message()));
    target.text.assign(*canonical);
    return true;
  }

  bool fail(std::string text) {
    if (error_.empty()) error_ = std::move(text);
    return false;
  }

  static constexpr int64_t kMaxSeconds = 1000000000000000;  // 31 million years
  static constexpr int64_t kMaxMicroSeconds = 9000000000000;

  int depth_ = 0;
  std::string error_;
};

}  // namespace

Status decode_proto(std::string_view bytes, const Type& type, void* object) {
  return ProtoDecoder().run(bytes, type, object);
}

}  // namespace knarr::schema
