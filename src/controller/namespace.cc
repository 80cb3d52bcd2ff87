// SPDX-License-Identifier: Apache-2.0
// namespace: empties namespaces that are being deleted, then takes the finalizer "kubernetes" off their spec.
//
// Every served resource is asked, custom ones too. A resource without objects costs one list. Pods that end gracefully wake the namespace when
// the last one goes; what else delays (finalizers) is looked at again after half of the estimate, as upstream does.
#include "api/core_v1.h"
#include "controller/controller.h"
#include "controller/discovery.h"
#include "controller/namespace_conditions.h"
#include "controller/util.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::core_v1::Namespace;
using api::core_v1::Pod;
using api::meta_v1::PartialObjectMetadata;

constexpr std::string_view kFinalizer = "kubernetes";
constexpr int64_t kFinalizerEstimateSeconds = 15;
constexpr size_t kAtOnce = 8;

bool not_supported(const Status& status) { return status.code() == 404 || status.code() == 405; }

// What was found in one resource.
struct Remains {
  int64_t count = 0, estimate_seconds = 0;
  std::map<std::string, int64_t> finalizers;
};

struct NamespaceController : std::enable_shared_from_this<NamespaceController> {
  explicit NamespaceController(ContextPtr c)
      : context(std::move(c)),
        namespaces(context->informers.get<Namespace>()),
        pods(context->informers.get<Pod>()),
        queue(context->make_queue("namespace")) {}
  ContextPtr context;
  client::Informer<Namespace> namespaces;
  client::Informer<Pod> pods;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> reconcile(std::string name);
  Task<Status> empty(Namespace& ns, int64_t& estimate);
  Task<Status> empty_resource(ServedResourcePtr resource, std::string ns, int64_t grace, std::shared_ptr<Remains> remains);
  Task<Result<client::Client::Objects>> list(ServedResourcePtr resource, std::string ns);
  int64_t grace_of_pods(const Namespace& ns) const;
  void pod_gone(const Pod& pod);
};

// The longest grace period among the pods that still run, unless it has passed.
int64_t NamespaceController::grace_of_pods(const Namespace& ns) const {
  int64_t estimate = 0;
  pods.for_each_in(ns.metadata.name, [&](const auto& pod) {
    if (pod->status.phase == "Succeeded" || pod->status.phase == "Failed") return;
    estimate = std::max(estimate, pod->spec.termination_grace_period_seconds.value_or(0));
  });
  int64_t passed = context->now().unix_seconds() - ns.metadata.deletion_timestamp->unix_seconds();
  return passed >= estimate ? 0 : estimate;
}

Task<Result<client::Client::Objects>> NamespaceController::list(ServedResourcePtr resource, std::string ns) {
  client::ListOptions options;
  auto found = co_await context->client.list_objects(resource->resource, std::move(ns), std::move(options), &PartialObjectMetadata::table());
  co_return found;
}

Task<Status> NamespaceController::empty_resource(ServedResourcePtr resource, std::string ns, int64_t grace,
                                                 std::shared_ptr<Remains> remains) {
  bool can_list = (resource->verbs & schema::kList) != 0;
  client::Client::Objects before;
  if (can_list) {
    std::string where = ns;
    auto found = co_await list(resource, std::move(where));
    if (!found.ok()) co_return not_supported(found.status()) ? Status() : found.status();
    if (found->items.empty()) co_return Status();
    before = std::move(*found);
  }
  // Never orphan: everything in the namespace goes anyway.
  client::DeleteOptions options;
  options.propagation_policy = "Background";
  bool collected = false;
  if ((resource->verbs & schema::kDeleteCollection) != 0) {
    std::string where = ns;
    client::DeleteOptions copy = options;
    client::ListOptions all;
    Status status = co_await context->client.delete_collection(resource->resource, std::move(where), std::move(copy), std::move(all));
    if (!status.ok() && !not_supported(status)) co_return status;
    collected = status.ok();
  }
  if (!can_list) co_return Status();
  for (size_t i = 0; !collected && i < before.items.size(); ++i) {
    client::ObjectRef ref{ns, before.items[i].as<PartialObjectMetadata>()->metadata.name.str()};
    client::DeleteOptions copy = options;
    Status status = co_await context->client.delete_object(resource->resource, std::move(ref), std::move(copy));
    if (!status.ok() && !not_supported(status)) co_return status;
  }
  std::string where = ns;
  auto after = co_await list(resource, std::move(where));
  if (!after.ok()) co_return not_supported(after.status()) ? Status() : after.status();
  remains->count = static_cast<int64_t>(after->items.size());
  for (const schema::Object& item : after->items)
    for (const schema::Str& finalizer : item.as<PartialObjectMetadata>()->metadata.finalizers) ++remains->finalizers[finalizer.str()];
  if (remains->count == 0) co_return Status();
  remains->estimate_seconds = grace;
  if (grace == 0 && !remains->finalizers.empty()) remains->estimate_seconds = kFinalizerEstimateSeconds;
  if (remains->estimate_seconds > 0) co_return Status();
  co_return Status::error("unexpected items still remain in namespace: " + ns + " for gvr: " + resource->group + "/" +
                          resource->version + ", Resource=" + resource->plural);
}

