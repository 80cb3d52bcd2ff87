// SPDX-License-Identifier: Apache-2.0
// Walks the fields of one protobuf message. Never reads past its bytes; answers false on malformed
// input.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace knarr::schema {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool done() const { return at_ == end_; }
  const char* position() const { return at_; }

  bool varint(uint64_t& value) {
    if (at_ < end_ && static_cast<uint8_t>(*at_) < 0x80) [[likely]] {
      value = static_cast<uint8_t>(*at_++);
      return true;
    }
    value = 0;
    for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
      auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  // False at malformed tags and number 0.
  bool tag(uint32_t& number, WireType& wire) {
    uint64_t value;
    if (!varint(value) || value >> 3 == 0 || value >> 32 != 0) return false;
    number = static_cast<uint32_t>(value >> 3);
    wire = static_cast<WireType>(value & 7);
    return true;
  }
  bool bytes(std::string_view& value) {
    uint64_t size;
    if (!varint(size) || size > static_cast<uint64_t>(end_ - at_)) return false;
    value = {at_, static_cast<size_t>(size)};
    at_ += size;
    return true;
  }
  template <class T>
  bool fixed(T& value) {
    if (static_cast<size_t>(end_ - at_) < sizeof value) return false;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return true;
  }
  // Passes over a field's value. Groups, which Kubernetes never had, are malformed.
  bool skip(WireType wire) {
    uint64_t number;
    std::string_view text;
    uint32_t word;
    switch (wire) {
      case WireType::kVarint:
        return varint(number);
      case WireType::kFixed64:
        return fixed(number);
      case WireType::kBytes:
        return bytes(text);
      case WireType::kFixed32:
        return fixed(word);
      default:
        return false;
    }
  }

 private:
  const char* at_;
  const char* end_;
};

}  // namespace knarr::schema
