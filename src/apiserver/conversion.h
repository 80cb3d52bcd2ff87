// SPDX-License-Identifier: Apache-2.0
// Kinds that are served in two versions: which one is stored, and how to get from one to the other.
#pragma once

#include "schema/resource.h"
#include "schema/type.h"

namespace knarr::apiserver {

// The record of the version in which objects of `requested` are stored and in which strategies and admission see them.
const schema::Resource& storage_resource(const schema::Resource& requested);
// A new object of to.type. `from` and to must be versions of one kind.
schema::Object convert(const schema::Resource& from, const schema::Resource& to, const void* object);

}  // namespace knarr::apiserver
