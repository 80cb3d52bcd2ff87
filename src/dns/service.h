// SPDX-License-Identifier: Apache-2.0
// A whole DNS server by a Corefile: zones, forwarders, sockets, and the HTTP endpoints for health, readiness and metrics.
// One executor; stop() before destruction, and the executor runs dry or ends before that.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "dns/corefile.h"
#include "dns/service_source.h"

namespace knarr::dns {

class DnsService {
 public:
  // `source` may be null when no server block asks for kubernetes; it outlives the service.
  DnsService(Executor executor, const Clock& clock, const ServiceSource* source);
  ~DnsService();

  // Listens. A resolv.conf that a forward names and that cannot be read is an error.
  Status start(CorefileConfig config);
  // Another configuration for the same sockets; questions under way end with the old one.
  Status replace(CorefileConfig config);
  // The port of the first socket (for port 0).
  uint16_t port() const;
  bool ready() const;
  // The loop plugin found that questions come back from the servers that they are forwarded to: told once.
  void on_loop(std::function<void(std::string message)> callback);
  // Goes on answering for lameduck, then ends.
  Task<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The addresses of this host that are no loopbacks.
std::vector<std::string> host_addresses();

}  // namespace knarr::dns
