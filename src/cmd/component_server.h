// SPDX-License-Identifier: Apache-2.0
// The HTTPS server of kube-controller-manager and kube-scheduler: /healthz, /livez, /readyz, /metrics, /metrics/slis, /configz, /debug/podtrace. Who asks and
// whether that user may is the API server's answer, as upstream delegates it; health is for everybody.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "trace/ring.h"

namespace knarr::cmd {

class ComponentApp;

struct ServingOptions {
  std::string bind_address = "0.0.0.0";
  int port = 0;                              // 0: no server
  std::string cert_file, key_file;           // else a self-signed pair: kept in cert_dir, or in memory when that is ""
  std::string cert_dir, pair_name;
  std::string client_ca_file;                // else the cluster's, from kube-system/extension-apiserver-authentication
  std::string authentication_kubeconfig, authorization_kubeconfig;  // "": nobody to ask
  bool skip_lookup = false;
  std::vector<std::string> always_allow_paths = {"/healthz", "/readyz", "/livez"};
};
void add_serving_flags(ComponentApp& app, ServingOptions& options);

// Asked on the server's executor, for each request.
struct ComponentPages {
  struct Check {
    std::string name;
    Status status;
  };
  std::function<std::vector<Check>()> checks;
  std::function<std::string()> metrics;
  std::function<std::string()> configuration;  // JSON of /configz
  const trace::Ring* trace = nullptr;          // of /debug/podtrace
};

class ComponentServer {
 public:
  virtual ~ComponentServer() = default;
  virtual Task<void> stop() = 0;
};
// Null when options.port is 0.
Task<Result<std::unique_ptr<ComponentServer>>> serve_component(Executor executor, ServingOptions options, ComponentPages pages);

}  // namespace knarr::cmd
