// SPDX-License-Identifier: Apache-2.0
// endpoints: the Endpoints object of every service with a selector.
#include <map>
#include <set>

#include "controller/controller.h"
#include "controller/endpoint_util.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

using api::core_v1::EndpointAddress;
using api::core_v1::EndpointPort;
using api::core_v1::Endpoints;
using api::core_v1::EndpointSubset;
using api::core_v1::Pod;

constexpr size_t kMaxCapacity = 1000;
constexpr std::string_view kOverCapacity = "endpoints.kubernetes.io/over-capacity";
constexpr std::string_view kHeadless = "service.kubernetes.io/headless";

// ---- subsets ---------------------------------------------------------------------------------------------------------------

// Orders and tells apart; kNoPort stands for a headless service without ports.
constexpr int32_t kNoPort = -1;
struct PortKey {
  std::string name, protocol, app_protocol;
  int32_t port = kNoPort;
  bool has_app_protocol = false;
  friend auto operator<=>(const PortKey&, const PortKey&) = default;
};
struct AddressKey {
  std::string ip, uid;
  friend auto operator<=>(const AddressKey&, const AddressKey&) = default;
};
using ReadyByAddress = std::map<AddressKey, bool>;

// Collects (address, port, ready); ports with the very same addresses share a subset.
class SubsetBuilder {
 public:
  void add(const EndpointAddress& address, PortKey port, bool ready) {
    AddressKey key{address.ip.str(), address.target_ref ? address.target_ref->uid.str() : ""};
    addresses_.emplace(key, address);
    auto [at, fresh] = by_port_[std::move(port)].emplace(key, ready);
    if (!fresh) at->second = at->second && ready;
  }
  schema::List<EndpointSubset> build() const {
    std::map<ReadyByAddress, std::vector<PortKey>> groups;
    for (const auto& [port, addresses] : by_port_) groups[addresses].push_back(port);
    schema::List<EndpointSubset> subsets;
    for (const auto& [addresses, ports] : groups) {
      EndpointSubset& subset = subsets.emplace_back();
      for (const auto& [key, ready] : addresses)
        (ready ? subset.addresses : subset.not_ready_addresses).push_back(addresses_.at(key));
      for (const PortKey& port : ports) {
        if (port.port == kNoPort) continue;
        EndpointPort& out = subset.ports.emplace_back();
        out.name = port.name;
        out.port = port.port;
        out.protocol = port.protocol;
        if (port.has_app_protocol) out.app_protocol = port.app_protocol;
      }
    }
    return subsets;
  }

 private:
  std::map<AddressKey, EndpointAddress> addresses_;
  std::map<PortKey, ReadyByAddress> by_port_;
};

// The pod's address of the service's first family.
std::optional<EndpointAddress> address_of(const Service& service, const Pod& pod) {
  std::string ip;
  bool v6 = service.spec.ip_families.empty() ? is_ipv6(service.spec.cluster_ip) : service.spec.ip_families[0] == "IPv6";
  for (const auto& candidate : pod.status.pod_ips)
    if (ip.empty() && is_ipv6(candidate.ip) == v6) ip = candidate.ip.str();
  if (ip.empty() && pod.status.pod_ips.empty() && is_ipv6(pod.status.pod_ip) == v6) ip = pod.status.pod_ip.str();
  if (ip.empty()) return std::nullopt;
  EndpointAddress address;
  address.ip = ip;
  address.node_name = pod.spec.node_name;
  auto& target = address.target_ref.ensure();
  target.kind = "Pod";
  target.namespace_ = pod.metadata.namespace_;
  target.name = pod.metadata.name;
  target.uid = pod.metadata.uid;
  if (should_set_hostname(pod, service)) address.hostname = pod.spec.hostname;
  return address;
}

schema::List<EndpointSubset> build_subsets(const Service& service, const std::vector<PodPtr>& pods) {
  SubsetBuilder builder;
  bool publish_all = service.spec.publish_not_ready_addresses;
  for (const PodPtr& pod : pods) {
    if (!belongs_in_endpoints(*pod, publish_all)) continue;
    auto address = address_of(service, *pod);
    if (!address) continue;
    bool ready = publish_all || is_pod_ready(*pod);
    if (service.spec.ports.empty() && service.spec.cluster_ip == "None") builder.add(*address, PortKey{}, ready);
    for (const auto& port : service.spec.ports) {
      auto number = find_port(*pod, port);
      if (!number) continue;
      PortKey key;
      key.name = port.name.str();
      key.protocol = port.protocol.str();
      key.port = *number;
      key.has_app_protocol = port.app_protocol.has_value();
      key.app_protocol = port.app_protocol.value_or("");
      builder.add(*address, std::move(key), ready);
    }
  }
  return builder.build();
}

// At most 1000 addresses: those that are not ready go first, shared out over the subsets.
bool truncate(schema::List<EndpointSubset>& subsets) {
  size_t ready = 0, not_ready = 0;
  for (const EndpointSubset& subset : subsets) {
    ready += subset.addresses.size();
    not_ready += subset.not_ready_addresses.size();
  }
  if (ready + not_ready <= kMaxCapacity) return false;
  bool cut_ready = ready > kMaxCapacity;
  size_t most = cut_ready ? kMaxCapacity : kMaxCapacity - ready, left = most;
  size_t total = cut_ready ? ready : not_ready;
  for (EndpointSubset& subset : subsets) {
    auto& list = cut_ready ? subset.addresses : subset.not_ready_addresses;
    size_t share = std::min((list.size() * most + total - 1) / total, left);
    while (list.size() > share) list.erase_at(list.size() - 1);
    left -= list.size();
    if (cut_ready) subset.not_ready_addresses.reset();
  }
  return true;
}

