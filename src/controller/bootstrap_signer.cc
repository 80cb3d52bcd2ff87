// SPDX-License-Identifier: Apache-2.0
// bootstrap-signer: the ConfigMap kube-public/cluster-info carries a signature by each bootstrap token that may sign, so that a joining node
// which knows a token can trust what anybody may read there. Off by default, as upstream.
#include "api/core_v1.h"
#include "controller/bootstrap_tokens.h"
#include "controller/controller.h"

namespace knarr::controller {
namespace {

using api::core_v1::ConfigMap;
using api::core_v1::Secret;

constexpr std::string_view kNamespace = "kube-public", kName = "cluster-info", kContentKey = "kubeconfig", kSignaturePrefix = "jws-kubeconfig-";

client::InformerCore::Options of_namespace(std::string_view ns, std::string field_selector) {
  client::InformerCore::Options options;
  options.namespace_ = ns;
  options.field_selector = std::move(field_selector);
  return options;
}

struct BootstrapSigner : std::enable_shared_from_this<BootstrapSigner> {
  explicit BootstrapSigner(ContextPtr c)
      : context(std::move(c)),
        maps(context->informers.core(ConfigMap::resource(), of_namespace(kNamespace, "metadata.name=" + std::string(kName)))),
        secrets(context->informers.core(Secret::resource(), of_namespace("kube-system", "type=" + std::string(kBootstrapTokenType)))),
        queue(context->make_queue("bootstrap_signer_queue")) {}
  ContextPtr context;
  client::Informer<ConfigMap> maps;
  client::Informer<Secret> secrets;
  std::shared_ptr<client::WorkQueue> queue;

  void poke() { queue->add(std::string(kName)); }

  Task<Status> reconcile(std::string) {
    auto present = maps.get(kNamespace, kName);
    if (present == nullptr || present->data.find(kContentKey) == nullptr) co_return Status();
    std::string content(schema::get_or_empty(present->data, kContentKey));
    ConfigMap wanted = *present;
    wanted.data.reset();
    for (const auto& entry : present->data)
      if (!entry.key.view().starts_with(kSignaturePrefix)) wanted.data[entry.key] = entry.value;
    secrets.for_each([&](const std::shared_ptr<const Secret>& secret) {
      auto token = signing_token(*secret, context->clock.now());
      if (token) wanted.data[std::string(kSignaturePrefix) + token->first] = detached_signature(content, token->first, token->second);
    });
    if (wanted.data == present->data) co_return Status();
    auto updated = co_await context->client.update(std::move(wanted));
    // Changed or gone meanwhile: its event comes here again.
    bool passed_by = updated.status().code() == 404 || updated.status().code() == 409;
    co_return passed_by ? Status() : updated.status();
  }
};

}  // namespace

void start_bootstrap_signer(const ContextPtr& context) {
  auto self = std::make_shared<BootstrapSigner>(context);
  self->maps.add_handler([self](const auto&, const auto&) { self->poke(); });
  self->secrets.add_handler([self](const auto&, const auto&) { self->poke(); });
  context->run_when_synced({self->maps.core_ptr(), self->secrets.core_ptr()}, self->queue, "bootstrap_signer", 1,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
