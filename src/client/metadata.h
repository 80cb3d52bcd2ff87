// SPDX-License-Identifier: Apache-2.0
// The ObjectMeta of an object whose type is known at run time only.
#pragma once

#include "api/meta_v1.h"
#include "schema/type.h"

namespace knarr::client {

// Null when the type has no `metadata` of ObjectMeta's layout. Custom types share that layout.
const api::meta_v1::ObjectMeta* metadata_of(const schema::Object& object);
api::meta_v1::ObjectMeta* metadata_of(schema::Object& object);

// "namespace/name", or "name" for cluster-scoped objects.
std::string key_of(const api::meta_v1::ObjectMeta& metadata);

}  // namespace knarr::client
