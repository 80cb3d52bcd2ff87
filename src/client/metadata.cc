// SPDX-License-Identifier: Apache-2.0
#include "client/metadata.h"

namespace knarr::client {

using api::meta_v1::ObjectMeta;

const ObjectMeta* metadata_of(const schema::Object& object) {
  if (!object) return nullptr;
  const schema::Type& type = object.type();
  const schema::Field* field = schema::find_field(type, "metadata");
  if (field == nullptr || field->kind != schema::Kind::kStruct || field->shape != schema::Shape::kPlain) return nullptr;
  const schema::Type& meta = schema::field_type(type, *field);
  if (meta.size != sizeof(ObjectMeta) || meta.type_name() != "ObjectMeta") return nullptr;
  return static_cast<const ObjectMeta*>(schema::field_at(object.data(), *field));
}

ObjectMeta* metadata_of(schema::Object& object) {
  return const_cast<ObjectMeta*>(metadata_of(std::as_const(object)));
}

std::string key_of(const ObjectMeta& metadata) {
  if (metadata.namespace_.empty()) return metadata.name.str();
  std::string key;
  key.reserve(metadata.namespace_.size() + 1 + metadata.name.size());
  key.append(metadata.namespace_.view()).append("/").append(metadata.name.view());
  return key;
}

}  // namespace knarr::client
