// SPDX-License-Identifier: Apache-2.0
// The cluster's objects as the DNS zone asks for them. One executor; visited objects are immutable and may be kept.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "api/core_v1.h"
#include "api/discovery_v1.h"
#include "base/clock.h"
#include "client/informer.h"

namespace knarr::dns {

class ServiceSource {
 public:
  using Service = api::core_v1::Service;
  using Slice = api::discovery_v1::EndpointSlice;
  using VisitService = std::function<void(const Service&)>;
  using VisitSlice = std::function<void(const Slice&)>;

  virtual ~ServiceSource() = default;
  virtual bool synced() const = 0;
  virtual bool has_namespace(std::string_view name) const = 0;
  virtual std::shared_ptr<const Service> service(std::string_view ns, std::string_view name) const = 0;
  virtual void for_slices(std::string_view ns, std::string_view service, const VisitSlice& visit) const = 0;
  // Services with that cluster IP; slices with a ready endpoint of that address.
  virtual void for_services_at(std::string_view address, const VisitService& visit) const = 0;
  virtual void for_slices_at(std::string_view address, const VisitSlice& visit) const = 0;
  // Unix seconds of the last change: the zone's serial number.
  virtual uint32_t serial() const = 0;
};

// By informers of `factory`, which must not have been started (indexes come first) and outlives this.
std::unique_ptr<ServiceSource> make_service_source(client::InformerFactory& factory, const Clock& clock);

// nil means that nobody knows, which counts as ready.
bool is_ready(const api::discovery_v1::Endpoint& endpoint);

}  // namespace knarr::dns
