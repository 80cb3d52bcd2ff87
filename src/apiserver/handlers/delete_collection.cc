// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/storage/list.h"
#include "base/together.h"

namespace knarr::apiserver {
namespace {

// Deletions that share one commit of the store.
constexpr size_t kAtOnce = 64;

// One of the collection; gone meanwhile is as good as deleted.
Task<Status> remove_one(RequestContext& context, WatchCache& cache, CachedPtr object, api::meta_v1::DeleteOptions options) {
  WriteRequestEdge edge(context, cache, !options.dry_run.empty());
  edge.context.namespace_ = std::string(object->namespace_());
  edge.context.name = std::string(object->name());
  auto result = co_await remove(edge.write, options);
  edge.collect_warnings();
  if (!result.ok() && result.status().code() != 404) co_return result.status();
  co_return Status();
}

}  // namespace

Task<Status> handle_delete_collection(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "deletecollection");
  Offers offers;
  offers.table = offers.partial = offers.list = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto list_options = parse_list_options(context);
  if (!list_options.ok()) co_return list_options.status();
  auto options = co_await read_delete_options(context);
  if (!options.ok()) co_return options.status();
  std::string ns = cache->resource().namespaced ? context.info.namespace_ : std::string();
  auto page = co_await list_page(*cache, std::move(ns), *list_options);
  if (!page.ok()) co_return page.status();
  for (size_t from = 0; from < page->objects.size(); from += kAtOnce) {
    std::vector<Job> jobs;
    for (size_t i = from; i < std::min(page->objects.size(), from + kAtOnce); ++i)
      jobs.push_back([&context, cache, &options, object = page->objects[i]] { return remove_one(context, *cache, object, *options); });
    std::vector<Status> results = co_await run_together(std::move(jobs));
    for (Status& result : results)
      if (!result.ok()) co_return std::move(result);
  }
  Status status = co_await respond_list(context, *format, *page);
  co_return status;
}

}  // namespace knarr::apiserver