// ---- controller ------------------------------------------------------------------------------------------------------------

struct EndpointsController : std::enable_shared_from_this<EndpointsController> {
  explicit EndpointsController(ContextPtr c)
      : context(std::move(c)),
        services(context->informers.get<Service>()),
        pods(context->informers.get<Pod>()),
        endpoints(context->informers.get<Endpoints>()),
        queue(context->make_queue("endpoint")),
        events(context->recorder("endpoint-controller")) {}
  ContextPtr context;
  client::Informer<Service> services;
  client::Informer<Pod> pods;
  client::Informer<Endpoints> endpoints;
  std::shared_ptr<client::WorkQueue> queue;
  std::shared_ptr<client::EventRecorder> events;
  TriggerTimes trigger_times;

  Task<Status> reconcile(std::string key);
  Task<Status> write(Endpoints object, bool create, std::string key);
  bool is_current(const Endpoints& present, const Service& service, const schema::List<EndpointSubset>& subsets) const;
};

bool EndpointsController::is_current(const Endpoints& present, const Service& service,
                                     const schema::List<EndpointSubset>& subsets) const {
  auto labels = present.metadata.labels;
  labels.erase(kHeadless);
  size_t total = 0;
  for (const EndpointSubset& subset : present.subsets) total += subset.addresses.size() + subset.not_ready_addresses.size();
  return present.subsets == subsets && labels == service.metadata.labels && total <= kMaxCapacity &&
         !present.metadata.annotations.contains(kOverCapacity);
}

Task<Status> EndpointsController::write(Endpoints object, bool create, std::string key) {
  api::core_v1::ObjectReference about = client::reference_to(object);
  Result<Endpoints> written = Status();
  if (create) {
    written = co_await context->client.create(std::move(object));
  } else {
    written = co_await context->client.update(std::move(object));
  }
  if (written.ok() || is_namespace_terminating(written.status())) co_return Status();
  if (written.status().code() == 409) co_return written.status();  // the cache is behind: no news for anybody
  std::string why = std::string(written.status().message());
  if (create) {
    events->event(about, "Warning", "FailedToCreateEndpoint", "Failed to create endpoint for service " + key + ": " + why);
  } else {
    events->event(about, "Warning", "FailedToUpdateEndpoint", "Failed to update endpoint " + key + ": " + why);
  }
  co_return written.status();
}

Task<Status> EndpointsController::reconcile(std::string key) {
  ServicePtr service = services.get(key);
  if (service == nullptr) {
    trigger_times.forget(key);
    auto [ns, name] = split_key(key);
    Status removed = co_await context->client.remove<Endpoints>(std::move(ns), std::move(name));
    co_return removed.code() == 404 ? Status() : removed;
  }
  if (!is_filled_by_selector(*service)) co_return Status();
  std::vector<PodPtr> selected = selected_pods(pods, *service);
  schema::Time trigger = trigger_times.compute(key, *service, selected);
  schema::List<EndpointSubset> subsets = build_subsets(*service, selected);
  auto present = endpoints.get(key);
  if (present != nullptr && is_current(*present, *service, subsets)) co_return Status();

  Endpoints object;
  if (present != nullptr) object = *present;
  object.metadata.namespace_ = service->metadata.namespace_;
  object.metadata.name = service->metadata.name;
  object.metadata.labels = service->metadata.labels;
  if (has_cluster_ip(*service)) {
    object.metadata.labels.erase(kHeadless);
  } else {
    object.metadata.labels[kHeadless] = "";
  }
  set_trigger_time(object.metadata.annotations, trigger);
  bool truncated = truncate(subsets);
  object.metadata.annotations.erase(kOverCapacity);
  if (truncated) object.metadata.annotations[kOverCapacity] = "truncated";
  object.subsets = std::move(subsets);
  bool create = present == nullptr;
  Status status = co_await write(std::move(object), create, key);
  co_return status;
}

}  // namespace

void start_endpoints(const ContextPtr& context) {
  auto self = std::make_shared<EndpointsController>(context);
  auto enqueue = [self](const api::meta_v1::ObjectMeta& metadata) {
    self->queue->add(metadata.namespace_.str() + "/" + metadata.name.str());
  };
  self->services.add_handler(
      [enqueue](const ServicePtr& old, const ServicePtr& now) { enqueue(now != nullptr ? now->metadata : old->metadata); });
  self->pods.add_handler([self](const PodPtr& old, const PodPtr& now) {
    for_each_service_of(self->services, old, now, [&](std::string key) { self->queue->add(std::move(key)); });
  });
  self->endpoints.add_handler([enqueue](const auto& old, const auto& now) {
    if (now == nullptr) enqueue(old->metadata);
  });
  ControllerContext::Cores cores = {self->services.core_ptr(), self->pods.core_ptr(), self->endpoints.core_ptr()};
  context->run_when_synced(cores, self->queue, "endpoint", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
  // Endpoints whose service went while nobody looked. Those of leader elections of old have none.
  context->call_when_synced(cores, [self, enqueue] {
    self->endpoints.for_each([&](const auto& object) {
      if (!object->metadata.annotations.contains("control-plane.alpha.kubernetes.io/leader")) enqueue(object->metadata);
    });
  });
}

}  // namespace knarr::controller
