// SPDX-License-Identifier: Apache-2.0
// How objects lie in the store, as upstream lays them: protobuf in its envelope; JSON for the kinds whose servers upstream builds apart
// (apiextensions, apiregistration).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "schema/resource.h"
#include "schema/type.h"

namespace knarr::apiserver {

// `resource` is the storage version's record.
Bytes encode_stored(const schema::Resource& resource, const void* object);
struct StoredMessage {
  std::string_view view;  // the bare protobuf message; points into the stored value or into `made`
  std::string made;
  std::shared_ptr<const schema::Object> decoded;  // when it was decoded on the way
};
// Opens a value of either encoding. `complete`: another server may have written it, so it gets the defaults that it lacks; upstream completes
// whatever it reads.
Status open_stored(const schema::Resource& resource, std::string_view value, bool complete, StoredMessage& out);

}  // namespace knarr::apiserver
