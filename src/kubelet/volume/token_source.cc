// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/token_source.h"

#include <random>

#include "api/authentication_v1.h"
#include "api/core_v1.h"
#include "base/log.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

constexpr Duration kMaxLife = std::chrono::hours(24);
constexpr int64_t kMaxJitterMillis = 10'000;
// A server that answers with tokens that are due at once must not make us ask in a tight loop.
constexpr Duration kMinInterval = std::chrono::seconds(5);

Duration random_jitter() {
  static thread_local std::minstd_rand engine{std::random_device{}()};
  return std::chrono::milliseconds(
      std::uniform_int_distribution<int64_t>(0, kMaxJitterMillis)(engine));
}

}  // namespace

WallTime token_refresh_time(WallTime expires_at, int64_t lifetime_seconds, Duration jitter) {
  WallTime issued = expires_at - std::chrono::seconds(lifetime_seconds);
  WallTime by_age = issued + kMaxLife;
  WallTime by_expiry = expires_at - std::chrono::seconds(lifetime_seconds * 20 / 100);
  return std::min(by_age, by_expiry) - jitter;
}

namespace {
constexpr Duration kFirstRace = std::chrono::milliseconds(5);
constexpr Duration kLastRace = std::chrono::milliseconds(160);
}  // namespace

Task<Result<std::string>> TokenSource::token(TokenKey key) {
  if (auto at = tokens_.find(key); at != tokens_.end() && clock_.now() < at->second.refresh_at)
    co_return at->second.text;

  api::authentication_v1::TokenRequest request;
  if (!key.audience.empty()) request.spec.audiences.push_back(key.audience);
  request.spec.expiration_seconds = key.expiration_seconds;
  api::authentication_v1::BoundObjectReference bound;
  bound.api_version = "v1";
  bound.kind = "Pod";
  bound.name = key.pod_name;
  bound.uid = key.pod_uid;
  request.spec.bound_object_ref = std::move(bound);
  std::string ns = key.ns, account = key.service_account, subresource = "token";
  schema::Object body = schema::Object::of(std::move(request));
  Result<schema::Object> answer = Status::error("not asked");
  for (Duration pause = kFirstRace;; pause *= 2) {
    std::string one_ns = ns, one_subresource = subresource, one_account = account;
    schema::Object one_body = body;
    answer = co_await client_.create_object(api::core_v1::ServiceAccount::resource(),
                                            std::move(one_ns), std::move(one_body),
                                            std::move(one_subresource), std::move(one_account));
    // The node authorizer learns of a pod from its own watch, and we may be faster.
    bool race = !answer.ok() && answer.status().is("Forbidden") &&
                answer.status().message().find("no relationship found") != std::string_view::npos;
    if (!race || pause > kLastRace) break;
    co_await sleep_for(pause);
  }
  auto old = tokens_.find(key);
  const auto* made = answer.ok() ? answer->as<api::authentication_v1::TokenRequest>() : nullptr;
  if (made == nullptr) {
    Status failure = answer.ok() ? Status::error("the server did not answer with a TokenRequest")
                                 : answer.status();
    if (old == tokens_.end()) co_return failure.with_context("failed to fetch token");
    if (clock_.now() >= old->second.expires_at)
      co_return failure.with_context("token \"" + key.service_account + "\"/\"" + key.ns +
                                     "\" expired and refresh failed");
    log_error("Couldn't update token",
              {{"serviceAccount", key.ns + "/" + key.service_account}, {"err", failure.message()}});
    old->second.refresh_at = clock_.now() + kMinInterval;
    co_return old->second.text;
  }
  Token token;
  token.text = made->status.token.str();
  token.expires_at = schema::to_wall(made->status.expiration_timestamp);
  int64_t lifetime = made->spec.expiration_seconds.value_or(key.expiration_seconds);
  WallTime due = token_refresh_time(token.expires_at, lifetime, random_jitter());
  token.refresh_at = std::max(due, clock_.now() + kMinInterval);
  std::string text = token.text;
  tokens_[std::move(key)] = std::move(token);
  co_return text;
}

std::optional<WallTime> TokenSource::next_refresh(std::string_view pod_uid) const {
  std::optional<WallTime> first;
  for (const auto& [key, token] : tokens_)
    if (key.pod_uid == pod_uid && (!first || token.refresh_at < *first)) first = token.refresh_at;
  return first;
}

void TokenSource::forget(std::string_view pod_uid) {
  std::erase_if(tokens_, [&](const auto& entry) { return entry.first.pod_uid == pod_uid; });
}

}  // namespace knarr::kubelet
