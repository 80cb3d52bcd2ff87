// SPDX-License-Identifier: Apache-2.0
// Tokens that another server knows: it is sent a TokenReview (upstream: plugin/pkg/authenticator/token/webhook).
#include "apiserver/authn/authenticator.h"
#include "apiserver/field_errors.h"
#include "apiserver/remote.h"
#include "base/log.h"
#include "schema/json.h"

namespace knarr::apiserver::authn {
namespace {

constexpr size_t kMaxCached = 10'000;
constexpr size_t kMaxTokenBytes = 64 * 1024;
constexpr Duration kTimeout = std::chrono::seconds(10);

User user_of(const json::Value& info) {
  User user;
  user.name = info.at({"username"}).as_string();
  user.uid = info.at({"uid"}).as_string();
  for (const json::Value& group : info.at({"groups"}).items()) user.groups.push_back(group.as_string());
  for (const auto& [key, values] : info.at({"extra"}).members())
    for (const json::Value& value : values.items()) user.extra[key].push_back(value.as_string());
  return user;
}

class WebhookTokens final : public TokenSource {
 public:
  WebhookTokens(const ApiServer& server, std::shared_ptr<WebhookClient> webhook)
      : options_(server.options()), webhook_(std::move(webhook)), cache_(kMaxCached) {}

  TokenAnswer lookup(std::string_view token, const std::vector<std::string>& audiences) override {
    if (token.size() > kMaxTokenBytes) return {};
    if (auto known = cache_.get(key_of(token, audiences), Clock::real().mono())) return std::move(*known);
    TokenAnswer answer;
    answer.must_ask = true;
    return answer;
  }

  Task<TokenAnswer> ask(std::string token, std::vector<std::string> audiences) override {
    std::string review = review_of(token, audiences);
    auto text = co_await webhook_->post(std::move(review));
    TokenAnswer answer;
    if (!text.ok()) {
      log_error("Failed to make webhook authenticator request", {{"error", text.status().message()}});
      answer.error = text.status().message();
      co_return answer;
    }
    auto parsed = json::parse(*text);
    if (!parsed.ok()) {
      answer.error = parsed.status().message();
      co_return answer;
    }
    answer = read(*parsed, audiences);
    MonoTime now = Clock::real().mono();
    // An error is no answer to keep.
    if (answer.error.empty()) cache_.put(key_of(token, audiences), answer, now + options_.token_webhook_ttl, now);
    co_return answer;
  }

 private:
  static std::string key_of(std::string_view token, const std::vector<std::string>& audiences) {
    std::string key(token);
    for (const std::string& audience : audiences) key.append(1, '\0').append(audience);
    return key;
  }

  std::string review_of(const std::string& token, const std::vector<std::string>& audiences) const {
    json::Value review = json::Value::object();
    review["kind"] = "TokenReview";
    review["apiVersion"] = "authentication.k8s.io/" + options_.token_webhook.version;
    review["metadata"]["creationTimestamp"] = nullptr;
    review["spec"]["token"] = token;
    for (const std::string& audience : audiences) review["spec"]["audiences"].push_back(audience);
    review["status"]["user"] = json::Value::object();
    return json::to_string(review);
  }

  TokenAnswer read(const json::Value& review, const std::vector<std::string>& audiences) const {
    const json::Value& status = review.at({"status"});
    TokenAnswer answer;
    // A server that says nothing of audiences is taken to speak for this one.
    std::vector<std::string> meant;
    for (const json::Value& audience : status.at({"audiences"}).items()) meant.push_back(audience.as_string());
    if (meant.empty()) meant = own_audiences(options_);
    for (const std::string& audience : audiences)
      if (std::find(meant.begin(), meant.end(), audience) != meant.end()) answer.audiences.push_back(audience);
    if (answer.audiences.empty()) return {};
    if (status.at({"authenticated"}).as_bool()) {
      answer.user = user_of(status.at({"user"}));
    } else {
      answer.error = status.at({"error"}).as_string();
    }
    return answer;
  }

  const Options& options_;
  const std::shared_ptr<WebhookClient> webhook_;
  ExpiringCache<TokenAnswer> cache_;
};

}  // namespace

Result<std::unique_ptr<TokenSource>> make_webhook_tokens(ApiServer& server) {
  const WebhookOptions& options = server.options().token_webhook;
  if (options.version != "v1" && options.version != "v1beta1")
    return Status::error("unsupported webhook authenticator version " + quoted(options.version) + ", supported versions are " + quoted("v1") + ", " +
                         quoted("v1beta1"));
  TRY_ASSIGN(auto webhook, make_webhook_client(server.executor(), options.config_file, kTimeout));
  return std::unique_ptr<TokenSource>(std::make_unique<WebhookTokens>(server, std::move(webhook)));
}

}  // namespace knarr::apiserver::authn
