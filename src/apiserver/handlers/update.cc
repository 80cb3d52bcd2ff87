// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/registry/metadata.h"

namespace knarr::apiserver {
namespace {

// The object must be the one that the URL names.
Status check_name(const RequestContext& context, const api::meta_v1::ObjectMeta& meta) {
  if (meta.name.empty())
    return bad_request("the name of the object (" + context.info.name + " based on URL) was undeterminable: name must be provided");
  if (meta.name != context.info.name)
    return bad_request("the name of the object (" + meta.name.str() + ") does not match the name on the URL (" + context.info.name + ")");
  return {};
}

}  // namespace

Task<Status> handle_update(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "update");
  auto door = door_of(context);
  if (!door.ok()) co_return door.status();
  Offers offers;
  offers.table = offers.partial = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  auto options = parse_write_options(context, "UpdateOptions");
  if (!options.ok()) co_return options.status();
  auto encoding = negotiate_input(context.request.headers.get("Content-Type"));
  if (!encoding.ok()) co_return encoding.status();

  WriteRequestEdge edge(context, *cache, options->dry_run);
  schema::Object given(*edge.asked.type);
  CO_TRY(decode_body(*encoding, *body, edge.kind, *options, given.data(), context.warnings));
  schema::Object object = to_storage(edge, std::move(given));
  CO_TRY(settle_namespace(metadata_of(object), edge.context.namespace_));
  CO_TRY(check_name(context, metadata_of(object)));
  dedup_owner_references(metadata_of(object), edge.context.warnings, false);

  Update change;
  change.door = *door;
  change.uid = metadata_of(object).uid.str();
  change.make = [&](const schema::Object* old) -> Result<schema::Object> {
    schema::Object next = object;
    edge.own(old, next, *options);
    return next;
  };
  auto result = co_await update(edge.write, std::move(change));
  edge.collect_warnings();
  if (!result.ok()) co_return result.status();
  int code = result->created ? 201 : 200;
  Status status = co_await respond_cached(context, code, *format, result->object);
  co_return status;
}

}  // namespace knarr::apiserver
