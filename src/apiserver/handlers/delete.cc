// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"

namespace knarr::apiserver {
namespace {

// What a delete answers for kinds that do not return their object.
Task<Status> respond_deleted(RequestContext& context, int code, const CachedPtr& object) {
  api::meta_v1::Status status;
  status.status = "Success";
  auto& details = status.details.ensure();
  auto decoded = object->object();
  const auto& meta = metadata_of(*decoded);
  details.name = meta.name;
  details.group = context.info.group;
  details.kind = context.info.resource;  // the plural, as upstream
  details.uid = meta.uid;
  Status sent = co_await respond_object(context, code, status);
  co_return sent;
}

}  // namespace

Task<Status> handle_delete(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "delete");
  Offers offers;
  offers.table = offers.partial = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto options = co_await read_delete_options(context);
  if (!options.ok()) co_return options.status();
  bool dry_run = !options->dry_run.empty();
  bool cascading = options->orphan_dependents.has_value() && !*options->orphan_dependents;

  WriteRequestEdge edge(context, *cache, dry_run);
  auto result = co_await remove(edge.write, *options);
  edge.collect_warnings();
  if (!result.ok()) co_return result.status();
  int code = !result->deleted && cascading ? 202 : 200;
  // An object that stays for a while is returned whatever its kind.
  bool whole = edge.write.strategy.returns_deleted_object || !result->deleted;
  if (whole) {
    Status status = co_await respond_cached(context, code, *format, result->object);
    co_return status;
  }
  Status status = co_await respond_deleted(context, code, result->object);
  co_return status;
}

}  // namespace knarr::apiserver
