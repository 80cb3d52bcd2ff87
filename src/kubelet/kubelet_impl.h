// SPDX-License-Identifier: Apache-2.0
// The inside of a Kubelet; for kubelet*.cc only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/events.h"
#include "client/informer.h"
#include "kubelet/certificate/rotation.h"
#include "kubelet/context.h"
#include "kubelet/eviction/eviction_manager.h"
#include "kubelet/image/image_gc.h"
#include "kubelet/cri/remote_runtime.h"
#include "kubelet/cri/runtime_events.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node_manager.h"
#include "kubelet/pod_worker.h"
#include "kubelet/static_pods.h"

namespace knarr::kubelet {

class ApiEventSink final : public EventSink {
 public:
  ApiEventSink(client::Client& client, Executor executor, const std::string& node) : recorder_(client, std::move(executor), "kubelet", node) {}
  void write(core::ObjectReference about, std::string type, std::string reason, std::string message) override {
    recorder_.event(about, std::move(type), std::move(reason), std::move(message));
  }

 private:
  client::EventRecorder recorder_;
};

struct Kubelet::Impl final : public std::enable_shared_from_this<Kubelet::Impl>, public ServerHost {
  Impl(Config config, client::Client& client, Executor executor);
  ~Impl() override;

  Task<Status> start();
  Task<void> stop();
  Task<Status> connect();
  Task<Status> set_up_cgroups();
  Task<Status> find_running_pods();
  Task<Status> serve();
  Status serve_health();
  Result<std::shared_ptr<net::TlsServerContext>> serving_tls();
  void start_rotations();
  Status start_eviction();
  void evict(const core::Pod& pod, std::string message, int64_t grace, bool pressure);
  void watch_pods();

  // Pods.
  void pod_event(const PodPtr& before, const PodPtr& after);
  void pod_set(const PodPtr& pod);
  void pod_gone(const PodPtr& pod);
  void static_pod_set(const PodPtr& pod);
  std::shared_ptr<PodWorker> make_worker(const PodPtr& pod);
  void index(PodWorker& worker);
  void worker_ended(const std::string& uid);
  std::optional<StartFailure> admit(const core::Pod& pod) const;
  void resize_burstable();
  static Task<void> set_burstable(std::shared_ptr<Impl> self, int64_t milli);
  static Task<void> remove_orphans(std::shared_ptr<Impl> self);
  Task<void> remove_orphan(std::string uid);

  // Mirror pods.
  void mirror_set(const PodPtr& mirror);
  void mirror_gone(const PodPtr& mirror);
  static Task<void> create_mirror(std::shared_ptr<Impl> self, PodPtr pod);
  static Task<void> delete_mirror(std::shared_ptr<Impl> self, PodPtr mirror);

  // Runtime events.
  void runtime_event(const TaskEvent& event);
  void runtime_connected(bool connected);
  static Task<void> relist_loop(std::shared_ptr<Impl> self);
  Task<void> relist();
  bool anything_running() const;
  static Task<void> rotate_logs_loop(std::shared_ptr<Impl> self);
  Task<void> rotate_logs();

  // ServerHost.
  std::vector<PodPtr> pods() override;
  PodPtr pod(std::string_view ns, std::string_view name) override;
  std::string container_id(std::string_view pod_uid, std::string_view container, bool previous) override;
  std::string sandbox_id(std::string_view pod_uid) override;
  Task<Result<std::string>> container_log_path(std::string container_id) override;
  bool container_running(std::string_view container_id) override;
  std::shared_ptr<void> on_container_exit(std::string container_id, std::function<void()> exited) override;
  Task<Result<cri::ExecResponse>> exec(cri::ExecRequest request) override;
  Task<Result<cri::AttachResponse>> attach(cri::AttachRequest request) override;
  Task<Result<cri::PortForwardResponse>> port_forward(cri::PortForwardRequest request) override;
  Task<Result<cri::ExecSyncResponse>> exec_sync(cri::ExecSyncRequest request) override;
  Task<Result<cri::ListContainerStatsResponse>> container_stats() override;
  Status healthy() override;
  std::string metrics_text() override;
  const trace::Ring* trace() override { return config.trace.get(); }
  const ContainerRecord* find_record(std::string_view container_id) const;
  void tell_exits(const PodWorker& worker);

  Config config;
  client::Client& client;
  Executor executor;
  const Clock& clock = Clock::real();

  std::shared_ptr<net::GrpcChannel> channel;
  std::unique_ptr<RemoteRuntime> runtime;
  std::unique_ptr<ApiEventSink> events;
  std::unique_ptr<ObjectSource> objects;
  std::unique_ptr<VolumeManager> volumes;
  std::unique_ptr<CgroupManager> cgroups;
  Backoff restart_backoff, image_backoff;
  std::unique_ptr<Context> context;
  std::unique_ptr<ImagePuller> puller;
  std::unique_ptr<PodRuntime> pod_runtime;
  std::unique_ptr<StatusManager> statuses;
  std::unique_ptr<ProbeManager> probes;
  std::unique_ptr<NodeManager> node;
  std::unique_ptr<RuntimeEvents> runtime_events;
  std::unique_ptr<ServerAuth> auth;
  std::unique_ptr<KubeletServer> server, read_only_server;
  std::unique_ptr<net::Server> healthz_server;
  std::unique_ptr<CertificateRotation> client_rotation, serving_rotation;
  std::unique_ptr<StaticPodSource> static_pods;
  KubeletServerOptions stats_options;
  std::unique_ptr<StatsCollector> eviction_stats;
  std::unique_ptr<ImageGc> image_gc;
  std::unique_ptr<EvictionManager> eviction;
  std::shared_ptr<client::InformerCore> pod_informer, service_informer;

  std::map<std::string, std::shared_ptr<PodWorker>, std::less<>> workers;  // by UID
  std::map<std::string, std::string, std::less<>> owners;                   // container or sandbox id -> pod UID
  std::deque<std::string> early_exits;                                     // of containers whose ids were not known yet
  std::set<std::string, std::less<>> left_over;                             // UIDs that the runtime had at start
  std::map<std::string, PodPtr, std::less<>> mirrors;                       // by NAMESPACE/NAME
  std::map<std::string, PodPtr, std::less<>> waiting_static;                // new versions, until the old one has ended
  struct ExitWatch {
    std::string id;
    std::function<void()> exited;
  };
  std::vector<std::weak_ptr<ExitWatch>> exit_watches;
  Notifier relist_now;
  bool events_connected = false, stopped = false;
  int64_t burstable_milli = -1;
  bool rotate_client_at_once = false;
};

}  // namespace knarr::kubelet
