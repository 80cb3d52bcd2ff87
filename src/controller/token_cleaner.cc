// SPDX-License-Identifier: Apache-2.0
// token-cleaner: removes bootstrap tokens when their time is over. Off by default, as upstream.
#include "api/core_v1.h"
#include "base/log.h"
#include "controller/bootstrap_tokens.h"
#include "controller/controller.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::Secret;

struct TokenCleaner : std::enable_shared_from_this<TokenCleaner> {
  explicit TokenCleaner(ContextPtr c)
      : context(std::move(c)), secrets(context->informers.core(Secret::resource(), only_tokens())), queue(context->make_queue("token_cleaner")) {}
  static client::InformerCore::Options only_tokens() {
    client::InformerCore::Options options;
    options.namespace_ = "kube-system";
    options.field_selector = "type=" + std::string(kBootstrapTokenType);
    return options;
  }
  ContextPtr context;
  client::Informer<Secret> secrets;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string key) {
    auto secret = secrets.get(key);
    if (secret == nullptr || secret->type != kBootstrapTokenType) co_return Status();
    std::optional<Duration> left = remaining_life(*secret, context->clock.now());
    if (!left) co_return Status();
    if (*left > Duration::zero()) {
      queue->add_after(std::move(key), *left);
      co_return Status();
    }
    log_info("Deleting an expired bootstrap token", {{"secret", key}});
    client::DeleteOptions options;
    options.uid = secret->metadata.uid.str();
    auto [ns, name] = split_key(key);
    Status removed = co_await context->client.remove<Secret>(std::move(ns), std::move(name), std::move(options));
    bool gone = removed.code() == 404 || removed.code() == 409;
    co_return gone ? Status() : removed;
  }
};

}  // namespace

void start_token_cleaner(const ContextPtr& context) {
  auto self = std::make_shared<TokenCleaner>(context);
  self->secrets.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.namespace_.str() + "/" + now->metadata.name.str());
  });
  context->run_when_synced({self->secrets.core_ptr()}, self->queue, "token_cleaner", 1,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
