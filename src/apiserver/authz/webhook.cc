// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/webhook.h"

#include "api/authorization_v1.h"
#include "apiserver/field_errors.h"
#include "apiserver/remote.h"
#include "base/log.h"
#include "schema/json.h"

namespace knarr::apiserver::authz {
namespace {

constexpr size_t kMaxCached = 8192;
// What a client can make long is not kept, as upstream.
constexpr size_t kMaxCachedAttributes = 10'000;
constexpr Duration kTimeout = std::chrono::seconds(30);

void set(json::Value& object, std::string_view key, std::string_view value) {
  if (!value.empty()) object[key] = value;
}

json::Value spec_of(const Attributes& a) {
  json::Value spec = json::Value::object();
  if (a.is_resource) {
    json::Value& resource = spec["resourceAttributes"] = json::Value::object();
    set(resource, "namespace", a.namespace_);
    set(resource, "verb", a.verb);
    set(resource, "group", a.group);
    set(resource, "version", a.version);
    set(resource, "resource", a.resource);
    set(resource, "subresource", a.subresource);
    set(resource, "name", a.name);
  } else {
    json::Value& other = spec["nonResourceAttributes"] = json::Value::object();
    set(other, "path", a.path);
    set(other, "verb", a.verb);
  }
  set(spec, "user", a.user.name);
  for (const std::string& group : a.user.groups) spec["groups"].push_back(group);
  for (const auto& [key, values] : a.user.extra)
    for (const std::string& value : values) spec["extra"][key].push_back(value);
  set(spec, "uid", a.user.uid);
  return spec;
}

// v1beta1 calls the groups "group".
json::Value review_of(json::Value spec, const std::string& version) {
  json::Value review = json::Value::object();
  review["kind"] = "SubjectAccessReview";
  review["apiVersion"] = "authorization.k8s.io/" + version;
  review["metadata"]["creationTimestamp"] = nullptr;
  if (version == "v1beta1")
    if (json::Value* groups = spec.find("groups")) {
      spec["group"] = std::move(*groups);
      spec.erase("groups");
    }
  review["spec"] = std::move(spec);
  review["status"]["allowed"] = false;
  return review;
}

bool may_keep(const Attributes& a) {
  return a.namespace_.size() + a.verb.size() + a.group.size() + a.version.size() + a.resource.size() + a.subresource.size() + a.name.size() +
             a.path.size() < kMaxCachedAttributes;
}

class Webhook final : public Authorizer {
 public:
  Webhook(const Options& options, std::shared_ptr<WebhookClient> webhook) : options_(options), webhook_(std::move(webhook)), cache_(kMaxCached) {}

  Decision authorize(const Attributes& attributes, std::string* reason) override {
    auto known = cache_.get(json::to_string(spec_of(attributes)), Clock::real().mono());
    if (!known.has_value()) return Decision::kPending;
    if (reason != nullptr) *reason = std::move(known->reason);
    return known->decision;
  }

  Task<Verdict> ask(Attributes attributes) override {
    json::Value spec = spec_of(attributes);
    std::string key = json::to_string(spec), body = json::to_string(review_of(std::move(spec), options_.authorization_webhook.version));
    auto text = co_await webhook_->post(std::move(body));
    Verdict verdict;
    Result<json::Value> parsed = text.ok() ? json::parse(*text) : Result<json::Value>(text.status());
    if (!parsed.ok()) {
      log_error("Failed to make webhook authorizer request", {{"error", parsed.status().message()}});
      verdict.error = parsed.status().message();
      co_return verdict;
    }
    const json::Value& status = parsed->at({"status"});
    bool allowed = status.at({"allowed"}).as_bool(), denied = status.at({"denied"}).as_bool();
    verdict.reason = status.at({"reason"}).as_string();
    verdict.decision = denied ? Decision::kDeny : allowed ? Decision::kAllow : Decision::kNoOpinion;
    if (denied && allowed) {
      verdict.error = "webhook subject access review returned both allow and deny response";
      co_return verdict;
    }
    MonoTime now = Clock::real().mono();
    Duration ttl = allowed ? options_.authorization_webhook_allowed_ttl : options_.authorization_webhook_denied_ttl;
    if (may_keep(attributes)) cache_.put(std::move(key), verdict, now + ttl, now);
    co_return verdict;
  }

  void add_rules(const User&, std::string_view, GrantedRules& rules) override {
    rules.status.incomplete = true;
    rules.errors.emplace_back("webhook authorizer does not support user rule resolution");
  }

 private:
  const Options& options_;
  const std::shared_ptr<WebhookClient> webhook_;
  ExpiringCache<Verdict> cache_;
};

}  // namespace

Result<std::unique_ptr<Authorizer>> make_webhook_authorizer(ApiServer& server) {
  const WebhookOptions& options = server.options().authorization_webhook;
  if (options.config_file.empty()) return Status::error("authorization-mode Webhook requires --authorization-webhook-config-file to be set");
  if (options.version != "v1" && options.version != "v1beta1")
    return Status::error("unsupported webhook authorizer version " + quoted(options.version) + ", supported versions are " + quoted("v1") + ", " +
                         quoted("v1beta1"));
  TRY_ASSIGN(auto webhook, make_webhook_client(server.executor(), options.config_file, kTimeout));
  return std::unique_ptr<Authorizer>(std::make_unique<Webhook>(server.options(), std::move(webhook)));
}

}  // namespace knarr::apiserver::authz
