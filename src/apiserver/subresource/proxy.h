// SPDX-License-Identifier: Apache-2.0
// pods|services|nodes/proxy: any request, sent on to a pod's port, to one of a service's pods, or to a kubelet.
// The name may carry a scheme and a port: "https:web:8443" (upstream: the ResourceLocation functions of registry/core/{pod,service,node}).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/task.h"

namespace knarr::apiserver {
struct RequestContext;
}

namespace knarr::apiserver::subresource {

Task<Status> connect_pod_proxy(RequestContext& context);
Task<Status> connect_service_proxy(RequestContext& context);
Task<Status> connect_node_proxy(RequestContext& context);

struct ProxyTarget {
  std::string scheme, name, port;  // scheme "" = http
};
// "name", "name:port" or "scheme:name:port"; false for anything else.
bool parse_proxy_target(std::string_view text, ProxyTarget& target);
// An address that may be proxied to: no loopback, link-local, multicast or unspecified one.
bool is_global_unicast(const std::string& ip);

}  // namespace knarr::apiserver::subresource
