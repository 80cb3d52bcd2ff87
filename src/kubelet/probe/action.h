// SPDX-License-Identifier: Apache-2.0
// One execution of a probe or of a lifecycle hook: a command, an HTTP request, a connection, a gRPC health check.
//
// Texts are those of upstream's probers, since they end up in events. Nothing is kept between calls: every request has its own connection,
// as upstream's. One executor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kubelet/cri/runtime_service.h"
#include "kubelet/types.h"

namespace knarr::kubelet {

enum class ActionResult : uint8_t { kSuccess, kWarning, kFailure, kError /* could not be tried */ };

struct ActionOutcome {
  ActionResult result = ActionResult::kError;
  std::string output;
};

inline constexpr size_t kMaxActionOutput = 10 << 10;

// A port by number or by name in `container`.
Result<int> resolve_port(const schema::IntOrString& port, const core::Container& container);

// Output of both streams together; a non-zero exit is a failure with the output, a timeout a failure with upstream's text.
Task<ActionOutcome> run_exec(RuntimeService& runtime, std::string container_id, std::vector<std::string> command, Duration timeout);

struct HttpTarget {
  std::string scheme = "http", host, path = "/";
  int port = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string user_agent = "kube-probe/1.28";
  std::string url() const;
};
// Host defaults to `pod_ip`. purpose: "probe" or "lifecycle".
Result<HttpTarget> http_target(const core::HTTPGetAction& action, const core::Container& container, std::string_view pod_ip, std::string_view purpose);
// Follows redirects on the same host. timeout 0 = none. TLS certificates are not verified.
Task<ActionOutcome> run_http(HttpTarget target, Duration timeout);
Task<ActionOutcome> run_tcp(std::string host, int port, Duration timeout);
Task<ActionOutcome> run_grpc(std::string host, int port, std::string service, Duration timeout);

}  // namespace knarr::kubelet
