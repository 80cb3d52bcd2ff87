// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/stored_value.h"

#include "apiserver/conversion.h"
#include "apiserver/conversion_discovery.h"
#include "apiserver/strategy.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

bool is_slice(const schema::Resource& resource) { return resource.group == "discovery.k8s.io" && resource.plural == "endpointslices"; }

// An object that was stored in another version than the one kept here.
Status decode_version(const schema::Resource& resource, const schema::Envelope& envelope, schema::Object& object) {
  const schema::TypeMeta& meta = envelope.type_meta;
  if (is_slice(resource) && meta.api_version == "discovery.k8s.io/v1beta1") {
    TRY_ASSIGN(auto slice, schema::from_proto<api::discovery_v1beta1::EndpointSlice>(envelope.raw));
    object = schema::Object::of(to_v1(slice));
    return {};
  }
  std::string_view version = meta.api_version;
  version.remove_prefix(version.rfind('/') + 1);
  const schema::Resource* stored = schema::find_resource(resource.group, version, resource.plural);
  // Versions that are not served any more left messages that the next one reads.
  if (stored == nullptr) return schema::decode_proto(envelope.raw, *resource.type, object.data());
  schema::Object other(*stored->type);
  TRY(schema::decode_proto(envelope.raw, *stored->type, other.data()));
  object = convert(*stored, resource, other.data());
  return {};
}

}  // namespace

Bytes encode_stored(const schema::Resource& resource, const void* object) {
  const schema::KindInfo* kind = schema::find_kind(resource.api_version, resource.kind);
  KNARR_CHECK(kind != nullptr);
  std::string text;
  if (resource.group == "apiextensions.k8s.io" || resource.group == "apiregistration.k8s.io") {
    schema::encode_json(text, *resource.type, object, kind);
    text += '\n';
  } else if (is_slice(resource)) {
    auto older = to_v1beta1(*static_cast<const api::discovery_v1::EndpointSlice*>(object));
    kind = schema::find_kind("discovery.k8s.io/v1beta1", resource.kind);
    KNARR_CHECK(kind != nullptr);
    schema::encode_envelope(text, *kind, &older);
  } else {
    schema::encode_envelope(text, *kind, object);
  }
  return Bytes::copy(text);
}

Status open_stored(const schema::Resource& resource, std::string_view value, bool complete, StoredMessage& out) {
  bool json = value.starts_with('{');
  schema::Envelope envelope;
  if (!json) {
    TRY_ASSIGN(envelope, schema::open_envelope(value));
    out.view = envelope.raw;
  }
  auto defaults = complete ? find_strategy(resource.group, resource.plural).defaults : nullptr;
  bool other_version = !json && envelope.type_meta.api_version != resource.api_version;
  if (!json && !other_version && defaults == nullptr) return {};
  auto object = std::make_shared<schema::Object>(*resource.type);
  if (json) {
    TRY(schema::decode_json(value, *resource.type, object->data()));
  } else if (other_version) {
    TRY(decode_version(resource, envelope, *object));
  } else {
    TRY(schema::decode_proto(out.view, *resource.type, object->data()));
  }
  if (defaults != nullptr) defaults(object->data());
  schema::encode_proto(out.made, *resource.type, object->data());
  out.view = out.made;
  out.decoded = std::move(object);
  return {};
}

}  // namespace knarr::apiserver