Task<Status> NamespaceController::empty(Namespace& ns, int64_t& estimate) {
  NamespaceContent content;
  std::vector<Status> failures;
  auto found = co_await discover(context->client);
  if (!found.ok()) {
    content.discovery_failure = found.status().message();
    failures.push_back(found.status());
    found = Discovery();
  } else if (!found->failures.empty()) {
    std::string text;
    for (const std::string& failure : found->failures) text += (text.empty() ? "" : ", ") + failure;
    content.discovery_failure = "Discovery failed for some groups, " + std::to_string(found->failures.size()) +
                                " failing: unable to retrieve the complete list of server APIs: " + text;
    failures.push_back(Status::error("unable to retrieve the complete list of server APIs: " + text));
  }
  std::vector<ServedResourcePtr> resources;
  for (const ServedResourcePtr& resource : found->resources)
    if (resource->namespaced && resource->preferred && (resource->verbs & schema::kDelete) != 0) resources.push_back(resource);

  auto self = shared_from_this();
  std::string name = ns.metadata.name.str();
  for (size_t from = 0; from < resources.size(); from += kAtOnce) {
    std::vector<Job> jobs;
    std::vector<std::shared_ptr<Remains>> remains;
    size_t to = std::min(resources.size(), from + kAtOnce);
    for (size_t i = from; i < to; ++i) {
      ServedResourcePtr resource = resources[i];
      int64_t grace = resource->group.empty() && resource->plural == "pods" ? grace_of_pods(ns) : 0;
      auto left = remains.emplace_back(std::make_shared<Remains>());
      jobs.push_back([self, resource, name, grace, left] { return self->empty_resource(resource, name, grace, left); });
    }
    std::vector<Status> results = co_await run_together(std::move(jobs));
    for (size_t i = from; i < to; ++i) {
      const Status& status = results[i - from];
      if (!status.ok()) {
        failures.push_back(status);
        content.delete_failures.emplace_back(status.message());
      }
      const Remains& left = *remains[i - from];
      estimate = std::max(estimate, left.estimate_seconds);
      if (left.count > 0) content.remaining[resources[i]->plural + "." + resources[i]->group] = left.count;
      for (const auto& [finalizer, count] : left.finalizers) content.finalizers[finalizer] += count;
    }
  }
  if (update_conditions(ns.status, content, context->now())) {
    Namespace copy = ns;
    auto updated = co_await context->client.update_status(std::move(copy));
    if (updated.ok()) ns = std::move(*updated);
  }
  co_return aggregate(failures);
}

Task<Status> NamespaceController::reconcile(std::string name) {
  std::string none, wanted = name;
  auto read = co_await context->client.get<Namespace>(std::move(none), std::move(wanted));
  if (!read.ok()) co_return read.status().code() == 404 ? Status() : read.status();
  Namespace ns = std::move(*read);
  if (!ns.metadata.deletion_timestamp) co_return Status();
  if (ns.status.phase != "Terminating") {
    Namespace copy = ns;
    copy.status.phase = "Terminating";
    auto updated = co_await context->client.update_status(std::move(copy));
    if (!updated.ok()) co_return updated.status().code() == 404 ? Status() : updated.status();
    ns = std::move(*updated);
  }
  bool ours = false;
  for (const schema::Str& finalizer : ns.spec.finalizers) ours = ours || finalizer == kFinalizer;
  if (!ours) co_return Status();

  int64_t estimate = 0;
  Status status = co_await empty(ns, estimate);
  if (!status.ok()) co_return status;
  if (estimate > 0) {
    queue->add_after(name, std::chrono::seconds(estimate / 2 + 1));
    co_return Status();
  }
  ns.spec.finalizers.erase_if([](const schema::Str& finalizer) { return finalizer == kFinalizer; });
  std::string subresource = "finalize";
  auto finalized = co_await context->client.update(std::move(ns), std::move(subresource));
  co_return finalized.status().code() == 404 ? Status() : finalized.status();
}

void NamespaceController::pod_gone(const Pod& pod) {
  auto ns = namespaces.get(pod.metadata.namespace_);
  if (ns == nullptr || !ns->metadata.deletion_timestamp) return;
  bool any = false;
  pods.for_each_in(pod.metadata.namespace_, [&](const auto&) { any = true; });
  if (!any) queue->add(pod.metadata.namespace_.str());
}

}  // namespace

void start_namespace(const ContextPtr& context) {
  auto self = std::make_shared<NamespaceController>(context);
  self->namespaces.add_handler([self](const auto&, const auto& now) {
    if (now == nullptr || !now->metadata.deletion_timestamp || now->spec.finalizers.empty()) return;
    self->queue->add_after(now->metadata.name.str(), self->context->options.namespace_deletion_grace);
  });
  self->pods.add_handler([self](const auto& old, const auto& now) {
    if (now == nullptr) self->pod_gone(*old);
  });
  context->run_when_synced({self->namespaces.core_ptr(), self->pods.core_ptr()}, self->queue, "namespace", 10,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
