// SPDX-License-Identifier: Apache-2.0
// Who owns which field: kept up to date by every write, and what server-side apply decides by.
//
// Follows upstream's chain of managers (k8s.io/apimachinery's util/managedfields): updates take what they change, appliers what they state;
// an applier that would change what another one owns is told so, unless it forces.
#pragma once

#include <string>
#include <string_view>

#include "apiserver/fieldmanager/managed_fields.h"
#include "base/clock.h"
#include "schema/json.h"
#include "schema/resource.h"
#include "schema/type.h"

namespace knarr::apiserver {

// One write of one request. Objects are of the storage version, paths of the version that was asked for.
class FieldManager {
 public:
  FieldManager(const schema::Resource& asked, const schema::Resource& stored, std::string_view subresource, const Clock& clock)
      : asked_(asked), stored_(stored), subresource_(subresource), clock_(clock) {}

  // Sets the object's managedFields as a create (`live` null) or update by `manager` leaves them. Never fails: an object whose lists have
  // the same key twice has no owners, as upstream.
  void update(const schema::Object* live, schema::Object& object, std::string_view manager) const;

  // The object as it is once `applied` (a document of the version asked for) has been merged into `live` (null: there is none yet).
  // 409 with the conflicts as causes unless `force`; 400 for another kind; 500, as upstream, for what the tables do not know.
  Result<schema::Object> apply(const schema::Object* live, const json::Value& applied, std::string_view manager, bool force) const;

 private:
  class Versions;
  struct Outcome;
  Result<ManagedFields> updated(const void* live, const schema::Object& object, ManagedFields managed, std::string_view manager, bool* unchanged,
                                Arena& arena) const;
  Result<Outcome> merge(const schema::Object& live, const json::Value& applied, ManagedFields managed, std::string_view manager, bool force,
                        Arena& arena) const;
  const schema::Resource* version(std::string_view api_version) const;
  json::Value tree(const schema::Object& live) const;
  Result<schema::Object> from_tree(const json::Value& tree) const;
  schema::FieldSet reset_fields(Arena& arena) const;
  schema::FieldSet allowed_by_last_applied(const json::Value& live, const void* live_object, Arena& arena) const;

  const schema::Resource& asked_;
  const schema::Resource& stored_;
  std::string subresource_;
  const Clock& clock_;
};

// The name that a write without a fieldManager gets: the start of its User-Agent.
std::string manager_of_user_agent(std::string_view user_agent);

}  // namespace knarr::apiserver
