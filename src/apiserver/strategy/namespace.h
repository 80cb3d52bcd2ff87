// SPDX-License-Identifier: Apache-2.0
// The finalize subresource of namespaces, for the subresource table.
#pragma once

#include "api/core_v1.h"
#include "apiserver/strategy.h"

namespace knarr::apiserver {

// PUT of namespaces/finalize changes spec.finalizers, and metadata like any update.
void prepare_namespace_finalize(WriteContext& context, api::core_v1::Namespace& object,
                                const api::core_v1::Namespace& old);
void validate_namespace_finalize(const api::core_v1::Namespace& object,
                                 const api::core_v1::Namespace& old, FieldErrors& errors);

}  // namespace knarr::apiserver
