// SPDX-License-Identifier: Apache-2.0
// Forwarding of one exchange to another server: a kubelet, a pod, a service, an aggregated API.
//
// Upgrades (SPDY, WebSocket) become a tunnel of raw bytes once the other side has said 101; everything else is copied both ways as it comes.
// Hop-by-hop headers stay behind; redirects are the client's business.
#pragma once

#include <memory>
#include <string>

#include "apiserver/context.h"
#include "base/status.h"
#include "base/task.h"
#include "net/client.h"

namespace knarr::apiserver::subresource {

struct Backend {
  std::string address;                             // "host:port"
  std::shared_ptr<net::TlsClientContext> tls;      // null = plain text
  std::string target;                              // path and query
  std::string authority;                           // Host header; "" = the address
  net::Headers extra_headers;                      // added to the request's
  bool statuses = false;                           // failures become a Status of ours (refusal_of) instead of being passed on
  bool keep_authorization = false;                 // the client's credentials are for us, not for them
  std::string link_prefix;                         // of a proxy: put before the paths of redirects and of links in HTML; "" = never
};

// What a kubelet's failure is to the API's client: its text as a Status.
Task<Status> refusal_of(net::ClientResponse& response);

// 503 ServiceUnavailable when it cannot be reached.
Task<Status> forward(RequestContext& context, Backend backend);

// The kubelet of a node, with our client certificate. 404 for an unknown node.
Result<Backend> kubelet_of(ApiServer& server, const std::string& node_name);

}  // namespace knarr::apiserver::subresource
