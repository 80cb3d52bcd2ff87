// SPDX-License-Identifier: Apache-2.0
// Answers made of what the watch cache holds: chains of its slices, in the form that was negotiated.
#pragma once

#include <optional>

#include "api/meta_v1.h"
#include "apiserver/context.h"
#include "apiserver/storage/watch_cache.h"
#include "apiserver/table.h"

namespace knarr::apiserver {

struct ListPage {
  std::vector<CachedPtr> objects;  // of the storage version
  int64_t revision = 0;
  std::string continue_token;
  std::optional<int64_t> remaining;
};

// `object` as a document of its own, with kind and apiVersion, without a newline: in the version of `resource`, whole or as PartialObjectMetadata.
Body object_body(const OutputFormat& format, const schema::Resource& resource, const CachedPtr& object);
Task<Status> respond_cached(RequestContext& context, int code, const OutputFormat& format, CachedPtr object);
Task<Status> respond_list(RequestContext& context, const OutputFormat& format, const ListPage& page);

Result<IncludeObject> parse_include_object(const RequestContext& context);
// JSON of a Table with these rows; without columns when they were sent before.
std::string table_json(const schema::Resource& resource, const std::vector<CachedPtr>& objects, IncludeObject include, WallTime now, bool with_columns,
                       std::string_view list_meta);

api::meta_v1::Status status_object(const Status& status, int success_code = 200);
// The format for answers that any endpoint may give (Status and the like).
OutputFormat plain_format(const RequestContext& context);
// JSON text in the final form: pretty or not, as YAML, with its newline.
Body finish_json(const RequestContext& context, const OutputFormat& format, std::string json);
bool wants_pretty(const RequestContext& context, const OutputFormat& format);

}  // namespace knarr::apiserver
