// SPDX-License-Identifier: Apache-2.0
#include "dns/service_source.h"

namespace knarr::dns {
namespace {

using api::core_v1::Namespace;
using api::core_v1::Service;
using api::discovery_v1::EndpointSlice;

constexpr const char* kByService = "dns-service";
constexpr const char* kByAddress = "dns-address";

std::string joined(std::string_view ns, std::string_view name) {
  std::string key(ns);
  key += '/';
  key += name;
  return key;
}

class InformerSource final : public ServiceSource {
 public:
  InformerSource(client::InformerFactory& factory, const Clock& clock)
      : namespaces_(factory.get<Namespace>()), services_(factory.get<Service>()), slices_(factory.get<EndpointSlice>()),
        serial_(std::make_shared<uint32_t>(0)) {
    services_.add_index(kByAddress, [](const Service& service, std::vector<std::string>& values) {
      for (const auto& address : service.spec.cluster_ips) values.push_back(address.str());
    });
    slices_.add_index(kByService, [](const EndpointSlice& slice, std::vector<std::string>& values) {
      std::string_view service = schema::get_or_empty(slice.metadata.labels, "kubernetes.io/service-name");
      if (!service.empty()) values.push_back(joined(slice.metadata.namespace_, service));
    });
    slices_.add_index(kByAddress, [](const EndpointSlice& slice, std::vector<std::string>& values) {
      for (const auto& endpoint : slice.endpoints) {
        if (!is_ready(endpoint)) continue;
        for (const auto& address : endpoint.addresses) values.push_back(address.str());
      }
    });
    // Handlers may outlive this object: they hold what they touch.
    auto touch = [serial = serial_, &clock](const auto&, const auto&) {
      *serial = static_cast<uint32_t>(std::chrono::floor<std::chrono::seconds>(clock.now().time_since_epoch()).count());
    };
    services_.add_handler(touch);
    slices_.add_handler(touch);
    namespaces_.add_handler(touch);
  }

  bool synced() const override { return namespaces_.synced() && services_.synced() && slices_.synced(); }
  bool has_namespace(std::string_view name) const override { return namespaces_.get(name) != nullptr; }
  std::shared_ptr<const Service> service(std::string_view ns, std::string_view name) const override { return services_.get(joined(ns, name)); }
  void for_slices(std::string_view ns, std::string_view service, const VisitSlice& visit) const override {
    slices_.for_each_indexed(kByService, joined(ns, service), [&](const auto& slice) { visit(*slice); });
  }
  void for_services_at(std::string_view address, const VisitService& visit) const override {
    services_.for_each_indexed(kByAddress, address, [&](const auto& service) { visit(*service); });
  }
  void for_slices_at(std::string_view address, const VisitSlice& visit) const override {
    slices_.for_each_indexed(kByAddress, address, [&](const auto& slice) { visit(*slice); });
  }
  uint32_t serial() const override { return *serial_; }

 private:
  client::Informer<Namespace> namespaces_;
  client::Informer<Service> services_;
  client::Informer<EndpointSlice> slices_;
  std::shared_ptr<uint32_t> serial_;
};

}  // namespace

bool is_ready(const api::discovery_v1::Endpoint& endpoint) { return endpoint.conditions.ready.value_or(true); }

std::unique_ptr<ServiceSource> make_service_source(client::InformerFactory& factory, const Clock& clock) {
  return std::make_unique<InformerSource>(factory, clock);
}

}  // namespace knarr::dns
