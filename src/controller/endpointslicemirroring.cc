// SPDX-License-Identifier: Apache-2.0
// endpointslice-mirroring: Endpoints that somebody wrote by hand, for services without a selector, appear as EndpointSlices, too.
#include <arpa/inet.h>

#include <map>

#include "api/discovery_v1.h"
#include "controller/controller.h"
#include "controller/endpoint_util.h"
#include "controller/slice_plan.h"
#include "controller/slice_tracker.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::Endpoints;

constexpr std::string_view kMirrorController = "endpointslicemirroring-controller.k8s.io";
constexpr std::string_view kSkipMirror = "endpointslice.kubernetes.io/skip-mirror";
constexpr size_t kMaxPerSubset = 1000;

using EndpointsPtr = std::shared_ptr<const Endpoints>;

// Slices of one address type and one set of ports.
struct MirrorGroup {
  std::string address_type;
  schema::List<SlicePort> ports;
  std::map<std::string, Endpoint> endpoints;
};

bool is_mirrored(const EndpointSlice& slice) { return schema::get_or_empty(slice.metadata.labels, kManagedByLabel) == kMirrorController; }
bool wants_mirror(const Endpoints& endpoints) {
  return schema::get_or_empty(endpoints.metadata.labels, kSkipMirror) != "true" &&
         !endpoints.metadata.annotations.contains("control-plane.alpha.kubernetes.io/leader");
}
std::string key_of_slice(const EndpointSlice& slice) {
  return slice.metadata.namespace_.str() + "/" + std::string(schema::get_or_empty(slice.metadata.labels, kServiceNameLabel));
}
bool skip_annotation(std::string_view name) {
  return name == "endpoints.kubernetes.io/last-change-trigger-time" || name == "kubectl.kubernetes.io/last-applied-configuration";
}

std::string address_type_of(const std::string& ip) {
  unsigned char bytes[16];
  if (inet_pton(AF_INET, ip.c_str(), bytes) == 1) return "IPv4";
  return inet_pton(AF_INET6, ip.c_str(), bytes) == 1 ? "IPv6" : "";
}

Endpoint mirror_address(const api::core_v1::EndpointAddress& address, bool ready) {
  Endpoint endpoint;
  endpoint.addresses.push_back(address.ip);
  endpoint.conditions.ready = ready;
  endpoint.target_ref = address.target_ref;
  endpoint.node_name = address.node_name;
  if (!address.hostname.empty()) endpoint.hostname = address.hostname;
  return endpoint;
}

struct Counts {
  size_t invalid = 0, skipped = 0;
};

std::map<std::string, MirrorGroup> desired_groups(const Endpoints& endpoints, Counts& counts) {
  std::map<std::string, MirrorGroup> groups;
  for (const auto& subset : endpoints.subsets) {
    schema::List<SlicePort> ports;
    ports.reserve(1);
    for (const auto& from : subset.ports) {
      SlicePort& port = ports.emplace_back();
      port.name = from.name;
      port.port = from.port;
      port.protocol = from.protocol;
      port.app_protocol = from.app_protocol;
    }
    size_t added = 0;
    auto add = [&](const api::core_v1::EndpointAddress& address, bool ready) {
      if (added >= kMaxPerSubset) return;
      std::string type = address_type_of(address.ip.str());
      if (type.empty()) {
        ++counts.invalid;
        return;
      }
      MirrorGroup& group = groups[type + "-" + port_key(ports)];
      group.address_type = type;
      group.ports = ports;
      Endpoint endpoint = mirror_address(address, ready);
      std::string key = endpoint_key(endpoint);
      group.endpoints.insert_or_assign(std::move(key), std::move(endpoint));
      ++added;
    };
    for (const auto& address : subset.addresses) add(address, true);
    for (const auto& address : subset.not_ready_addresses) add(address, false);
    counts.skipped += subset.addresses.size() + subset.not_ready_addresses.size() - added;
  }
  return groups;
}

