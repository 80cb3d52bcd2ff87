// SPDX-License-Identifier: Apache-2.0
// serviceaccount-token: fills Secrets of type kubernetes.io/service-account-token, and removes those whose account is gone.
#include "api/core_v1.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/util.h"
#include "pki/jwt.h"

namespace knarr::controller {
namespace {

using api::core_v1::Secret;
using api::core_v1::ServiceAccount;

constexpr std::string_view kType = "kubernetes.io/service-account-token";
constexpr std::string_view kAccountName = "kubernetes.io/service-account.name";
constexpr std::string_view kAccountUid = "kubernetes.io/service-account.uid";

// Tokens without an end, of the issuer that API servers accept them from (legacy claims).
std::string legacy_claims(const ServiceAccount& account, const Secret& secret) {
  std::string ns = account.metadata.namespace_.str(), name = account.metadata.name.str();
  return "{\"iss\":\"kubernetes/serviceaccount\",\"kubernetes.io/serviceaccount/namespace\":" + quote(ns) +
         ",\"kubernetes.io/serviceaccount/secret.name\":" + quote(secret.metadata.name) +
         ",\"kubernetes.io/serviceaccount/service-account.name\":" + quote(name) +
         ",\"kubernetes.io/serviceaccount/service-account.uid\":" + quote(account.metadata.uid) +
         ",\"sub\":" + quote("system:serviceaccount:" + ns + ":" + name) + "}";
}

struct TokenController : std::enable_shared_from_this<TokenController> {
  TokenController(ContextPtr c, std::unique_ptr<pki::JwtSigner> s)
      : context(std::move(c)),
        signer(std::move(s)),
        accounts(context->informers.get<ServiceAccount>()),
        secrets(context->informers.core(Secret::resource(), only_tokens())),
        queue(context->make_queue("serviceaccount_tokens_secret")) {}
  static client::InformerCore::Options only_tokens() {
    client::InformerCore::Options options;
    options.field_selector = "type=" + std::string(kType);
    return options;
  }
  ContextPtr context;
  std::unique_ptr<pki::JwtSigner> signer;
  client::Informer<ServiceAccount> accounts;
  client::Informer<Secret> secrets;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string key);
  Task<Status> fill(Secret secret, const ServiceAccount& account);
  Task<Result<ServiceAccount>> account_of(const Secret& secret);
  bool is_complete(const Secret& secret) const;
  void enqueue_secrets_of(const ServiceAccount& account);
};

bool TokenController::is_complete(const Secret& secret) const {
  const std::string& ca = context->options.root_ca_pem;
  bool ca_ok = ca.empty() || schema::get_or_empty(secret.data, "ca.crt") == ca;
  return ca_ok && !schema::get_or_empty(secret.data, "namespace").empty() && !schema::get_or_empty(secret.data, "token").empty();
}

// From the cache, else from the server: an account may be younger than the cache. 404 when there is none of this name and UID.
Task<Result<ServiceAccount>> TokenController::account_of(const Secret& secret) {
  std::string ns = secret.metadata.namespace_.str();
  std::string name(schema::get_or_empty(secret.metadata.annotations, kAccountName));
  std::string uid(schema::get_or_empty(secret.metadata.annotations, kAccountUid));
  auto cached = accounts.get(ns, name);
  if (cached != nullptr && (uid.empty() || cached->metadata.uid == uid)) co_return ServiceAccount(*cached);
  auto live = co_await context->client.get<ServiceAccount>(std::move(ns), std::move(name));
  if (live.ok() && !uid.empty() && live->metadata.uid != uid) co_return Status::make(404, "NotFound", "another account of this name");
  co_return live;
}

Task<Status> TokenController::fill(Secret secret, const ServiceAccount& account) {
  if (!context->options.root_ca_pem.empty()) secret.data["ca.crt"] = context->options.root_ca_pem;
  secret.data["namespace"] = secret.metadata.namespace_;
  if (schema::get_or_empty(secret.data, "token").empty()) {
    auto token = signer->sign(legacy_claims(account, secret));
    if (!token.ok()) co_return token.status();
    secret.data["token"] = *token;
  }
  secret.metadata.annotations[kAccountName] = account.metadata.name;
  secret.metadata.annotations[kAccountUid] = account.metadata.uid;
  auto updated = co_await context->client.update(std::move(secret));
  // Changed or gone meanwhile: its event brings it back.
  co_return updated.status().code() == 404 || updated.status().code() == 409 ? Status() : updated.status();
}

Task<Status> TokenController::reconcile(std::string key) {
  auto secret = secrets.get(key);
  if (secret == nullptr || secret->type != kType) co_return Status();
  if (schema::get_or_empty(secret->metadata.annotations, kAccountName).empty()) co_return Status();
  auto account = co_await account_of(*secret);
  if (account.status().code() == 404) {
    client::DeleteOptions options;
    options.uid = secret->metadata.uid.str();
    auto [ns, name] = split_key(key);
    Status removed = co_await context->client.remove<Secret>(std::move(ns), std::move(name), std::move(options));
    co_return removed.code() == 404 || removed.code() == 409 ? Status() : removed;
  }
  if (!account.ok()) co_return account.status();
  if (is_complete(*secret)) co_return Status();
  Secret copy = *secret;
  Status status = co_await fill(std::move(copy), *account);
  co_return status;
}

void TokenController::enqueue_secrets_of(const ServiceAccount& account) {
  secrets.for_each_in(account.metadata.namespace_, [&](const auto& secret) {
    if (schema::get_or_empty(secret->metadata.annotations, kAccountName) == account.metadata.name.view())
      queue->add(secret->metadata.namespace_.str() + "/" + secret->metadata.name.str());
  });
}

}  // namespace

void start_serviceaccount_token(const ContextPtr& context) {
  if (context->options.service_account_key_pem.empty()) return;
  auto signer = pki::JwtSigner::make(context->options.service_account_key_pem);
  if (!signer.ok()) {
    log_error("Service account key could not be read", {{"err", signer.status().message()}});
    return;
  }
  auto self = std::make_shared<TokenController>(context, std::move(*signer));
  self->secrets.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.namespace_.str() + "/" + now->metadata.name.str());
  });
  self->accounts.add_handler([self](const auto& old, const auto& now) {
    if (now == nullptr) self->enqueue_secrets_of(*old);
  });
  context->run_when_synced({self->accounts.core_ptr(), self->secrets.core_ptr()}, self->queue, "serviceaccount-token", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
