// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/list.h"

#include "apiserver/errors.h"
#include "apiserver/storage/continue_token.h"
#include "store/errors.h"

namespace knarr::apiserver {
namespace {

constexpr int64_t kStorePage = 500;

std::string key_prefix(const WatchCache& cache, std::string_view ns) { return ns.empty() ? cache.prefix() : cache.prefix() + std::string(ns) + "/"; }

// Keys of the cache lack the resource's prefix; tokens lack the list's.
std::string token_start(std::string_view ns, std::string_view cache_key) {
  std::string_view rest = cache_key.substr(ns.empty() ? 0 : ns.size() + 1);
  return std::string(rest) + '\0';
}

ListPage from_cache(WatchCache& cache, std::string_view ns, const ListOptions& options, bool limited) {
  ListPage page;
  if (!options.single.empty() && (!ns.empty() || !cache.resource().namespaced)) {
    page.revision = cache.revision();
    CachedPtr object = cache.get(ns, options.single);
    if (object != nullptr && object->matches(options.labels, options.fields)) page.objects.push_back(std::move(object));
    return page;
  }
  WatchCache::Snapshot snapshot = cache.snapshot(ns);
  page.revision = snapshot.revision;
  bool all = options.labels.matches_everything() && options.fields.matches_everything();
  size_t limit = limited && options.limit > 0 ? static_cast<size_t>(options.limit) : snapshot.objects->size();
  if (all && limit >= snapshot.objects->size()) {
    page.objects = *snapshot.objects;
    return page;
  }
  size_t seen = 0;
  for (const CachedPtr& object : *snapshot.objects) {
    if (page.objects.size() == limit) break;
    ++seen;
    if (all || object->matches(options.labels, options.fields)) page.objects.push_back(object);
  }
  if (seen == snapshot.objects->size() || seen == 0) return page;
  page.continue_token = encode_continue({page.revision, token_start(ns, (*snapshot.objects)[seen - 1]->key())});
  if (all) page.remaining = static_cast<int64_t>(snapshot.objects->size() - seen);
  return page;
}

// A continued list whose revision is gone may go on at the latest one; the client decides.
Status expired_chunk(const ContinueToken& token) {
  StatusInfo info;
  info.code = 410;
  info.reason = "Expired";
  info.message =
      "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use "
      "the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list "
      "- objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
  info.continue_token = encode_continue({-1, token.start});
  return Status::from(std::move(info));
}

// A page at one revision out of the store, from `start` (relative to the list's prefix) on.
Task<Result<ListPage>> from_store(WatchCache& cache, std::string ns, const ListOptions& options, ContinueToken at, bool continued) {
  ListPage page;
  std::string prefix = key_prefix(cache, ns);
  bool all = options.labels.matches_everything() && options.fields.matches_everything();
  size_t limit = options.limit > 0 ? static_cast<size_t>(options.limit) : SIZE_MAX;
  store::RangeRequest request;
  request.start = prefix + at.start;
  request.end = store::prefix_end(prefix);
  request.revision = at.revision > 0 ? at.revision : 0;
  int64_t left = 0;
  std::string last;
  while (true) {
    request.limit = limit < static_cast<size_t>(kStorePage) && all ? static_cast<int64_t>(limit - page.objects.size()) : kStorePage;
    auto result = co_await cache.store().range(request);
    if (!result.ok()) {
      if (result.status().code() == 410) co_return continued ? expired_chunk(at) : store::list_expired();
      co_return result.status();
    }
    page.revision = request.revision = result->revision;
    left = result->count;
    for (const store::Entry& entry : result->entries) {
      if (page.objects.size() == limit) break;
      --left;
      last = entry.key;
      auto object = cache.from_entry(entry);
      if (object.ok() && (all || (*object)->matches(options.labels, options.fields))) page.objects.push_back(std::move(*object));
    }
    bool finished = !result->more || result->entries.empty();
    if (page.objects.size() == limit || finished) break;
    request.start = last + '\0';
  }
  if (left > 0) {
    page.continue_token = encode_continue({page.revision, last.substr(prefix.size()) + '\0'});
    if (all) page.remaining = left;
  }
  co_return page;
}

}  // namespace

Task<Status> wait_for_revision(WatchCache& cache, int64_t revision) {
  constexpr auto kStep = std::chrono::milliseconds(50);
  for (int i = 0; i < 60; ++i) {
    cache.sync();
    if (cache.store().revision() >= revision) co_return Status();
    // Only a client that has seen another server's future comes here.
    co_await sleep_for(kStep);
  }
  co_return store::revision_too_large(revision, cache.store().revision()).with_retry_after(1);
}

Task<Result<ListPage>> list_page(WatchCache& cache, std::string ns, const ListOptions& options) {
  if (!options.continue_token.empty()) {
    if (!options.resource_version.empty() && options.resource_version != "0")
      co_return bad_request("specifying resource version is not allowed when using continue");
    auto token = decode_continue(options.continue_token);
    if (!token.ok()) co_return token.status();
    auto page = co_await from_store(cache, std::move(ns), options, *token, true);
    co_return page;
  }
  auto revision = parse_revision(options.resource_version);
  if (!revision.ok()) co_return revision.status();
  if (*revision > 0) {
    Status status = co_await wait_for_revision(cache, *revision);
    if (!status.ok()) co_return status;
  }
  if (options.resource_version_match == "Exact" && *revision > 0) {
    ContinueToken from{*revision, ""};
    auto page = co_await from_store(cache, std::move(ns), options, from, false);
    co_return page;
  }
  cache.sync();
  // Like upstream's cache, a list of any revision ("0") is not cut into chunks.
  bool limited = options.resource_version != "0";
  co_return from_cache(cache, ns, options, limited);
}

}  // namespace knarr::apiserver