EndpointSlice mirror_slice(const Endpoints& endpoints, MirrorGroup group) {
  EndpointSlice slice;
  slice.metadata.generate_name = endpoints.metadata.name.str() + "-";
  slice.metadata.namespace_ = endpoints.metadata.namespace_;
  slice.metadata.labels = endpoints.metadata.labels;
  slice.metadata.labels[kServiceNameLabel] = endpoints.metadata.name;
  slice.metadata.labels[kManagedByLabel] = kMirrorController;
  for (const auto& entry : endpoints.metadata.annotations)
    if (!skip_annotation(entry.key)) slice.metadata.annotations[entry.key] = entry.value;
  slice.metadata.owner_references.push_back(controller_ref(endpoints));
  slice.address_type = group.address_type;
  slice.ports = std::move(group.ports);
  slice.endpoints.reserve(1);
  for (auto& [key, endpoint] : group.endpoints)
    if (slice.endpoints.size() < kMaxPerSubset) slice.endpoints.push_back(std::move(endpoint));
  return slice;
}

bool same_content(const EndpointSlice& a, const EndpointSlice& b) {
  if (a.endpoints.size() != b.endpoints.size() || !(a.metadata.labels == b.metadata.labels) ||
      !(a.metadata.annotations == b.metadata.annotations))
    return false;
  std::map<std::string, const Endpoint*> by_key;
  for (const Endpoint& endpoint : a.endpoints) by_key[endpoint_key(endpoint)] = &endpoint;
  for (const Endpoint& endpoint : b.endpoints) {
    auto at = by_key.find(endpoint_key(endpoint));
    if (at == by_key.end() || !(at->second->conditions == endpoint.conditions) || at->second->node_name != endpoint.node_name ||
        !(at->second->target_ref == endpoint.target_ref))
      return false;
  }
  return true;
}

struct Mirroring : std::enable_shared_from_this<Mirroring> {
  explicit Mirroring(ContextPtr c)
      : context(std::move(c)),
        services(context->informers.get<Service>()),
        endpoints(context->informers.get<Endpoints>()),
        slices(context->informers.get<EndpointSlice>()),
        queue(context->make_queue("endpoint_slice_mirroring")),
        events(context->recorder("endpoint-slice-mirroring-controller")),
        tracker(context->clock) {}
  ContextPtr context;
  client::Informer<Service> services;
  client::Informer<Endpoints> endpoints;
  client::Informer<EndpointSlice> slices;
  std::shared_ptr<client::WorkQueue> queue;
  std::shared_ptr<client::EventRecorder> events;
  SliceTracker tracker;

  Task<Status> reconcile(std::string key);
  SlicePlan plan(const Endpoints& object, const std::vector<SlicePtr>& present);
  Task<Status> apply(SlicePlan plan, std::string key, bool may_create);
};

