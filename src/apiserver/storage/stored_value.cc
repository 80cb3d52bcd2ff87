// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/stored_value.h"

#include "schema/codec.h"

namespace knarr::apiserver {

Bytes encode_stored(const schema::Resource& resource, const void* object) {
  const schema::KindInfo* kind = schema::find_kind(resource.api_version, resource.kind);
  KNARR_CHECK(kind != nullptr);
  std::string text;
  if (resource.group == "apiextensions.k8s.io" || resource.group == "apiregistration.k8s.io") {
    schema::encode_json(text, *resource.type, object, kind);
    text += '\n';
  } else {
    schema::encode_envelope(text, *kind, object);
  }
  return Bytes::copy(text);
}

Result<std::string_view> open_stored(const schema::Resource& resource, std::string_view value, std::string& buffer) {
  if (!value.starts_with('{')) {
    TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(value));
    return envelope.raw;
  }
  schema::Object object(*resource.type);
  TRY(schema::decode_json(value, *resource.type, object.data()));
  buffer.clear();
  schema::encode_proto(buffer, *resource.type, object.data());
  return std::string_view(buffer);
}

}  // namespace knarr::apiserver
