// SPDX-License-Identifier: Apache-2.0
// The three encodings of an API object, each one interpreter over the type tables, byte for byte as upstream writes them.
//
// Encoders append to `out` and cannot fail. Decoders fill an object of zero bytes; on failure the object is left valid (destroy it).
// All decoders bound depth (10,000 levels of input answer an error, not a crash) and never read past the input.
// A decode error is 400 BadRequest, worded as upstream words it where tests read it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "schema/resource.h"
#include "schema/type.h"

namespace knarr::schema {

// apiVersion and kind of a document, from JSON or YAML text or from the protobuf envelope.
struct TypeMeta {
  std::string api_version, kind;
};

// What a lenient decoder met and passed over; strict field validation turns it into errors or warnings.
struct DecodeReport {
  // In document order, worded as upstream: `unknown field "spec.foo"`, `duplicate field "spec.x"`.
  std::vector<std::string> problems;
  TypeMeta type_meta;  // of the document
};

// ---- JSON -----------------------------------------------------------------------------------------------------------------
// Compact JSON in Go's field order. For a kind, "kind" and "apiVersion" come first when `meta` is given, and are left out otherwise (items of
// a list, as upstream). HTML characters are escaped as Go's encoder does (\u003c).
void encode_json(std::string& out, const Type& type, const void* object, const KindInfo* meta = nullptr);
Status decode_json(std::string_view text, const Type& type, void* object, DecodeReport* report = nullptr);
// Only apiVersion and kind, without decoding the rest.
Result<TypeMeta> peek_json(std::string_view text);

// ---- protobuf -------------------------------------------------------------------------------------------------------------
// The bare message, gogo rules (proto2: plain fields always, pointers when set) or proto3 where the type says so.
void encode_proto(std::string& out, const Type& type, const void* object);
Status decode_proto(std::string_view bytes, const Type& type, void* object);
// The envelope: "k8s\0" and runtime.Unknown.
inline constexpr std::string_view kProtoMagic{"k8s\0", 4};
void encode_envelope(std::string& out, const KindInfo& meta, const void* object);
struct Envelope {
  TypeMeta type_meta;
  std::string_view raw;  // into the input
};
Result<Envelope> open_envelope(std::string_view bytes);
// Head and tail that turn a bare message of `raw_size` bytes into an enveloped one, so that stored bytes are served without copying.
std::string envelope_head(std::string_view api_version, std::string_view kind, size_t raw_size);
inline constexpr std::string_view kEnvelopeTail{"\x1a\x00\x22\x00", 4};
// Field 1 of every kind is its ObjectMeta. Returns the bare message with metadata.resourceVersion (field 6) set to this text, whatever it held;
// the rest is copied untouched. 500 when `bytes` is not such a message.
Result<std::string> with_resource_version(std::string_view bytes, std::string_view resource_version);

// ---- YAML -----------------------------------------------------------------------------------------------------------------
// As sigs.k8s.io/yaml: YAML is turned into JSON and back, keys sorted on output.
Result<std::string> yaml_to_json(std::string_view text, DecodeReport* report = nullptr);  // first document
Result<std::vector<std::string>> yaml_documents_to_json(std::string_view text);           // every document; also plain JSON documents
Result<std::string> json_to_yaml(std::string_view json);

// ---- content types --------------------------------------------------------------------------------------------------------
enum class Encoding : uint8_t { kJson, kYaml, kProtobuf };
// Decodes a whole document of a known type, in any encoding.
Status decode(Encoding encoding, std::string_view bytes, const Type& type, void* object, DecodeReport* report = nullptr);
std::string encode(Encoding encoding, const KindInfo& meta, const void* object);

template <class T>
std::string to_json(const T& value) {
  std::string out;
  encode_json(out, T::table(), &value);
  return out;
}
template <class T>
Result<T> from_json(std::string_view text, DecodeReport* report = nullptr) {
  T value;
  Status status = decode_json(text, T::table(), &value, report);
  if (!status.ok()) return status;
  return value;
}
template <class T>
std::string to_proto(const T& value) {
  std::string out;
  encode_proto(out, T::table(), &value);
  return out;
}
template <class T>
Result<T> from_proto(std::string_view bytes) {
  T value;
  Status status = decode_proto(bytes, T::table(), &value);
  if (!status.ok()) return status;
  return value;
}

}  // namespace knarr::schema
