// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/list.h"

#include "apiserver/errors.h"
#include "apiserver/handlers/handlers.h"

namespace knarr::apiserver {

Task<Status> handle_list(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "list");
  Offers offers;
  offers.table = offers.partial = offers.list = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto options = parse_list_options(context);
  if (!options.ok()) co_return options.status();
  std::string ns = context.info.namespace_;
  // A selector on the namespace narrows a list of all.
  if (const std::string* selected = options->fields.required_value("metadata.namespace"); selected != nullptr && ns.empty() && cache->resource().namespaced)
    ns = *selected;
  if (!cache->resource().namespaced) ns.clear();
  auto page = co_await list_page(*cache, std::move(ns), *options);
  if (!page.ok()) co_return page.status();
  Status status = co_await respond_list(context, *format, *page);
  co_return status;
}

}  // namespace knarr::apiserver
