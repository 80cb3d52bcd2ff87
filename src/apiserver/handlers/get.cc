// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"

namespace knarr::apiserver {

Task<Status> handle_get(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "get");
  Offers offers;
  offers.table = offers.partial = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  cache->sync();
  CachedPtr object = cache->get(cache->resource().namespaced ? context.info.namespace_ : std::string(), context.info.name);
  if (object == nullptr) co_return not_found(context.info.group, context.info.resource, context.info.name);
  Status status = co_await respond_cached(context, 200, *format, std::move(object));
  co_return status;
}

}  // namespace knarr::apiserver
