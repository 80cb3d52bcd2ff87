// SPDX-License-Identifier: Apache-2.0
// serviceaccount: every active namespace has the ServiceAccount "default".
#include "api/core_v1.h"
#include "controller/controller.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::Namespace;
using api::core_v1::ServiceAccount;

struct ServiceAccountController : std::enable_shared_from_this<ServiceAccountController> {
  explicit ServiceAccountController(ContextPtr c)
      : context(std::move(c)),
        namespaces(context->informers.get<Namespace>()),
        accounts(context->informers.get<ServiceAccount>()),
        queue(context->make_queue("serviceaccount")) {}
  ContextPtr context;
  client::Informer<Namespace> namespaces;
  client::Informer<ServiceAccount> accounts;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string name) {
    auto ns = namespaces.get(name);
    if (ns == nullptr || ns->status.phase != "Active") co_return Status();
    if (accounts.get(name, "default") != nullptr) co_return Status();
    ServiceAccount account;
    account.metadata.namespace_ = name;
    account.metadata.name = "default";
    auto created = co_await context->client.create(std::move(account));
    if (created.status().code() == 409 || is_namespace_terminating(created.status())) co_return Status();
    co_return created.status();
  }
};

}  // namespace

void start_serviceaccount(const ContextPtr& context) {
  auto self = std::make_shared<ServiceAccountController>(context);
  self->namespaces.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.name.str());
  });
  self->accounts.add_handler([self](const auto& old, const auto& now) {
    if (now == nullptr) self->queue->add(old->metadata.namespace_.str());
  });
  context->run_when_synced({self->namespaces.core_ptr(), self->accounts.core_ptr()}, self->queue, "serviceaccount", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
