// SPDX-License-Identifier: Apache-2.0
// kube-proxy: keeps the kernel's rules as Services and EndpointSlices say.
//
// Everything runs on one executor. Informers mark services as changed; one loop takes what has changed, derives the difference in rules and writes it,
// a family after the other. Changes that arrive meanwhile wait for the next round. A failed or flushed write is followed by one of everything.
#pragma once

#include <memory>

#include "client/client.h"
#include "client/informer.h"
#include "proxy/config.h"

namespace knarr::proxy {

class Proxy {
 public:
  // The client, the factory and the system outlive the proxy. With `shared` the factory watches all objects (others use it, too); without, only
  // those that this proxy serves, and only its own node.
  Proxy(client::Client& client, client::InformerFactory& informers, bool shared, const Clock& clock, System& system, ProxyConfig config);
  ~Proxy();
  // Checks what the machine can do, sets it up, serves health and metrics, and begins. An error says what is missing.
  Task<Status> start();
  // The first write is done.
  bool synced() const;
  Task<void> stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Removes the rules that a proxy has left, of both modes and families.
Task<Status> clean_up(System& system);

}  // namespace knarr::proxy
