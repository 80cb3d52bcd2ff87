// SPDX-License-Identifier: Apache-2.0
#include "client/service_account.h"

#include "api/authentication_v1.h"
#include "api/core_v1.h"
#include "base/clock.h"

namespace knarr::client {
namespace {

using api::authentication_v1::TokenRequest;
using api::core_v1::ServiceAccount;

constexpr int64_t kTokenSeconds = 3600;
// A token is replaced when this much of its life has passed.
constexpr Duration kTokenUse = std::chrono::seconds(kTokenSeconds * 8 / 10);

class ServiceAccountTransport final : public Transport {
 public:
  ServiceAccountTransport(Executor executor, std::shared_ptr<Transport> shared, Client& issuer, ObjectRef account)
      : shared_(std::move(shared)), issuer_(issuer), account_(std::move(account)), changed_(std::move(executor)) {}

  Task<Result<ApiResponse>> send(ApiRequest request) override {
    ApiRequest first = request;
    auto token = co_await current_token();
    if (!token.ok()) co_return token.status();
    first.token = *token;
    auto response = co_await shared_->send(std::move(first));
    if (!response.ok() || response->status != 401) co_return response;
    // Its account may have been made anew meanwhile.
    forget(*token);
    token = co_await current_token();
    if (!token.ok()) co_return token.status();
    request.token = *token;
    response = co_await shared_->send(std::move(request));
    co_return response;
  }

  Task<Result<Streaming>> open(ApiRequest request) override {
    auto token = co_await current_token();
    if (!token.ok()) co_return token.status();
    request.token = *token;
    auto streaming = co_await shared_->open(std::move(request));
    if (streaming.ok() && streaming->status == 401) forget(*token);
    co_return streaming;
  }

 private:
  void forget(const std::string& token) {
    if (token == token_) token_.clear();
  }

  // One asks; the others wait for it.
  Task<Result<std::string>> current_token() {
    while (asking_) co_await changed_.wait();
    if (!token_.empty() && Clock::real().mono() < use_until_) co_return token_;
    asking_ = true;
    Status status = co_await renew();
    asking_ = false;
    changed_.notify();
    if (!status.ok()) co_return status;
    co_return token_;
  }

  Task<Status> renew() {
    auto made = co_await request_token();
    if (!made.ok() && made.status().code() == 404) {
      ServiceAccount account;
      account.metadata.name = account_.name;
      account.metadata.namespace_ = account_.namespace_;
      schema::Object object = schema::Object::of(std::move(account));
      auto created = co_await issuer_.create_object(ServiceAccount::resource(), account_.namespace_, std::move(object));
      if (!created.ok() && !created.status().is("AlreadyExists")) co_return created.status();
      made = co_await request_token();
    }
    if (!made.ok()) co_return made.status().with_context("a token for service account " + account_.key());
    const auto* answer = made->as<TokenRequest>();
    if (answer == nullptr || answer->status.token.empty()) co_return Status::error("no token came for service account " + account_.key());
    token_ = answer->status.token.str();
    use_until_ = Clock::real().mono() + kTokenUse;
    co_return Status();
  }

  Task<Result<schema::Object>> request_token() {
    TokenRequest request;
    request.spec.expiration_seconds = kTokenSeconds;
    std::string subresource = "token";
    schema::Object object = schema::Object::of(std::move(request));
    auto answer = co_await issuer_.create_object(ServiceAccount::resource(), account_.namespace_, std::move(object), subresource, account_.name);
    co_return answer;
  }

  const std::shared_ptr<Transport> shared_;
  Client& issuer_;
  const ObjectRef account_;
  std::string token_;
  MonoTime use_until_{};
  bool asking_ = false;
  Notifier changed_;
};

}  // namespace

ClusterAccess without_credentials(ClusterAccess access) {
  for (std::string* text : {&access.client_cert_pem, &access.client_key_pem, &access.client_cert_file, &access.client_key_file, &access.token,
                            &access.token_file, &access.username, &access.password})
    text->clear();
  return access;
}

std::shared_ptr<Transport> make_service_account_transport(Executor executor, std::shared_ptr<Transport> shared, Client& issuer, ObjectRef account) {
  return std::make_shared<ServiceAccountTransport>(std::move(executor), std::move(shared), issuer, std::move(account));
}

}  // namespace knarr::client
