// SPDX-License-Identifier: Apache-2.0
// What tells load balancers whether to send traffic to this node: /healthz and /livez of the proxy, and a port for each service whose external
// traffic policy is Local. One executor.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/server.h"
#include "proxy/metrics.h"
#include "proxy/tracker.h"

namespace knarr::proxy {

// Healthy while no change has waited for `patience` to be written.
class ProxyHealth {
 public:
  ProxyHealth(const Clock& clock, Duration patience) : clock_(clock), patience_(patience) {}
  void queued();
  void updated();
  bool healthy() const;
  struct Answer {
    int code = 200;
    std::string body;
  };
  Answer healthz() const;
  Answer livez() const;

 private:
  std::string times(bool healthy) const;
  const Clock& clock_;
  const Duration patience_;
  std::optional<MonoTime> oldest_pending_;
  std::optional<WallTime> last_updated_;
};

// The health check node ports.
class ServiceHealth {
 public:
  // `addresses`: what to listen on; "0.0.0.0" for every one.
  ServiceHealth(Executor executor, const ProxyHealth& health, std::vector<std::string> addresses);
  ~ServiceHealth();
  // `service` is the new state of `key`; without health check port its listener closes. Why a port could not be opened is returned.
  Status update(const std::string& key, int port, int local_endpoints);
  void stop();
  size_t open() const { return services_.size(); }
  // The answer of a service's port.
  static std::string body(std::string_view key, int local_endpoints, bool healthy);

 private:
  struct Listener;
  const Executor executor_;
  const ProxyHealth& health_;
  const std::vector<std::string> addresses_;
  std::map<std::string, std::shared_ptr<Listener>> services_;
};

// /healthz and /livez. Metrics are counted in `metrics`; everything outlives the server.
std::unique_ptr<net::Server> make_health_server(Executor executor, const ProxyHealth& health, Metrics& metrics);
// /metrics, /healthz, /proxyMode, /configz.
std::unique_ptr<net::Server> make_metrics_server(Executor executor, const Metrics& metrics, std::string mode, std::string configz);

}  // namespace knarr::proxy
