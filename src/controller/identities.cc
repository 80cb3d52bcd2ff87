// SPDX-License-Identifier: Apache-2.0
#include "controller/identities.h"

#include <map>

#include "api/authentication_v1.h"
#include "api/core_v1.h"
#include "base/clock.h"

namespace knarr::controller {
namespace {

using api::authentication_v1::TokenRequest;
using api::core_v1::ServiceAccount;

constexpr std::string_view kNamespace = "kube-system";
constexpr int64_t kTokenSeconds = 3600;

// The token of one account. Several calls may want it at the same time; one of them fetches it.
class TokenSource : public std::enable_shared_from_this<TokenSource> {
 public:
  TokenSource(client::Client& root, std::string account, Executor executor) : root_(root), account_(std::move(account)), fetched_(std::move(executor)) {}

  static Task<Result<std::string>> token(std::shared_ptr<TokenSource> self) {
    while (self->fetching_) co_await self->fetched_.wait();
    if (!self->token_.empty() && Clock::real().mono() < self->renew_at_) co_return self->token_;
    self->fetching_ = true;
    Status status = co_await fetch(self);
    self->fetching_ = false;
    self->fetched_.notify();
    if (!status.ok()) co_return status;
    co_return self->token_;
  }
  void drop(const std::string& refused) {
    if (refused == token_) token_.clear();
  }

 private:
  static Task<Status> fetch(std::shared_ptr<TokenSource> self) {
    Status status = co_await request(self);
    if (status.code() != 404) co_return status;
    ServiceAccount account;
    account.metadata.namespace_ = kNamespace;
    account.metadata.name = self->account_;
    auto made = co_await self->root_.create(std::move(account));
    if (!made.ok() && made.status().code() != 409) co_return made.status();
    status = co_await request(self);
    co_return status;
  }

  static Task<Status> request(std::shared_ptr<TokenSource> self) {
    TokenRequest wanted;
    wanted.spec.expiration_seconds = kTokenSeconds;
    std::string ns(kNamespace), subresource = "token", parent = self->account_;
    schema::Object object = schema::Object::of(std::move(wanted));
    auto answer = co_await self->root_.create_object(ServiceAccount::resource(), std::move(ns), std::move(object), std::move(subresource), std::move(parent));
    if (!answer.ok()) co_return answer.status();
    const auto* given = answer->as<TokenRequest>();
    if (given == nullptr || given->status.token.empty()) co_return Status::error("the answer to a TokenRequest carries no token");
    self->token_ = given->status.token.str();
    self->renew_at_ = Clock::real().mono() + std::chrono::seconds(kTokenSeconds * 4 / 5);
    co_return Status();
  }

  client::Client& root_;
  const std::string account_;
  Notifier fetched_;
  bool fetching_ = false;
  std::string token_;
  MonoTime renew_at_{};
};

class TokenTransport final : public client::Transport {
 public:
  TokenTransport(std::shared_ptr<client::Transport> inner, std::shared_ptr<TokenSource> tokens) : inner_(std::move(inner)), tokens_(std::move(tokens)) {}

  // A token that is refused was revoked (its account made anew, keys changed): once more with a fresh one.
  Task<Result<client::ApiResponse>> send(client::ApiRequest request) override {
    std::shared_ptr<TokenSource> tokens = tokens_;
    std::shared_ptr<client::Transport> inner = inner_;
    for (int attempt = 0;; ++attempt) {
      auto token = co_await TokenSource::token(tokens);
      if (!token.ok()) co_return token.status();
      client::ApiRequest copy = request;
      copy.bearer_token = *token;
      auto answer = co_await inner->send(std::move(copy));
      if (attempt > 0 || !answer.ok() || answer->status != 401) co_return answer;
      tokens->drop(*token);
    }
  }

  Task<Result<Streaming>> open(client::ApiRequest request) override {
    std::shared_ptr<TokenSource> tokens = tokens_;
    std::shared_ptr<client::Transport> inner = inner_;
    auto token = co_await TokenSource::token(tokens);
    if (!token.ok()) co_return token.status();
    request.bearer_token = *token;
    auto answer = co_await inner->open(std::move(request));
    if (answer.ok() && answer->status == 401) tokens->drop(*token);
    co_return answer;
  }

 private:
  std::shared_ptr<client::Transport> inner_;
  std::shared_ptr<TokenSource> tokens_;
};

}  // namespace

struct ServiceAccountClients::Impl {
  client::Client& root;
  std::shared_ptr<client::Transport> bare;
  Executor executor;
  std::map<std::string, std::unique_ptr<client::Client>, std::less<>> clients;
};

ServiceAccountClients::ServiceAccountClients(client::Client& root, std::shared_ptr<client::Transport> bare, Executor executor)
    : impl_(new Impl{root, std::move(bare), std::move(executor), {}}) {}
ServiceAccountClients::~ServiceAccountClients() = default;

client::Client& ServiceAccountClients::client_for(std::string_view account) {
  auto found = impl_->clients.find(account);
  if (found != impl_->clients.end()) return *found->second;
  std::string name(account);
  auto tokens = std::make_shared<TokenSource>(impl_->root, name, impl_->executor);
  auto transport = std::make_shared<TokenTransport>(impl_->bare, std::move(tokens));
  // The agent names the field manager, too: the manager's, whoever acts.
  std::string agent = impl_->root.user_agent();
  auto made = std::make_unique<client::Client>(std::move(transport), std::move(agent));
  return *impl_->clients.emplace(std::move(name), std::move(made)).first->second;
}

}  // namespace knarr::controller