SlicePlan Mirroring::plan(const Endpoints& object, const std::vector<SlicePtr>& present) {
  Counts counts;
  std::map<std::string, MirrorGroup> groups = desired_groups(object, counts);
  auto about = client::reference_to(object);
  if (counts.invalid > 0)
    events->event(about, "Warning", "InvalidIPAddress",
                  fmt::format("Skipped {} invalid IP addresses when mirroring to EndpointSlices", counts.invalid));
  if (counts.skipped > counts.invalid)
    events->event(about, "Warning", "TooManyAddressesToMirror",
                  fmt::format("A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                              kMaxPerSubset, counts.skipped));
  SlicePlan plan;
  for (const SlicePtr& slice : present) {
    auto at = groups.find(slice->address_type.str() + "-" + port_key(slice->ports));
    if (at == groups.end()) {  // also a second slice of the same kind
      plan.remove.push_back(slice);
      continue;
    }
    EndpointSlice wanted = mirror_slice(object, std::move(at->second));
    groups.erase(at);
    if (same_content(*slice, wanted)) continue;
    wanted.metadata.name = slice->metadata.name;
    wanted.metadata.generate_name.reset();
    plan.update.push_back(std::move(wanted));
  }
  for (auto& [key, group] : groups) plan.create.push_back(mirror_slice(object, std::move(group)));
  // One write in place of two.
  for (size_t i = 0; i < plan.remove.size() && !plan.create.empty();) {
    if (plan.remove[i]->address_type != plan.create.back().address_type) {
      ++i;
      continue;
    }
    plan.create.back().metadata.name = plan.remove[i]->metadata.name;
    plan.update.push_back(std::move(plan.create.back()));
    plan.create.pop_back();
    plan.remove.erase(plan.remove.begin() + static_cast<ptrdiff_t>(i));
  }
  return plan;
}

Task<Status> Mirroring::apply(SlicePlan plan, std::string key, bool may_create) {
  if (!may_create) plan.create.clear();
  for (EndpointSlice& slice : plan.create) {
    auto created = co_await context->client.create(std::move(slice));
    if (is_namespace_terminating(created.status())) co_return Status();
    if (!created.ok()) co_return created.status().with_context("failed to create EndpointSlice for Endpoints " + key);
    tracker.expect(key, *created);
  }
  for (EndpointSlice& slice : plan.update) {
    std::string name = slice.metadata.name.str();
    auto updated = co_await context->client.update(std::move(slice));
    if (!updated.ok()) co_return updated.status().with_context("failed to update " + name + " EndpointSlice for Endpoints " + key);
    tracker.expect(key, *updated);
  }
  for (const SlicePtr& slice : plan.remove) {
    std::string ns = slice->metadata.namespace_.str(), name = slice->metadata.name.str();
    Status removed = co_await context->client.remove<EndpointSlice>(std::move(ns), std::move(name));
    if (!removed.ok() && removed.code() != 404)
      co_return removed.with_context("failed to delete " + slice->metadata.name.str() + " EndpointSlice for Endpoints " + key);
    if (removed.ok()) tracker.expect_deletion(key, *slice);
  }
  co_return Status();
}

Task<Status> Mirroring::reconcile(std::string key) {
  EndpointsPtr object = endpoints.get(key);
  ServicePtr service = services.get(key);
  std::vector<SlicePtr> present;
  slices.for_each_indexed("mirrored", key, [&](const SlicePtr& slice) { present.push_back(slice); });
  std::sort(present.begin(), present.end(), [](const SlicePtr& a, const SlicePtr& b) { return a->metadata.name < b->metadata.name; });
  SlicePlan next;
  bool mirror = object != nullptr && wants_mirror(*object) && service != nullptr && service->spec.selector.empty();
  if (!mirror) {
    tracker.forget(key);
    next.remove = std::move(present);
  } else if (tracker.is_stale(key, present)) {
    queue->add_after(key, SliceTracker::kLapse + std::chrono::seconds(1));
    co_return Status();
  } else {
    next = plan(*object, present);
  }
  bool may_create = mirror && !object->metadata.deletion_timestamp;
  Status status = co_await apply(std::move(next), key, may_create);
  co_return status;
}

}  // namespace

void start_endpointslicemirroring(const ContextPtr& context) {
  auto self = std::make_shared<Mirroring>(context);
  self->slices.add_index("mirrored", [](const EndpointSlice& slice, std::vector<std::string>& values) {
    if (is_mirrored(slice)) values.push_back(key_of_slice(slice));
  });
  auto enqueue = [self](const api::meta_v1::ObjectMeta& metadata) {
    self->queue->add(metadata.namespace_.str() + "/" + metadata.name.str());
  };
  self->services.add_handler([enqueue](const ServicePtr& old, const ServicePtr& now) {
    bool before = old != nullptr && old->spec.selector.empty(), after = now != nullptr && now->spec.selector.empty();
    if (before != after) enqueue(now != nullptr ? now->metadata : old->metadata);
  });
  self->endpoints.add_handler([enqueue](const EndpointsPtr& old, const EndpointsPtr& now) {
    if ((old != nullptr && wants_mirror(*old)) || (now != nullptr && wants_mirror(*now)))
      enqueue(now != nullptr ? now->metadata : old->metadata);
  });
  self->slices.add_handler([self](const SlicePtr& old, const SlicePtr& now) {
    if (now == nullptr && is_mirrored(*old)) self->tracker.deleted(key_of_slice(*old), *old);
    for (const SlicePtr& slice : {old, now})
      if (slice != nullptr && is_mirrored(*slice)) self->queue->add(key_of_slice(*slice));
  });
  context->run_when_synced({self->services.core_ptr(), self->endpoints.core_ptr(), self->slices.core_ptr()}, self->queue,
                           "endpointslice-mirroring", 5, [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
