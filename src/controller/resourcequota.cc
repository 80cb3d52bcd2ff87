// SPDX-License-Identifier: Apache-2.0
// resourcequota: keeps a quota's status at what the namespace really uses. Admission adds to it as objects are made; deletions, ended pods
// and changed services and quotas bring the recount.
//
// Only what some quota limits is watched: a count of Deployments starts a watch of Deployments.
#include <map>
#include <set>

#include "client/metadata.h"
#include "controller/controller.h"
#include "controller/discovery.h"
#include "controller/pod_util.h"
#include "controller/util.h"
#include "quota/quota.h"

namespace knarr::controller {
namespace {

using api::core_v1::ResourceQuota;
using api::meta_v1::PartialObjectMetadata;
using quota::GroupResource;

constexpr Duration kResync = std::chrono::minutes(5);

struct QuotaController : std::enable_shared_from_this<QuotaController> {
  explicit QuotaController(ContextPtr c)
      : context(std::move(c)), quotas(context->informers.get<ResourceQuota>()), queue(context->make_queue("resourcequota_primary")) {}
  ContextPtr context;
  client::Informer<ResourceQuota> quotas;
  std::shared_ptr<client::WorkQueue> queue;
  std::map<GroupResource, std::shared_ptr<client::InformerCore>> sources;
  std::vector<ServedResourcePtr> served;  // keeps discovered resources alive for their informers

  Task<Status> reconcile(std::string key);
  Task<Result<std::shared_ptr<client::InformerCore>>> source_of(GroupResource resource);
  Task<Result<ServedResourcePtr>> find_served(GroupResource resource);
  void watch(const GroupResource& resource, std::shared_ptr<client::InformerCore> core);
  void object_changed(const GroupResource& resource, const client::SharedObject& old, const client::SharedObject& now);
};

// Changes that free something; creations are counted by admission.
bool frees(const client::SharedObject& old, const client::SharedObject& now, schema::Time time) {
  if (now == nullptr) return true;
  if (old == nullptr) return false;
  if (const auto* pod = now->as<api::core_v1::Pod>())
    return quota::pod_counts(*old->as<api::core_v1::Pod>(), time) && !quota::pod_counts(*pod, time);
  if (const auto* service = now->as<api::core_v1::Service>()) return old->as<api::core_v1::Service>()->spec.type != service->spec.type;
  return false;
}

void QuotaController::object_changed(const GroupResource& resource, const client::SharedObject& old, const client::SharedObject& now) {
  if (!frees(old, now, context->now())) return;
  const auto* metadata = client::metadata_of(now != nullptr ? *now : *old);
  quotas.for_each_in(metadata->namespace_, [&](const std::shared_ptr<const ResourceQuota>& quota) {
    for (const auto& entry : quota->status.hard) {
      if (quota::counted_resource(entry.key) != resource) continue;
      queue->add(client::key_of(quota->metadata));
      return;
    }
  });
}

void QuotaController::watch(const GroupResource& resource, std::shared_ptr<client::InformerCore> core) {
  auto self = shared_from_this();
  core->add_handler([self, resource](const client::SharedObject& old, const client::SharedObject& now) {
    self->object_changed(resource, old, now);
  });
  core->start();
  sources[resource] = std::move(core);
}

Task<Result<ServedResourcePtr>> QuotaController::find_served(GroupResource wanted) {
  auto found = co_await discover(context->client);
  if (!found.ok()) co_return found.status();
  for (const ServedResourcePtr& resource : found->resources)
    if (resource->preferred && resource->namespaced && resource->group == wanted.group && resource->plural == wanted.plural)
      co_return resource;
  co_return Status::make(404, "NotFound", "no resource " + wanted.plural + " in group " + quote(wanted.group));
}

// An informer that has its first list; whole objects only where amounts lie in the spec.
Task<Result<std::shared_ptr<client::InformerCore>>> QuotaController::source_of(GroupResource resource) {
  if (!sources.contains(resource)) {
    bool typed = resource.group.empty() && (resource.plural == "pods" || resource.plural == "services" || resource.plural == "persistentvolumeclaims");
    const schema::Resource* builtin = typed ? schema::find_resource("", "v1", resource.plural) : nullptr;
    if (builtin == nullptr) {
      auto found = co_await find_served(resource);
      if (!found.ok()) co_return found.status();
      served.push_back(*found);
      builtin = &served.back()->resource;
    }
    std::shared_ptr<client::InformerCore> core = context->informers.find(*builtin);
    if (core == nullptr) {
      client::InformerCore::Options options;
      if (!typed) options.type = &PartialObjectMetadata::table();
      core = context->informers.core(*builtin, std::move(options));
    }
    if (!sources.contains(resource)) watch(resource, std::move(core));
  }
  std::shared_ptr<client::InformerCore> core = sources[resource];
  co_await core->wait_synced();
  co_return core;
}

Task<Status> QuotaController::reconcile(std::string key) {
  auto quota = quotas.get(key);
  if (quota == nullptr) co_return Status();
  std::set<GroupResource> concerned;
  for (const auto& entry : quota->spec.hard)
    if (auto resource = quota::counted_resource(entry.key)) concerned.insert(std::move(*resource));

  quota::Amounts used = quota::from_map(quota->status.used), counted;
  for (const GroupResource& resource : concerned) {
    auto source = co_await source_of(resource);
    // A kind that is not served (yet) leaves its amounts as they are.
    if (source.status().code() == 404) continue;
    if (!source.ok()) co_return source.status();
    for (const auto& entry : quota->spec.hard)
      if (quota::counted_resource(entry.key) == resource) counted[entry.key.str()] = schema::QuantityValue();
    (*source)->for_each_in(quota->metadata.namespace_, [&](const client::SharedObject& object) {
      if (quota::matches_scopes(*quota, resource, *object)) quota::add(counted, quota::usage_of(resource, *object, context->now()));
    });
  }
  for (const auto& [name, value] : counted) used[name] = value;
  std::erase_if(used, [&](const auto& entry) { return !quota->spec.hard.contains(entry.first); });

  bool same = quota->status.hard == quota->spec.hard && !quota->status.hard.is_null() && !quota->status.used.is_null() &&
              quota::equal(used, quota::from_map(quota->status.used));
  if (same) co_return Status();
  ResourceQuota changed = *quota;
  changed.status.hard = quota->spec.hard;
  changed.status.hard.ensure();
  changed.status.used = quota::to_map(used);
  auto updated = co_await context->client.update_status(std::move(changed));
  co_return updated.status().code() == 404 ? Status() : updated.status();
}

Task<void> enqueue_all(std::shared_ptr<QuotaController> self) {
  self->quotas.for_each([&](const auto& quota) { self->queue->add(client::key_of(quota->metadata)); });
  co_return;
}

}  // namespace

void start_resourcequota(const ContextPtr& context) {
  auto self = std::make_shared<QuotaController>(context);
  self->quotas.add_handler([self](const auto& old, const auto& now) {
    if (now == nullptr) return;
    // What admission writes into the status is no reason to count again.
    if (old != nullptr && old->spec.hard == now->spec.hard && now->status.hard == now->spec.hard) return;
    self->queue->add(client::key_of(now->metadata));
  });
  context->run_when_synced({self->quotas.core_ptr()}, self->queue, "resourcequota", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
  context->call_when_synced({self->quotas.core_ptr()}, [self] {
    self->context->run_periodically(kResync, [self] { return enqueue_all(self); });
  });
}

}  // namespace knarr::controller
