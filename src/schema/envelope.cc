// SPDX-License-Identifier: Apache-2.0
// The protobuf envelope ("k8s\0" and runtime.Unknown), and the entry points that take any encoding.
#include "schema/codec.h"
#include "schema/proto_reader.h"

namespace knarr::schema {
namespace {

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_text_field(std::string& out, uint32_t number, std::string_view text) {
  append_varint(out, number << 3 | 2);
  append_varint(out, text.size());
  out += text;
}

Status malformed(std::string_view what) {
  return Status::make(
      400, "BadRequest",
      "provided data does not appear to be a protobuf message: " + std::string(what));
}

bool read_type_meta(std::string_view bytes, TypeMeta& meta) {
  for (ProtoReader reader(bytes); !reader.done();) {
    uint32_t number;
    WireType wire;
    std::string_view text;
    if (!reader.tag(number, wire)) return false;
    if ((number == 1 || number == 2) && wire == WireType::kBytes) {
      if (!reader.bytes(text)) return false;
      (number == 1 ? meta.api_version : meta.kind) = text;
    } else if (!reader.skip(wire)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string envelope_head(std::string_view api_version, std::string_view kind, size_t raw_size) {
  std::string meta;
  append_text_field(meta, 1, api_version);
  append_text_field(meta, 2, kind);
  std::string head(kProtoMagic);
  append_text_field(head, 1, meta);
  head += '\x12';
  append_varint(head, raw_size);
  return head;
}

void encode_envelope(std::string& out, const KindInfo& meta, const void* object) {
  std::string raw;
  encode_proto(raw, *meta.type, object);
  out += envelope_head(meta.api_version, meta.kind, raw.size());
  out += raw;
  out += kEnvelopeTail;
}

Result<Envelope> open_envelope(std::string_view bytes) {
  if (!bytes.starts_with(kProtoMagic)) return malformed("expected prefix [107 56 115 0]");
  Envelope envelope;
  for (ProtoReader reader(bytes.substr(kProtoMagic.size())); !reader.done();) {
    uint32_t number;
    WireType wire;
    std::string_view text;
    if (!reader.tag(number, wire)) return malformed("illegal tag");
    if (number > 2) {
      if (!reader.skip(wire)) return malformed("unexpected EOF");
      continue;
    }
    if (wire != WireType::kBytes || !reader.bytes(text)) return malformed("unexpected EOF");
    if (number == 2) {
      envelope.raw = text;
    } else if (!read_type_meta(text, envelope.type_meta)) {
      return malformed("unexpected EOF");
    }
  }
  return envelope;
}

Result<std::string> with_resource_version(std::string_view bytes,
                                          std::string_view resource_version) {
  constexpr uint32_t kMetadata = 1, kResourceVersion = 6;
  auto failure = [] {
    return Status::error("stored object has no metadata to put its resourceVersion into");
  };
  // The metadata comes first in what our encoder, and upstream's, writes.
  ProtoReader reader(bytes);
  uint32_t number;
  WireType wire;
  std::string_view metadata;
  if (!reader.tag(number, wire) || number != kMetadata || wire != WireType::kBytes ||
      !reader.bytes(metadata))
    return failure();
  size_t rest = static_cast<size_t>(reader.position() - bytes.data());

  std::string changed;
  changed.reserve(metadata.size() + resource_version.size() + 4);
  bool placed = false;
  for (ProtoReader fields(metadata); !fields.done();) {
    const char* from = fields.position();
    if (!fields.tag(number, wire) || !fields.skip(wire)) return failure();
    if (!placed && number >= kResourceVersion) {
      append_text_field(changed, kResourceVersion, resource_version);
      placed = true;
    }
    if (number != kResourceVersion) changed.append(from, fields.position());
  }
  if (!placed) append_text_field(changed, kResourceVersion, resource_version);

  std::string out;
  out.reserve(changed.size() + 12 + bytes.size() - rest);
  append_text_field(out, kMetadata, changed);
  out += bytes.substr(rest);
  return out;
}

Status decode(Encoding encoding, std::string_view bytes, const Type& type, void* object,
              DecodeReport* report) {
  switch (encoding) {
    case Encoding::kJson:
      return decode_json(bytes, type, object, report);
    case Encoding::kYaml: {
      TRY_ASSIGN(std::string json, yaml_to_json(bytes, report));
      return decode_json(json, type, object, report);
    }
    case Encoding::kProtobuf:
      break;
  }
  TRY_ASSIGN(Envelope envelope, open_envelope(bytes));
  if (report != nullptr) report->type_meta = envelope.type_meta;
  return decode_proto(envelope.raw, type, object);
}

std::string encode(Encoding encoding, const KindInfo& meta, const void* object) {
  std::string out;
  if (encoding == Encoding::kProtobuf) {
    encode_envelope(out, meta, object);
    return out;
  }
  encode_json(out, *meta.type, object, &meta);
  if (encoding == Encoding::kJson) return out;
  Result<std::string> yaml = json_to_yaml(out);
  return yaml.ok() ? std::move(*yaml) : out;  // our own JSON is always readable
}

}  // namespace knarr::schema
