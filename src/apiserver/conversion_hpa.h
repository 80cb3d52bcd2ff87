// SPDX-License-Identifier: Apache-2.0
// HorizontalPodAutoscaler: v2 is stored; v1 has a CPU target only and keeps the rest in annotations, as upstream does.
#pragma once

#include "schema/type.h"

namespace knarr::apiserver {

// Fills `to` from an object of type `from`; false when the two are not versions of HorizontalPodAutoscaler.
bool convert_autoscaler(const schema::Type& from, const void* object, schema::Object& to);

}  // namespace knarr::apiserver
