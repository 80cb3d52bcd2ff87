// SPDX-License-Identifier: Apache-2.0
// Defaults that are constants: the `default=` attributes of api/overlay/, applied by one walk over
// the type tables.
#pragma once

#include "schema/type.h"

namespace knarr::apiserver {

// Fills every unset field that has a default, in `object` and in all structs that exist below it; a
// struct that is absent stays absent unless its own field has a default. A parent's defaults come
// before its children's, as in upstream's generated code. Any thread.
void apply_table_defaults(const schema::Type& type, void* object);

template <class T>
void apply_table_defaults(T& object) {
  apply_table_defaults(T::table(), &object);
}

}  // namespace knarr::apiserver
