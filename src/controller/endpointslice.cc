// SPDX-License-Identifier: Apache-2.0
// endpointslice: the slices of every service with a selector, at most 100 endpoints each, changed as little as possible.
#include <map>
#include <set>

#include "api/discovery_v1.h"
#include "controller/controller.h"
#include "controller/endpoint_util.h"
#include "controller/slice_plan.h"
#include "controller/slice_tracker.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::Node;
using api::core_v1::Pod;

struct EndpointSliceController : std::enable_shared_from_this<EndpointSliceController> {
  explicit EndpointSliceController(ContextPtr c)
      : context(std::move(c)),
        services(context->informers.get<Service>()),
        pods(context->informers.get<Pod>()),
        nodes(context->informers.get<Node>()),
        slices(context->informers.get<EndpointSlice>()),
        queue(context->make_queue("endpoint_slice")),
        events(context->recorder("endpoint-slice-controller")) {}
  ContextPtr context;
  client::Informer<Service> services;
  client::Informer<Pod> pods;
  client::Informer<Node> nodes;
  client::Informer<EndpointSlice> slices;
  std::shared_ptr<client::WorkQueue> queue;
  std::shared_ptr<client::EventRecorder> events;
  TriggerTimes trigger_times;
  SliceTracker tracker{context->clock};

  Task<Status> reconcile(std::string key);
  Task<Status> apply(ServicePtr service, SlicePlan plan, std::string key, schema::Time trigger);
  Status desired_endpoints(const Service& service, const std::vector<PodPtr>& selected, bool v6,
                           std::map<std::string, DesiredPortGroup>& groups) const;
  void slice_changed(const SlicePtr& old, const SlicePtr& now);
};

std::string service_key(const EndpointSlice& slice) {
  std::string_view name = schema::get_or_empty(slice.metadata.labels, kServiceNameLabel);
  return name.empty() ? "" : slice.metadata.namespace_.str() + "/" + std::string(name);
}

// Failures name pods whose node is not known yet; the others are served meanwhile.
Status EndpointSliceController::desired_endpoints(const Service& service, const std::vector<PodPtr>& selected, bool v6,
                                                  std::map<std::string, DesiredPortGroup>& groups) const {
  std::vector<Status> failures;
  for (const PodPtr& pod : selected) {
    if (!belongs_in_endpoints(*pod, true)) continue;
    schema::List<SlicePort> ports = slice_ports(service, *pod);
    DesiredPortGroup& group = groups[port_key(ports)];
    group.ports = std::move(ports);
    auto node = nodes.get(pod->spec.node_name);
    if (node == nullptr && !service.spec.publish_not_ready_addresses) {
      failures.push_back(Status::error(fmt::format("skipping Pod {} for Service {}/{}: Node {} Not Found", pod->metadata.name.view(),
                                                   service.metadata.namespace_.view(), service.metadata.name.view(),
                                                   pod->spec.node_name.view())));
      continue;
    }
    Endpoint endpoint = pod_to_endpoint(*pod, node.get(), service, v6);
    if (endpoint.addresses.empty()) continue;
    std::string key = endpoint_key(endpoint);
    group.endpoints.insert_or_assign(std::move(key), std::move(endpoint));
  }
  return aggregate(failures);
}

