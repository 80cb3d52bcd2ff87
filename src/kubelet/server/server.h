// SPDX-License-Identifier: Apache-2.0
// The kubelet's HTTPS API on port 10250: /pods, /containerLogs, /exec, /attach, /portForward, /run,
// /healthz, /metrics, /stats.
//
// Everything it tells comes from a ServerHost, which the kubelet implements. Streaming calls ask
// the runtime for a URL and then tunnel the upgraded connection to it byte for byte, so SPDY and
// WebSocket clients both reach the runtime's own streaming server, as with upstream. One executor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "api/cri_v1.h"
#include "base/task.h"
#include "client/client.h"
#include "client/delegated_auth.h"
#include "kubelet/volume/object_source.h"
#include "net/server.h"

namespace knarr::trace {
class Ring;
}

namespace knarr::kubelet {

// The kubelet as the server sees it. Called on the server's executor, which is the kubelet's.
class ServerHost {
 public:
  virtual ~ServerHost() = default;

  // Every pod known here with its newest status; static pods included.
  virtual std::vector<PodPtr> pods() = 0;
  virtual PodPtr pod(std::string_view ns, std::string_view name) = 0;  // null when absent

  // Runtime ids, "" when there is none. `container` may be an init or ephemeral one. previous: the
  // last terminated instance before the newest.
  virtual std::string container_id(std::string_view pod_uid, std::string_view container,
                                   bool previous) = 0;
  virtual std::string sandbox_id(std::string_view pod_uid) = 0;

  // Where the runtime writes the log of a container ("0.log" below the pod's log folder); fails
  // when the runtime does not know it.
  virtual Task<Result<std::string>> container_log_path(std::string container_id) = 0;
  virtual bool container_running(std::string_view container_id) = 0;
  // Calls `exited` once when the container stops (at once, from the executor's queue, when it
  // already has). Dropping the handle unsubscribes.
  virtual std::shared_ptr<void> on_container_exit(std::string container_id,
                                                  std::function<void()> exited) = 0;

  // CRI calls.
  virtual Task<Result<api::cri_v1::ExecResponse>> exec(api::cri_v1::ExecRequest request) = 0;
  virtual Task<Result<api::cri_v1::AttachResponse>> attach(api::cri_v1::AttachRequest request) = 0;
  virtual Task<Result<api::cri_v1::PortForwardResponse>> port_forward(
      api::cri_v1::PortForwardRequest request) = 0;
  virtual Task<Result<api::cri_v1::ExecSyncResponse>> exec_sync(
      api::cri_v1::ExecSyncRequest request) = 0;
  virtual Task<Result<api::cri_v1::ListContainerStatsResponse>> container_stats() = 0;

  // /healthz/syncloop: when the sync loop last made progress is the host's business; an error makes
  // it 500.
  virtual Status healthy() = 0;
  // Lines in Prometheus' text format that /metrics adds to the server's own.
  virtual std::string metrics_text() { return {}; }
  // The KubeletConfiguration in force as JSON, for /configz.
  virtual std::string configuration_json() { return "{}"; }
  // Steps of pods, for /debug/podtrace; null: none are recorded.
  virtual const trace::Ring* trace() { return nullptr; }
};

using client::UserInfo;

// Who may do what. Implementations: DelegatingAuth (TokenReview and SubjectAccessReview through a
// client, answers cached as upstream), and AlwaysAllow.
class ServerAuth {
 public:
  virtual ~ServerAuth() = default;
  // 401 when the request names nobody and anonymous requests are off.
  virtual Task<Result<UserInfo>> authenticate(const net::Request& request) = 0;
  // OK, or 403 Forbidden worded as upstream. `subresource` of nodes: proxy, stats, log, spec,
  // metrics, configz ("" for a non-resource path).
  virtual Task<Status> authorize(UserInfo user, std::string verb, std::string subresource,
                                 std::string path) = 0;
};

struct AuthOptions {
  std::string node_name;
  bool anonymous = false;
  bool x509 = true;           // a client certificate that the server verified names the user
  bool webhook = true;        // TokenReview
  bool always_allow = false;  // authorization mode
  Duration token_ttl = std::chrono::minutes(2);
  Duration authorized_ttl = std::chrono::minutes(5), unauthorized_ttl = std::chrono::seconds(30);
};
std::unique_ptr<ServerAuth> make_delegating_auth(client::Client& client, const Clock& clock,
                                                 AuthOptions options);
std::unique_ptr<ServerAuth> make_always_allow_auth();

struct KubeletServerOptions {
  std::string address = "0.0.0.0:10250";
  std::shared_ptr<net::TlsServerContext> tls;  // null = plain HTTP (tests, the read-only port)
  std::string root_dir = "/var/lib/kubelet";   // whose file system /stats tells of
  std::string system_logs_dir = "/var/log";    // what /logs/ serves
  std::string node_name;
  bool read_only = false;  // only what upstream's read-only port serves
};

class KubeletServer {
 public:
  virtual ~KubeletServer() = default;
  virtual Result<uint16_t> listen() = 0;
  virtual Task<void> shutdown(Duration grace) = 0;
};

// `host` and `auth` outlive the server.
std::unique_ptr<KubeletServer> make_kubelet_server(ServerHost& host, ServerAuth& auth,
                                                   Executor executor, KubeletServerOptions options);

}  // namespace knarr::kubelet
