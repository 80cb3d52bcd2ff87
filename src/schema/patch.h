// SPDX-License-Identifier: Apache-2.0
// The three patch formats of the API, each a pure function over JSON trees.
//
// Errors are Status values worded as upstream words them: 400 BadRequest for a patch that is
// malformed, 422 Invalid for a JSON patch that cannot be applied to this document, 500 where
// upstream's strategic merge fails inside. No threads, no state.
#pragma once

#include "base/status.h"
#include "schema/json.h"
#include "schema/type.h"

namespace knarr::schema {

// RFC 6902. At most 10,000 operations (413 RequestEntityTooLarge).
inline constexpr size_t kMaxJsonPatchOperations = 10000;
Result<json::Value> apply_json_patch(json::Value doc, const json::Value& patch);

// RFC 7386: objects merge, null removes, anything else replaces.
json::Value apply_merge_patch(json::Value doc, const json::Value& patch);

// Kubernetes' strategic merge patch: as a merge patch, but lists merge by the keys that the type's
// table names, and $patch, $deleteFromPrimitiveList/, $setElementOrder/ and $retainKeys steer it.
Result<json::Value> apply_strategic_patch(json::Value doc, const json::Value& patch,
                                          const Type& type);

}  // namespace knarr::schema