Task<Status> EndpointSliceController::reconcile(std::string key) {
  ServicePtr service = services.get(key);
  if (service == nullptr) {
    trigger_times.forget(key);
    tracker.forget(key);
    co_return Status();
  }
  if (!is_filled_by_selector(*service)) co_return Status();
  std::vector<SlicePtr> present;
  slices.for_each_indexed("service", key, [&](const SlicePtr& slice) { present.push_back(slice); });
  if (tracker.is_stale(key, present)) {
    // The event that brings the cache up to date enqueues the service again.
    queue->add_after(key, SliceTracker::kLapse + std::chrono::seconds(1));
    co_return Status();
  }
  std::erase_if(present, [](const SlicePtr& slice) { return slice->metadata.deletion_timestamp.has_value(); });
  std::sort(present.begin(), present.end(), [](const SlicePtr& a, const SlicePtr& b) { return a->metadata.name < b->metadata.name; });

  std::vector<PodPtr> selected = selected_pods(pods, *service);
  schema::Time trigger = trigger_times.compute(key, *service, selected);
  std::vector<Status> failures;
  std::set<std::string> types = address_types(*service);
  for (const std::string& type : types) {
    std::map<std::string, DesiredPortGroup> groups;
    failures.push_back(desired_endpoints(*service, selected, type == "IPv6", groups));
    std::vector<SlicePtr> of_type;
    for (const SlicePtr& slice : present)
      if (slice->address_type == type) of_type.push_back(slice);
    SlicePlan plan = plan_slices(*service, type, of_type, std::move(groups));
    Status status = co_await apply(service, std::move(plan), key, trigger);
    failures.push_back(std::move(status));
  }
  SlicePlan leftovers;
  for (const SlicePtr& slice : present)
    if (!types.contains(slice->address_type.str())) leftovers.remove.push_back(slice);
  Status status = co_await apply(service, std::move(leftovers), key, trigger);
  failures.push_back(std::move(status));

  Status all = aggregate(failures);
  if (!all.ok()) {
    api::core_v1::ObjectReference about = client::reference_to(*service);
    events->event(about, "Warning", "FailedToUpdateEndpointSlices",
                  "Error updating Endpoint Slices for Service " + key + ": " + std::string(all.message()));
  }
  co_return all;
}

Task<Status> EndpointSliceController::apply(ServicePtr service, SlicePlan plan, std::string key, schema::Time trigger) {
  reuse_removed(*service, plan);
  std::string ns = service->metadata.namespace_.str();
  if (service->metadata.deletion_timestamp) plan.create.clear();
  for (EndpointSlice& slice : plan.create) {
    set_trigger_time(slice.metadata.annotations, trigger);
    auto created = co_await context->client.create(std::move(slice));
    if (is_namespace_terminating(created.status())) co_return Status();
    if (!created.ok()) co_return created.status().with_context("failed to create EndpointSlice for Service " + key);
    tracker.expect(key, *created);
  }
  for (EndpointSlice& slice : plan.update) {
    set_trigger_time(slice.metadata.annotations, trigger);
    std::string name = slice.metadata.name.str();
    auto updated = co_await context->client.update(std::move(slice));
    if (!updated.ok()) co_return updated.status().with_context("failed to update " + name + " EndpointSlice for Service " + key);
    tracker.expect(key, *updated);
  }
  for (const SlicePtr& slice : plan.remove) {
    std::string where = ns, name = slice->metadata.name.str();
    Status removed = co_await context->client.remove<EndpointSlice>(std::move(where), std::move(name));
    if (!removed.ok() && removed.code() != 404)
      co_return removed.with_context("failed to delete " + slice->metadata.name.str() + " EndpointSlice for Service " + key);
    if (removed.ok()) tracker.expect_deletion(key, *slice);
  }
  co_return Status();
}

void EndpointSliceController::slice_changed(const SlicePtr& old, const SlicePtr& now) {
  if (now == nullptr) tracker.deleted(service_key(*old), *old);
  for (const SlicePtr& slice : {old, now}) {
    if (slice == nullptr || !is_managed_by_us(*slice)) continue;
    if (std::string key = service_key(*slice); !key.empty()) queue->add(std::move(key));
  }
}

}  // namespace

void start_endpointslice(const ContextPtr& context) {
  auto self = std::make_shared<EndpointSliceController>(context);
  self->slices.add_index("service", [](const EndpointSlice& slice, std::vector<std::string>& values) {
    if (is_managed_by_us(slice)) values.push_back(service_key(slice));
  });
  self->services.add_handler([self](const ServicePtr& old, const ServicePtr& now) {
    const auto& metadata = now != nullptr ? now->metadata : old->metadata;
    self->queue->add(metadata.namespace_.str() + "/" + metadata.name.str());
  });
  self->pods.add_handler([self](const PodPtr& old, const PodPtr& now) {
    for_each_service_of(self->services, old, now, [&](std::string key) { self->queue->add(std::move(key)); });
  });
  self->slices.add_handler([self](const SlicePtr& old, const SlicePtr& now) { self->slice_changed(old, now); });
  context->run_when_synced(
      {self->services.core_ptr(), self->pods.core_ptr(), self->nodes.core_ptr(), self->slices.core_ptr()}, self->queue, "endpoint_slice",
      5, [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
