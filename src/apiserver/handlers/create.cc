// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/registry/metadata.h"

namespace knarr::apiserver {

Task<Status> handle_create(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "create");
  Offers offers;
  offers.table = offers.partial = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto encoding = negotiate_input(context.request.headers.get("Content-Type"));
  if (!encoding.ok()) co_return encoding.status();
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  auto options = parse_write_options(context, "CreateOptions");
  if (!options.ok()) co_return options.status();

  WriteRequestEdge edge(context, *cache, options->dry_run);
  schema::Object given(*edge.asked.type);
  CO_TRY(decode_body(*encoding, *body, edge.kind, *options, given.data(), context.warnings));
  schema::Object object = to_storage(edge, std::move(given));
  api::meta_v1::ObjectMeta& meta = metadata_of(object);
  // What only the server sets.
  meta.deletion_timestamp.reset();
  meta.deletion_grace_period_seconds.reset();
  meta.self_link.reset();
  CO_TRY(settle_namespace(meta, edge.context.namespace_));
  edge.context.name = meta.name.str();
  edge.own(nullptr, object, *options);
  auto result = co_await create(edge.write, std::move(object));
  edge.collect_warnings();
  if (!result.ok()) co_return result.status();
  edge.trace_created(*result);
  Status status = co_await respond_cached(context, 201, *format, result->object);
  co_return status;
}

}  // namespace knarr::apiserver
