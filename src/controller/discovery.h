// SPDX-License-Identifier: Apache-2.0
// Which resources a server serves, built-in and custom: aggregated discovery when the server has it (two requests), else one request a
// group-version.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"

namespace knarr::controller {

// A resource as found, which owns its texts. `resource.type` is the built-in type or null.
struct ServedResource {
  std::string group, version, api_version, plural, kind, list_kind;
  uint16_t verbs = 0;
  bool namespaced = false;
  bool preferred = false;                    // of the group's preferred version, or in no other
  schema::Resource resource;
};
using ServedResourcePtr = std::shared_ptr<const ServedResource>;

struct Discovery {
  std::vector<ServedResourcePtr> resources;  // every version
  std::vector<std::string> failures;         // group-versions that could not be asked: "g/v: why"
  // The served resource of a kind, in this very version; null when unknown.
  ServedResourcePtr find(std::string_view api_version, std::string_view kind) const;
};

// An error only when nothing at all could be found.
Task<Result<Discovery>> discover(client::Client& client);

}  // namespace knarr::controller
