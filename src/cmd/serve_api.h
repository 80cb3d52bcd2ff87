// SPDX-License-Identifier: Apache-2.0
// An API server with its store and its listener: what `kube-apiserver` and `up` both start.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "apiserver/server.h"
#include "base/clock.h"
#include "cmd/event_loops.h"
#include "etcd/etcd_store.h"
#include "net/server.h"
#include "net/tls.h"
#include "store/store.h"

namespace knarr::cmd {

struct ApiServing {
  std::shared_ptr<store::Store> store;
  std::unique_ptr<apiserver::ApiServer> api;
  std::unique_ptr<net::Server> listener;
  uint16_t port = 0;
  // Lets running exchanges end, then closes the store.
  Task<void> stop();
};

struct ApiServingOptions {
  // The store: in etcd when its members are named, else embedded in this directory.
  etcd::EtcdOptions etcd;
  std::string store_dir;
  std::string listen;               // "0.0.0.0:6443"
  net::TlsServerOptions tls;
  apiserver::Options api;           // secure_port is filled in
  // Parts of the control plane in this process, for componentstatuses (ApiServer::local_components).
  std::map<std::string, std::function<std::string()>> components;
};

// Opens the store, listens, and starts; clients that connect meanwhile are told that the server is not ready.
Task<Result<std::shared_ptr<ApiServing>>> serve_api(const EventLoops* loops, const Clock* clock, ApiServingOptions options);

}  // namespace knarr::cmd
