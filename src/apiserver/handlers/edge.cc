// SPDX-License-Identifier: Apache-2.0
#include "apiserver/handlers/edge.h"

#include "apiserver/errors.h"
#include "apiserver/subresource_handlers.h"

namespace knarr::apiserver {

WriteRequestEdge::WriteRequestEdge(RequestContext& r, WatchCache& c, bool dry_run)
    : request(r),
      cache(c),
      asked(*r.resource),
      kind(*schema::find_kind(r.resource->api_version, r.resource->kind)),
      context{r.server, c.resource(), r.user, r.core.clock(), c.resource().namespaced ? r.info.namespace_ : std::string(), r.info.name,
              r.info.subresource, dry_run, {}},
      write{r.core, c, asked, find_strategy(c.resource().group, c.resource().plural), context} {}

std::string WriteRequestEdge::manager(const WriteOptions& options) const {
  return options.field_manager.empty() ? manager_of_user_agent(request.request.headers.get("User-Agent")) : options.field_manager;
}

void WriteRequestEdge::own(const schema::Object* old, schema::Object& object, const WriteOptions& options) const {
  fields().update(old, object, manager(options));
}

void WriteRequestEdge::trace_created(const WriteResult& result) const {
  if (!result.created || context.dry_run || !asked.group.empty() || asked.plural != "pods") return;
  const schema::Str& uid = metadata_of(*result.object->object()).uid;
  std::string_view agent = request.request.headers.get("User-Agent");
  std::string from = "from " + request.user.name + ", " + std::string(agent.substr(0, agent.find(' ')));
  trace::Ring& ring = request.core.trace();
  ring.add(uid, trace::Step::kReceived, request.arrived, result.checked, from);
  ring.add_since(uid, trace::Step::kStored, result.checked, "revision " + std::to_string(result.object->revision()));
}

void WriteRequestEdge::collect_warnings() {
  for (std::string& warning : context.warnings) request.warnings.push_back(std::move(warning));
  context.warnings.clear();
}

schema::Object to_storage(const WriteRequestEdge& edge, schema::Object object) {
  const schema::Resource& stored = edge.cache.resource();
  if (&edge.asked != &stored) object = convert(edge.asked, stored, object.data());
  if (edge.write.strategy.defaults != nullptr) edge.write.strategy.defaults(object.data());
  return object;
}

schema::Object from_storage(const WriteRequestEdge& edge, const void* object) {
  const schema::Resource& stored = edge.cache.resource();
  if (&edge.asked != &stored) return convert(stored, edge.asked, object);
  return schema::Object(*stored.type, object);
}

Result<Door> door_of(const RequestContext& context) {
  Door door;
  if (context.info.subresource.empty()) return door;
  if (context.info.subresource == "status") {
    door.kind = Door::kStatus;
    return door;
  }
  for (const SubresourceHandler& handler : subresource_handlers()) {
    if (handler.group != context.info.group || handler.resource != context.info.resource || handler.subresource != context.info.subresource) continue;
    door.kind = Door::kSubresource;
    door.handler = &handler;
    return door;
  }
  return generic_not_found();
}

}  // namespace knarr::apiserver
