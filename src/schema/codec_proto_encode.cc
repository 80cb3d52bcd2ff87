// SPDX-License-Identifier: Apache-2.0
// Protobuf as gogo writes it: fields in the order of their numbers, plain proto2 fields always,
// maps sorted by key.
//
// The message is written backwards, from its last byte to its first, so that every length is known
// when it is due.
#include <cstring>

#include "schema/codec.h"
#include "schema/codec_internal.h"

namespace knarr::schema {
namespace {

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class BackwardBuffer {
 public:
  ~BackwardBuffer() { std::free(block_); }

  void reset() { at_ = end_; }
  size_t size() const { return static_cast<size_t>(end_ - at_); }
  std::string_view view() const { return {at_, size()}; }

  void bytes(std::string_view text) {
    room(text.size());
    at_ -= text.size();
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
  }
  void varint(uint64_t value) {
    room(10);
    if (value < 0x80) {
      *--at_ = static_cast<char>(value);
      return;
    }
    int size = (63 - __builtin_clzll(value)) / 7 + 1;
    at_ -= size;
    char* to = at_;
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
    *to = static_cast<char>(value);
  }
  void tag(uint32_t number, Wire wire) { varint(number << 3 | wire); }
  template <class T>
  void fixed(T value) {
    room(sizeof value);
    at_ -= sizeof value;
    std::memcpy(at_, &value, sizeof value);  // little-endian machines only
  }
  // Keeps a huge message from being held for ever.
  void trim() {
    if (end_ - block_ <= kKept) return;
    std::free(block_);
    block_ = at_ = end_ = nullptr;
  }

 private:
  static constexpr ptrdiff_t kKept = 1 << 20;

  void room(size_t size) {
    if (static_cast<size_t>(at_ - block_) >= size) [[likely]]
      return;
    size_t used = this->size();
    size_t capacity = std::max<size_t>(4096, 2 * (used + size));
    char* block = static_cast<char*>(detail::allocate(capacity));
    if (used != 0) std::memcpy(block + capacity - used, at_, used);
    std::free(block_);
    block_ = block;
    end_ = block + capacity;
    at_ = end_ - used;
  }

  char* block_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

class ProtoEncoder {
 public:
  explicit ProtoEncoder(BackwardBuffer& out) : out_(out) {}

  void message(const Type& type, const void* object) {
    const TypeSet& set = *type.set;
    const Field* fields = set.fields + type.first_field;
    const uint8_t* order = set.tag_orders + type.tag_order;
    bool proto3 = type.flags & kProto3;
    for (size_t i = *order; i > 0; --i) {
      const Field& field = fields[order[i]];
      const void* at = field_at(object, field);
      const Type* inner = field.kind == Kind::kStruct ? &set.types[field.type] : nullptr;
      switch (field.shape) {
        case Shape::kPlain:
          if (proto3 && is_zero_scalar(field.kind, at)) break;
          value(field.tag, field.kind, inner, at);
          break;
        case Shape::kOptional:
          if (const void* held = optional_value(field.kind, at))
            value(field.tag, field.kind, inner, held);
          break;
        case Shape::kList:
          list(field, inner, *static_cast<const RawList*>(at), proto3);
          break;
        case Shape::kMap:
          map(field, inner, *static_cast<const RawList*>(at));
          break;
      }
    }
  }

 private:
  static bool is_zero_scalar(Kind kind, const void* at) {
    switch (kind) {
      case Kind::kBool:
        return !*static_cast<const bool*>(at);
      case Kind::kInt32:
      case Kind::kUint32:
      case Kind::kFloat:
        return *static_cast<const uint32_t*>(at) == 0;
      case Kind::kInt64:
      case Kind::kUint64:
      case Kind::kDouble:
        return *static_cast<const uint64_t*>(at) == 0;
      case Kind::kString:
      case Kind::kBytes:
        return static_cast<const Str*>(at)->empty();
      default:
        return false;
    }
  }

  void close(size_t before, uint32_t tag) {
    out_.varint(out_.size() - before);
    out_.tag(tag, kBytes);
  }

  void text(uint32_t tag, std::string_view bytes) {
    out_.bytes(bytes);
    out_.varint(bytes.size());
    out_.tag(tag, kBytes);
  }

  void list(const Field& field, const Type* inner, const RawList& list, bool proto3) {
    if (list.block == nullptr) return;
    size_t step = kind_size(field.kind, inner);
    size_t before = out_.size();
    if (proto3 && is_packable(field.kind)) {
      if (list.size() == 0) return;
      for (size_t i = list.size(); i-- > 0;) scalar(field.kind, list.at(i, step));
      return close(before, field.tag);
    }
    uint32_t tag = field.flags & kWrapped ? 1 : field.tag;
    for (size_t i = list.size(); i-- > 0;) {
      // As an element, nil bytes are empty bytes.
      if (field.kind == Kind::kBytes) {
        text(tag, reinterpret_cast<const Str*>(list.at(i, step))->view());
      } else {
        value(tag, field.kind, inner, list.at(i, step));
      }
    }
    if (field.flags & kWrapped) close(before, field.tag);
  }

  void map(const Field& field, const Type* inner, const RawList& map) {
    size_t step = map_entry_size(kind_size(field.kind, inner));
    for (size_t i = map.size(); i-- > 0;) {
      size_t before = out_.size();
      const char* entry = map.at(i, step);
      value(2, field.kind, inner, entry + kMapValueOffset);
      text(1, reinterpret_cast<const Str*>(entry)->view());
      close(before, field.tag);
    }
  }

  static bool is_packable(Kind kind) { return kind <= Kind::kDouble; }

  // A scalar without its tag.
  void scalar(Kind kind, const void* at) {
    switch (kind) {
      case Kind::kBool:
        return out_.varint(*static_cast<const bool*>(at) ? 1 : 0);
      case Kind::kInt32:
        return out_.varint(static_cast<uint64_t>(int64_t{*static_cast<const int32_t*>(at)}));
      case Kind::kUint32:
        return out_.varint(*static_cast<const uint32_t*>(at));
      case Kind::kInt64:
      case Kind::kUint64:
        return out_.varint(*static_cast<const uint64_t*>(at));
      case Kind::kFloat:
        return out_.fixed(*static_cast<const uint32_t*>(at));
      default:
        return out_.fixed(*static_cast<const uint64_t*>(at));
    }
  }

  void value(uint32_t tag, Kind kind, const Type* inner, const void* at) {
    switch (kind) {
      case Kind::kString:
        return text(tag, static_cast<const Str*>(at)->view());
      case Kind::kStruct: {
        size_t before = out_.size();
        message(*inner, at);
        return close(before, tag);
      }
      case Kind::kBool:
      case Kind::kInt32:
      case Kind::kInt64:
      case Kind::kUint32:
      case Kind::kUint64:
        scalar(kind, at);
        return out_.tag(tag, kVarint);
      case Kind::kFloat:
        scalar(kind, at);
        return out_.tag(tag, kFixed32);
      case Kind::kDouble:
        scalar(kind, at);
        return out_.tag(tag, kFixed64);
      case Kind::kBytes:
        if (!static_cast<const Str*>(at)->is_null()) text(tag, static_cast<const Str*>(at)->view());
        return;
      default:
        return nested(tag, kind, at);
    }
  }

  // Kinds that are small messages of their own.
  void nested(uint32_t tag, Kind kind, const void* at) {
    size_t before = out_.size();
    switch (kind) {
      case Kind::kTime: {
        Time time = *static_cast<const Time*>(at);
        if (!time.is_zero()) timestamp(time.unix_seconds(), 0);
        break;
      }
      case Kind::kMicroTime: {
        MicroTime time = *static_cast<const MicroTime*>(at);
        if (time.is_zero()) break;
        int64_t micros = time.unix_micros();
        int64_t seconds = micros / 1000000 - (micros % 1000000 < 0);
        timestamp(seconds, (micros - seconds * 1000000) * 1000);
        break;
      }
      case Kind::kDuration:
        out_.varint(static_cast<uint64_t>(static_cast<const DurationValue*>(at)->nanos));
        out_.tag(1, kVarint);
        break;
      case Kind::kQuantity: {
        std::string_view quantity = *static_cast<const Str*>(at);
        text(1, quantity.empty() ? "0" : quantity);
        break;
      }
      case Kind::kIntOrString: {
        const auto& either = *static_cast<const IntOrString*>(at);
        text(3, either.text);
        out_.varint(static_cast<uint64_t>(int64_t{either.number}));
        out_.tag(2, kVarint);
        out_.varint(either.is_string ? 1 : 0);
        out_.tag(1, kVarint);
        break;
      }
      case Kind::kStringList: {
        const auto& list = *static_cast<const List<Str>*>(at);
        for (size_t i = list.size(); i-- > 0;) text(1, list[i]);
        break;
      }
      default: {
        const Str& bytes = static_cast<const Raw*>(at)->bytes;
        if (!bytes.is_null()) text(1, bytes);
      }
    }
    close(before, tag);
  }

  void timestamp(int64_t seconds, int64_t nanos) {
    out_.varint(static_cast<uint64_t>(nanos));
    out_.tag(2, kVarint);
    out_.varint(static_cast<uint64_t>(seconds));
    out_.tag(1, kVarint);
  }

  BackwardBuffer& out_;
};

}  // namespace

void encode_proto(std::string& out, const Type& type, const void* object) {
  thread_local BackwardBuffer buffer;
  buffer.reset();
  ProtoEncoder(buffer).message(type, object);
  out += buffer.view();
  buffer.trim();
}

}  // namespace knarr::schema
