// SPDX-License-Identifier: Apache-2.0
// root-ca-cert-publisher: every namespace has the ConfigMap kube-root-ca.crt with the CA that verifies the API server.
#include "api/core_v1.h"
#include "controller/controller.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::ConfigMap;
using api::core_v1::Namespace;

constexpr std::string_view kName = "kube-root-ca.crt";
constexpr std::string_view kAnnotation = "kubernetes.io/description";
constexpr std::string_view kDescription =
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service "
    "IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

// The cache holds one small object a namespace, not every ConfigMap.
client::InformerCore::Options only_ours() {
  client::InformerCore::Options options;
  options.field_selector = "metadata.name=" + std::string(kName);
  return options;
}

struct RootCaPublisher : std::enable_shared_from_this<RootCaPublisher> {
  explicit RootCaPublisher(ContextPtr c)
      : context(std::move(c)),
        namespaces(context->informers.get<Namespace>()),
        maps(context->informers.core(ConfigMap::resource(), only_ours())),
        queue(context->make_queue("root_ca_cert_publisher")) {}
  ContextPtr context;
  client::Informer<Namespace> namespaces;
  client::Informer<ConfigMap> maps;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string ns) {
    const std::string& ca = context->options.root_ca_pem;
    auto present = maps.get(ns, kName);
    if (present == nullptr) {
      ConfigMap map;
      map.metadata.namespace_ = ns;
      map.metadata.name = kName;
      map.metadata.annotations[kAnnotation] = kDescription;
      map.data["ca.crt"] = ca;
      auto created = co_await context->client.create(std::move(map));
      if (created.status().code() == 404 || is_namespace_terminating(created.status())) co_return Status();
      co_return created.status();
    }
    bool good = present->data.size() == 1 && schema::get_or_empty(present->data, "ca.crt") == ca &&
                !schema::get_or_empty(present->metadata.annotations, kAnnotation).empty();
    if (good) co_return Status();
    ConfigMap map = *present;
    map.data.reset();
    map.data["ca.crt"] = ca;
    map.metadata.annotations[kAnnotation] = kDescription;
    auto updated = co_await context->client.update(std::move(map));
    co_return updated.status();
  }
};

}  // namespace

void start_root_ca_cert_publisher(const ContextPtr& context) {
  if (context->options.root_ca_pem.empty()) return;
  auto self = std::make_shared<RootCaPublisher>(context);
  self->namespaces.add_handler([self](const auto& old, const auto& now) {
    if (now == nullptr || (old != nullptr && now->status.phase != "Active")) return;
    self->queue->add(now->metadata.name.str());
  });
  self->maps.add_handler([self](const auto& old, const auto& now) {
    if (old == nullptr) return;
    const auto& map = now != nullptr ? now : old;
    self->queue->add(map->metadata.namespace_.str());
  });
  context->run_when_synced({self->maps.core_ptr(), self->namespaces.core_ptr()}, self->queue, "root-ca-cert-publisher", 1,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
