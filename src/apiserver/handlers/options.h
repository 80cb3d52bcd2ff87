// SPDX-License-Identifier: Apache-2.0
// Query parameters of resource requests, read and checked as upstream does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/meta_v1.h"
#include "apiserver/context.h"
#include "schema/selector.h"

namespace knarr::apiserver {

enum class FieldValidation : uint8_t { kIgnore, kWarn, kStrict };

// Of create, update and patch.
struct WriteOptions {
  bool dry_run = false;
  FieldValidation validation = FieldValidation::kWarn;
  std::string field_manager;
  bool force = false;
};
// `kind` names the options in messages: "CreateOptions".
Result<WriteOptions> parse_write_options(const RequestContext& context, std::string_view kind, bool apply = false);

struct ListOptions {
  schema::LabelSelector labels;
  schema::FieldSelector fields;          // in the storage version's names
  std::string single;                    // the name that the fields demand, ""
  std::string resource_version, resource_version_match, continue_token;
  int64_t limit = 0;
  bool watch = false, bookmarks = false;
  std::optional<int64_t> timeout_seconds;
};
Result<ListOptions> parse_list_options(const RequestContext& context);

// From the body when there is one, else from the query.
Task<Result<api::meta_v1::DeleteOptions>> read_delete_options(RequestContext& context);

// What the decoder passed over becomes warnings or a refusal.
Status settle_problems(const WriteOptions& options, const schema::KindInfo& kind, const std::vector<std::string>& problems,
                       std::vector<std::string>& warnings);
// Decodes a body that is to be of `kind`, with upstream's messages.
Status decode_body(schema::Encoding encoding, std::string_view body, const schema::KindInfo& kind, const WriteOptions& options, void* object,
                   std::vector<std::string>& warnings);

// A revision out of a resourceVersion parameter; "" and "0" are 0.
Result<int64_t> parse_revision(std::string_view text);

}  // namespace knarr::apiserver
