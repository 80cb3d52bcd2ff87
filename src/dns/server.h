// SPDX-License-Identifier: Apache-2.0
// DNS over UDP and TCP. One executor for the sockets, the resolver and what it reads.
//
// What needs no other server is answered within the batch that it came with; the rest runs as coroutines of its own, bounded in number.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "dns/metrics.h"
#include "dns/resolver.h"

namespace knarr::dns {

class Server {
 public:
  // Whose question it is; null: nobody's (REFUSED). The answer keeps its resolver alive, so that another set may take over in the middle.
  using Router = std::function<std::shared_ptr<Resolver>(const Message& query)>;
  // `metrics` and what the router needs outlive the server.
  Server(Executor executor, Router router, Metrics& metrics, const Clock& clock);
  ~Server();
  // UDP and TCP on "10.0.0.1:53", ":53" (every address of either family) or "127.0.0.1:0". Gives the port.
  Result<uint16_t> listen(const std::string& address);
  // Closes the sockets and ends what is under way.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::dns
