// SPDX-License-Identifier: Apache-2.0
#include "client/wire.h"

#include "client/metadata.h"
#include "api/meta_v1.h"
#include "schema/json.h"

namespace knarr::client {
namespace {

using api::meta_v1::ListMeta;

Status damaged(std::string_view what) {
  return Status::error("unable to decode " + std::string(what) + " from the server");
}

Result<schema::Object> from_proto(std::string_view raw, const schema::Type& type) {
  schema::Object object(type);
  TRY(schema::decode_proto(raw, type, object.data()));
  return object;
}

Result<schema::Object> from_json(std::string_view text, const schema::Type& type) {
  schema::Object object(type);
  TRY(schema::decode_json(text, type, object.data()));
  return object;
}

Result<Client::Objects> proto_list(std::string_view body, const schema::Type& type) {
  TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(body));
  Client::Objects list;
  ProtoFields fields(envelope.raw);
  while (fields.next()) {
    if (fields.number() == 1) {
      TRY_ASSIGN(ListMeta meta, schema::from_proto<ListMeta>(fields.bytes()));
      list.resource_version = meta.resource_version.str();
      list.continue_token = meta.continue_.str();
    } else if (fields.number() == 2) {
      TRY_ASSIGN(schema::Object item, from_proto(fields.bytes(), type));
      list.items.push_back(std::move(item));
    }
  }
  if (!fields.ok()) return damaged("a list");
  return list;
}

Result<Client::Objects> json_list(std::string_view body, const schema::Type& type) {
  TRY_ASSIGN(json::Value document, json::parse(body));
  Client::Objects list;
  list.resource_version = document.at({"metadata", "resourceVersion"}).as_string();
  list.continue_token = document.at({"metadata", "continue"}).as_string();
  for (const json::Value& item : document.at({"items"}).items()) {
    std::string text = json::to_string(item);
    TRY_ASSIGN(schema::Object object, from_json(text, type));
    list.items.push_back(std::move(object));
  }
  return list;
}

}  // namespace

std::string_view media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return type;
}

bool is_protobuf(std::string_view content_type) { return media_type(content_type) == kProtobufType; }

bool ProtoFields::varint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return false;
    auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool ProtoFields::next() {
  if (rest_.empty() || !ok_) return false;
  ok_ = false;
  uint64_t key = 0, size = 0;
  if (!varint(key)) return false;
  number_ = static_cast<uint32_t>(key >> 3);
  bytes_ = {};
  switch (key & 7) {
    case 0:
      if (!varint(size)) return false;
      break;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2:
      if (!varint(size)) return false;
      break;
    default: return false;
  }
  if ((key & 7) != 0) {
    if (size > rest_.size()) return false;
    bytes_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  ok_ = true;
  return true;
}

Result<schema::Object> decode_object(std::string_view content_type, std::string_view body, const schema::Type& type,
                                     bool* is_status) {
  bool status_expected = type.type_name() == "Status" && type.set == &schema::kBuiltin;
  if (is_protobuf(content_type)) {
    TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(body));
    if (is_status != nullptr && !status_expected && envelope.type_meta.kind == "Status") {
      *is_status = true;
      return schema::Object();
    }
    return from_proto(envelope.raw, type);
  }
  if (is_status != nullptr && !status_expected) {
    TRY_ASSIGN(schema::TypeMeta meta, schema::peek_json(body));
    if (meta.kind == "Status") {
      *is_status = true;
      return schema::Object();
    }
  }
  return from_json(body, type);
}

Result<Client::Objects> decode_list(std::string_view content_type, std::string_view body, const schema::Type& type) {
  return is_protobuf(content_type) ? proto_list(body, type) : json_list(body, type);
}

void FrameSplitter::append(std::string_view bytes) {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  } else if (at_ > buffer_.size() / 2) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  buffer_.append(bytes);
}

Result<std::string> FrameSplitter::next() {
  std::string_view rest = std::string_view(buffer_).substr(at_);
  if (protobuf_) {
    if (rest.size() < 4) return std::string();
    size_t size = 0;
    for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(rest[i]);
    if (size > kMaxFrame) return Status::error("watch frame is too large");
    if (rest.size() - 4 < size) return std::string();
    at_ += 4 + size;
    return std::string(rest.substr(4, size));
  }
  while (true) {
    size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() > kMaxFrame) return Status::error("watch frame is too large");
      return std::string();
    }
    at_ += end + 1;
    if (end > 0) return std::string(rest.substr(0, end));
    rest.remove_prefix(1);
  }
}

Result<WatchEvent> decode_watch_event(bool protobuf, std::string_view frame, const schema::Type& type) {
  WatchEvent event;
  std::string raw;
  if (protobuf) {
    // The frame is enveloped only when the server says so by its magic; upstream sends the bare WatchEvent.
    if (frame.substr(0, 4) == schema::kProtoMagic) {
      TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(frame));
      frame = envelope.raw;
    }
    ProtoFields fields(frame);
    while (fields.next()) {
      if (fields.number() == 1) event.type = fields.bytes();
      if (fields.number() != 2) continue;
      ProtoFields inner(fields.bytes());
      while (inner.next())
        if (inner.number() == 1) raw = inner.bytes();
      if (!inner.ok()) return damaged("a watch event");
    }
    if (!fields.ok()) return damaged("a watch event");
  } else {
    TRY_ASSIGN(json::Value document, json::parse(frame));
    event.type = document.at({"type"}).as_string();
    json::write(raw, document.at({"object"}));
  }
  if (event.type.empty()) return damaged("a watch event");
  const schema::Type& object_type = event.type == "ERROR" ? api::meta_v1::Status::table() : type;
  std::string_view content_type = raw.compare(0, 4, schema::kProtoMagic) == 0 ? kProtobufType : kJsonType;
  TRY_ASSIGN(schema::Object object, decode_object(content_type, raw, object_type));
  if (auto* metadata = metadata_of(object)) metadata->managed_fields.reset();
  event.object = std::make_shared<const schema::Object>(std::move(object));
  return event;
}

}  // namespace knarr::client
