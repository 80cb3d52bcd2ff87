// SPDX-License-Identifier: Apache-2.0
// One request to the kubelet's server on its way to a handler, and what the handlers share.
// Internal to server/.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubelet/server/folder_watch.h"
#include "kubelet/server/server.h"
#include "kubelet/server/stats.h"

namespace knarr::kubelet {

struct ServerState {
  ServerHost& host;
  ServerAuth& auth;
  Executor executor;
  KubeletServerOptions options;
  FolderWatcher watcher;
  StatsCollector stats;
  std::map<std::string, uint64_t> requests;  // by method and first path element, for /metrics

  ServerState(ServerHost& h, ServerAuth& a, Executor e, KubeletServerOptions o)
      : host(h), auth(a), executor(e), options(std::move(o)), watcher(e), stats(h, options) {}
};

struct Call {
  ServerState& state;
  net::Request& request;
  net::ResponseWriter& writer;
  std::vector<std::string> path;  // decoded elements
  net::QueryParams query;

  // First value, or "".
  std::string_view param(std::string_view name) const {
    for (const auto& [key, value] : query)
      if (key == name) return value;
    return {};
  }
  bool has_param(std::string_view name) const {
    for (const auto& [key, value] : query)
      if (key == name) return true;
    return false;
  }
  std::vector<std::string> params(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : query)
      if (key == name) values.push_back(value);
    return values;
  }
};

// `content_type` outlives the call.
Task<void> answer(Call& call, int code, std::string_view content_type, std::string body);
Task<void> answer_text(Call& call, int code, std::string_view body);

// Handlers, one file a family. `call` lives until they return.
Task<void> serve_container_logs(Call& call);
Task<void> serve_exec(Call& call);
Task<void> serve_attach(Call& call);
Task<void> serve_port_forward(Call& call);
Task<void> serve_run(Call& call);
Task<void> serve_stats(Call& call);
Task<void> serve_metrics(Call& call);
Task<void> serve_system_logs(Call& call);

// The container's entry in the spec: init, plain or ephemeral. False when there is none.
struct ContainerShape {
  bool found = false;
  bool tty = false;
};
ContainerShape find_container_shape(const api::core_v1::Pod& pod, std::string_view name);

// The runtime's id of the container instance whose log is wanted, by the pod's status; failures as
// upstream words them.
Result<std::string> log_container_id(const api::core_v1::Pod& pod, std::string_view container,
                                     bool previous);

}  // namespace knarr::kubelet
