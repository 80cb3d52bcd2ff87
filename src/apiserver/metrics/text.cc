// SPDX-License-Identifier: Apache-2.0
#include "apiserver/core.h"
#include "apiserver/metrics/metrics.h"

namespace knarr::apiserver::metrics {
namespace {

void write_object_counts(Core& core, std::string& out) {
  write_head(out, "apiserver_storage_objects", "gauge", "Stored objects by resource.");
  std::map<std::string, size_t> counts;
  for (const schema::Resource& resource : schema::builtin_resources()) {
    WatchCache* cache = core.cache(resource);
    if (cache == nullptr || &cache->resource() != &resource) continue;
    std::string name(resource.plural);
    if (!resource.group.empty()) name.append(".").append(resource.group);
    counts[name] = cache->snapshot("").objects->size();
  }
  for (const auto& [name, count] : counts) write_sample(out, "apiserver_storage_objects", label("resource", name), static_cast<double>(count));
}

}  // namespace

Task<Status> serve_metrics(RequestContext& context) {
  std::string text;
  context.core.request_metrics().write(text);
  write_object_counts(context.core, text);
  write_build_info(text);
  write_process_metrics(text);
  Body body{std::string_view(text)};
  Status status = co_await respond_raw(context, 200, "text/plain; version=0.0.4; charset=utf-8", std::move(body));
  co_return status;
}

}  // namespace knarr::apiserver::metrics
