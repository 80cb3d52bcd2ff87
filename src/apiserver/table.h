// SPDX-License-Identifier: Apache-2.0
// Tables for people (kubectl get): what `Accept: ...;as=Table` gets instead of objects.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "schema/json.h"
#include "schema/resource.h"

namespace knarr::apiserver {

enum class IncludeObject : uint8_t { kNone, kMetadata, kObject };

struct TableInput {
  const schema::Resource& resource;          // in the version asked for
  std::span<const void* const> objects;      // of resource.type
  WallTime now;                              // ages are counted from here
};

// The cells of each object in the order of the resource's columns; name and type etc. come from the columns.
struct RenderedTable {
  std::vector<schema::Column> columns;
  std::vector<std::vector<json::Value>> rows;
};
RenderedTable render_table(const TableInput& input);

}  // namespace knarr::apiserver
