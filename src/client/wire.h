// SPDX-License-Identifier: Apache-2.0
// From bytes of an answer to objects: what the client needs beside the codecs. Internal to this module.
//
// Input is hostile: every length is checked, nothing recurses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/client.h"
#include "schema/codec.h"

namespace knarr::client {

inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";
inline constexpr std::string_view kJsonType = "application/json";

// The media type of a Content-Type header, without parameters.
std::string_view media_type(std::string_view content_type);
bool is_protobuf(std::string_view content_type);

// One length-delimited or varint field of a protobuf message. next() is false at the end or on damage (then !ok()).
class ProtoFields {
 public:
  explicit ProtoFields(std::string_view message) : rest_(message) {}
  bool next();
  bool ok() const { return ok_; }
  uint32_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }  // of a length-delimited field, else ""

 private:
  bool varint(uint64_t& value);
  std::string_view rest_, bytes_;
  uint32_t number_ = 0;
  bool ok_ = true;
};

// A single object. An answer of kind Status in place of the expected one is told by *is_status.
Result<schema::Object> decode_object(std::string_view content_type, std::string_view body, const schema::Type& type,
                                     bool* is_status = nullptr);
Result<Client::Objects> decode_list(std::string_view content_type, std::string_view body, const schema::Type& type);

// Splits a watch's byte stream into frames: 4-byte lengths for protobuf, lines for JSON.
class FrameSplitter {
 public:
  explicit FrameSplitter(bool protobuf) : protobuf_(protobuf) {}
  static constexpr size_t kMaxFrame = size_t{64} << 20;
  void append(std::string_view bytes);
  // A complete frame, "" when more bytes are needed; an error when a frame is too large.
  Result<std::string> next();
  bool empty() const { return at_ == buffer_.size(); }

 private:
  bool protobuf_;
  std::string buffer_;
  size_t at_ = 0;
};
Result<WatchEvent> decode_watch_event(bool protobuf, std::string_view frame, const schema::Type& type);

}  // namespace knarr::client
