// SPDX-License-Identifier: Apache-2.0
// What a container's process is started with: environment variables, and command and arguments with
// $(VAR) expanded.
//
// Follows upstream's makeEnvironmentVariables: envFrom first, then env in order (each may refer to
// those before it), then service variables that nothing has overridden. One executor;
// make_container_env only waits for ConfigMaps and Secrets.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/core_v1.h"
#include "client/informer.h"
#include "kubelet/volume/object_source.h"

namespace knarr::kubelet {

using EnvVars = std::vector<std::pair<std::string, std::string>>;

struct EnvInputs {
  PodPtr pod;
  const api::core_v1::Container* container = nullptr;  // alive until the call returns
  std::vector<std::string> pod_ips;                    // primary first
  std::vector<std::string> host_ips;
  schema::Map<schema::Quantity> allocatable;  // of the node: limits that a container does not set
  std::vector<std::shared_ptr<const api::core_v1::Service>>
      services;  // all that the pod may see; collect_services()
  std::function<void(const std::string& type, const std::string& reason,
                     const std::string& message)>
      event;  // may be null
};

// Fails with upstream's messages: `couldn't find key k in ConfigMap ns/name`, `configmap "x" not
// found`.
Task<Result<EnvVars>> make_container_env(ObjectSource& objects, EnvInputs inputs);

// The services whose variables a pod gets: those of its namespace unless enableServiceLinks is
// false, and default/kubernetes always.
std::vector<std::shared_ptr<const api::core_v1::Service>> collect_services(
    const client::Informer<api::core_v1::Service>& services, const api::core_v1::Pod& pod);
// SVC_SERVICE_HOST and its like, in upstream's order.
EnvVars service_env(const std::vector<std::shared_ptr<const api::core_v1::Service>>& services);

struct CommandLine {
  std::vector<std::string> command, args;
};
CommandLine expand_command(const api::core_v1::Container& container, const EnvVars& env);

// "" with an error when a field path is none of those that the downward API knows; ips as in
// EnvInputs.
Result<std::string> pod_field_value(const api::core_v1::Pod& pod, std::string_view field_path,
                                    const std::vector<std::string>& pod_ips,
                                    const std::vector<std::string>& host_ips);
// limits.cpu and so on, divided and rounded up; `container` null = by selector.container_name in
// `pod`.
Result<std::string> resource_field_value(const api::core_v1::ResourceFieldSelector& selector,
                                         const api::core_v1::Pod& pod,
                                         const api::core_v1::Container* container,
                                         const schema::Map<schema::Quantity>& allocatable);

}  // namespace knarr::kubelet
