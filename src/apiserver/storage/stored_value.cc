// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/stored_value.h"

#include "apiserver/strategy.h"
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

Status open_stored(const schema::Resource& resource, std::string_view value, bool complete, StoredMessage& out) {
  bool json = value.starts_with('{');
  if (!json) {
    TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(value));
    out.view = envelope.raw;
  }
  auto defaults = complete ? find_strategy(resource.group, resource.plural).defaults : nullptr;
  if (!json && defaults == nullptr) return {};
  auto object = std::make_shared<schema::Object>(*resource.type);
  TRY(json ? schema::decode_json(value, *resource.type, object->data()) : schema::decode_proto(out.view, *resource.type, object->data()));
  if (defaults != nullptr) defaults(object->data());
  schema::encode_proto(out.made, *resource.type, object->data());
  out.view = out.made;
  out.decoded = std::move(object);
  return {};
}

}  // namespace knarr::apiserver
