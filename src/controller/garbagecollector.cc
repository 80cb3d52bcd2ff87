// SPDX-License-Identifier: Apache-2.0
#include "controller/garbagecollector.h"

#include "base/log.h"
#include "client/metadata.h"
#include "controller/util.h"

namespace knarr::controller {

using api::meta_v1::PartialObjectMetadata;

GarbageCollector::GarbageCollector(ContextPtr context)
    : context_(std::move(context)),
      events_(context_->recorder("garbage-collector-controller")),
      delete_queue_(context_->make_queue("garbage_collector_attempt_to_delete")),
      orphan_queue_(context_->make_queue("garbage_collector_attempt_to_orphan")),
      sync_queue_(context_->make_queue("garbage_collector_sync")),
      graph_(GcGraph::Outputs{
          [queue = delete_queue_](const std::string& uid) { queue->add(uid); },
          [queue = delete_queue_](const std::string& uid) { queue->add_rate_limited(uid); },
          [queue = orphan_queue_](const std::string& uid) { queue->add(uid); },
          [events = events_](const ObjectIdentity& dependent, const OwnerReference& reference) {
            api::core_v1::ObjectReference about;
            about.api_version = dependent.api_version;
            about.kind = dependent.kind;
            about.namespace_ = dependent.namespace_;
            about.name = dependent.name;
            about.uid = dependent.uid;
            ObjectIdentity owner{reference.api_version.str(), reference.kind.str(), dependent.namespace_, reference.name.str(),
                                 reference.uid.str()};
            events->event(about, "Warning", "OwnerRefInvalidNamespace",
                          "ownerRef " + owner.text() + " does not exist in namespace " + quote(dependent.namespace_));
          }}),
      resumed_(context_->executor) {}

void GarbageCollector::start() {
  auto self = shared_from_this();
  client::run_workers(context_->executor, sync_queue_, "garbage-collector-sync", 1,
                      [self](const std::string&) { return self->sync_monitors(); });
  client::run_workers(context_->executor, delete_queue_, "garbage-collector", 20,
                      [self](std::string uid) { return self->attempt_to_delete(std::move(uid)); });
  client::run_workers(context_->executor, orphan_queue_, "garbage-collector", 5,
                      [self](std::string uid) { return self->attempt_to_orphan(std::move(uid)); });
  context_->on_stop([self] {
    for (auto& [key, monitor] : self->monitors_)
      if (monitor.own) monitor.core->stop();
    self->monitors_.clear();
    self->resumed_.notify();
  });
  watch_for_new_resources();
  sync_queue_->add("first");
}

// A new kind is served a moment after its definition is accepted, so it is looked for twice.
void GarbageCollector::watch_for_new_resources() {
  auto self = shared_from_this();
  for (const auto& [group, plural] : {std::pair("apiextensions.k8s.io", "customresourcedefinitions"),
                                      std::pair("apiregistration.k8s.io", "apiservices")}) {
    const schema::Resource* resource = schema::find_resource(group, "v1", plural);
    if (resource == nullptr) continue;
    client::InformerCore::Options options;
    options.type = &PartialObjectMetadata::table();
    context_->informers.core(*resource, std::move(options))->add_handler([self](const auto&, const auto&) {
      if (!self->running_) return;
      self->sync_queue_->add_after("soon", std::chrono::milliseconds(500));
      self->sync_queue_->add_after("later", std::chrono::seconds(10));
    });
  }
}

void GarbageCollector::object_changed(const ServedResource& resource, const client::SharedObject& old,
                                      const client::SharedObject& now) {
  const ObjectMeta* before = old == nullptr ? nullptr : client::metadata_of(*old);
  const ObjectMeta* after = now == nullptr ? nullptr : client::metadata_of(*now);
  auto identity = [&](const ObjectMeta& m) {
    return ObjectIdentity{resource.api_version, resource.kind, m.namespace_.str(), m.name.str(), m.uid.str()};
  };
  if (before != nullptr && (after == nullptr || after->uid != before->uid)) graph_.deleted(identity(*before));
  if (after == nullptr) return;
  if (before != nullptr && before->uid != after->uid) before = nullptr;
  graph_.changed(identity(*after), before, *after);
}

void GarbageCollector::add_monitor(ServedResourcePtr resource) {
  Monitor monitor;
  monitor.resource = resource;
  monitor.core = context_->informers.find(resource->resource);
  if (monitor.core == nullptr) {
    client::InformerCore::Options options;
    options.type = &PartialObjectMetadata::table();
    const schema::Resource* builtin = schema::find_resource(resource->group, resource->version, resource->plural);
    if (builtin != nullptr) {
      monitor.core = context_->informers.core(*builtin, std::move(options));  // others may want it, too
    } else {
      monitor.core = std::make_shared<client::InformerCore>(context_->client, resource->resource, std::move(options), context_->executor);
      monitor.own = true;
    }
  }
  std::weak_ptr<GarbageCollector> weak = weak_from_this();
  monitor.core->add_handler([weak, resource](const client::SharedObject& old, const client::SharedObject& now) {
    if (auto self = weak.lock()) self->object_changed(*resource, old, now);
  });
  monitor.core->start();
  monitors_[resource->group + "/" + resource->plural] = std::move(monitor);
}

Task<Status> GarbageCollector::sync_monitors() {
  auto found = co_await discover(context_->client);
  if (!found.ok()) co_return found.status();
  discovery_ = std::move(*found);
  constexpr uint16_t kNeeded = schema::kDelete | schema::kList | schema::kWatch;
  std::map<std::string, ServedResourcePtr> wanted;
  for (const ServedResourcePtr& resource : discovery_.resources) {
    if (!resource->preferred || (resource->verbs & kNeeded) != kNeeded || resource->plural == "events") continue;
    wanted[resource->group + "/" + resource->plural] = resource;
  }
  // While a group cannot be asked, its resources stay as they were.
  for (auto at = monitors_.begin(); at != monitors_.end();) {
    auto now = wanted.find(at->first);
    bool gone = now == wanted.end() && discovery_.failures.empty();
    bool moved = now != wanted.end() && now->second->api_version != at->second.resource->api_version;
    if (at->second.own && (gone || moved)) {
      at->second.core->stop();
      retired_.push_back(at->second.resource);
      at = monitors_.erase(at);
    } else {
      ++at;
    }
  }
  std::vector<std::shared_ptr<client::InformerCore>> fresh;
  for (const auto& [name, resource] : wanted) {
    if (monitors_.contains(name)) continue;
    running_ = false;
    add_monitor(resource);
    fresh.push_back(monitors_[name].core);
  }
  // A resource that cannot be listed (a broken webhook conversion) must not stop the others for ever.
  constexpr Duration kPatience = std::chrono::seconds(30);
  MonoTime deadline = context_->clock.mono() + kPatience;
  for (const auto& core : fresh) {
    while (!core->synced() && context_->clock.mono() < deadline && !context_->stopped()) {
      Duration step = std::chrono::milliseconds(20);
      co_await sleep_for(step);
    }
  }
  running_ = true;
  resumed_.notify();
  if (!discovery_.failures.empty()) sync_queue_->add_after("retry", kPatience);
  co_return Status();
}

Task<void> GarbageCollector::wait_until_running() {
  while (!running_ && !context_->stopped()) co_await resumed_.wait();
}

void start_garbagecollector(const ContextPtr& context) { std::make_shared<GarbageCollector>(context)->start(); }

}  // namespace knarr::controller
