// SPDX-License-Identifier: Apache-2.0
// How objects lie in the store, as upstream lays them: protobuf in its envelope; JSON for the kinds whose servers upstream builds apart
// (apiextensions, apiregistration).
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "schema/resource.h"

namespace knarr::apiserver {

// `resource` is the storage version's record.
Bytes encode_stored(const schema::Resource& resource, const void* object);
// The bare protobuf message of a stored value, of either encoding. Points into `value` or into `buffer`.
Result<std::string_view> open_stored(const schema::Resource& resource, std::string_view value, std::string& buffer);

}  // namespace knarr::apiserver
