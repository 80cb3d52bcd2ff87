// SPDX-License-Identifier: Apache-2.0
// Field paths of the downward API. Pure functions; failures are worded as upstream's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/meta_v1.h"
#include "base/status.h"

namespace knarr::kubelet {

// "metadata.labels['key']" -> ("metadata.labels", "key"); nothing when the path has no subscript.
std::optional<std::pair<std::string_view, std::string_view>> split_subscript(std::string_view path);

// metadata.{name,namespace,uid,labels,annotations}, the maps with or without a subscript.
Result<std::string> metadata_field(const api::meta_v1::ObjectMeta& metadata, std::string_view path);

// One key="value" a line, keys sorted, values quoted as Go's strconv.Quote does.
std::string format_map(const schema::Map<schema::Str>& map);
std::string go_quote(std::string_view text);

}  // namespace knarr::kubelet
