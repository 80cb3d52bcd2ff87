// SPDX-License-Identifier: Apache-2.0
// The cluster's API as kubeadm uses it: JSON objects, one call after the other, each waited for. Errors are the server's Status; a server that
// cannot be reached has reason ServiceUnavailable.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "client/kubeconfig.h"
#include "kubeadm/host.h"
#include "schema/json.h"

namespace knarr::kubeadm {

class Api {
 public:
  virtual ~Api() = default;
  // `body` is sent unless it is null. The answer's JSON; null for an empty body or one that is no JSON ("ok" of /healthz).
  virtual Result<json::Value> call(const std::string& method, const std::string& path, const json::Value& body, const std::string& content_type) = 0;

  Result<json::Value> get(const std::string& path) { return call("GET", path, nullptr, ""); }
  Result<json::Value> post(const std::string& path, const json::Value& body) { return call("POST", path, body, "application/json"); }
  Result<json::Value> put(const std::string& path, const json::Value& body) { return call("PUT", path, body, "application/json"); }
  Status remove(const std::string& path) { return call("DELETE", path, nullptr, "").status(); }
};

Result<std::unique_ptr<Api>> connect(const client::ClusterAccess& access);
Result<std::unique_ptr<Api>> connect(const std::string& kubeconfig_file);

// ---- objects by their own kind, apiVersion, namespace and name
std::string collection_path(const json::Value& object);
std::string object_path(const json::Value& object);
// Created, or replaced when there is one already. `what` names it in a failure: "unable to create ConfigMap".
Status create_or_update(Api& api, const json::Value& object, const std::string& what);
// The same, tried again for 40 seconds, since right after its start an API server refuses some writes.
Status create_or_update_patiently(Host& host, Api& api, const json::Value& object, const std::string& what);
// Created unless it is there.
Status create_or_retain(Api& api, const json::Value& object, const std::string& what);
// A strategic merge patch of the node, tried until the node is there with its hostname label (2 minutes).
Status patch_node(Host& host, Api& api, const std::string& name, json::Value (*make_patch)(const json::Value& node, const void* context), const void* context);

// Runs `attempt` until it succeeds or the time is over, with a pause between; the last failure then.
template <class Attempt>
Status retry(Host& host, Duration pause, Duration limit, Attempt attempt) {
  MonoTime end = host.clock().mono() + limit;
  for (;;) {
    Status status = attempt();
    if (status.ok() || host.clock().mono() + pause > end) return status;
    host.sleep(pause);
  }
}

}  // namespace knarr::kubeadm
