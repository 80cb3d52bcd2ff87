// SPDX-License-Identifier: Apache-2.0
#include "controller/controller.h"

#include "base/log.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

constexpr ControllerEntry kControllers[] = {
    {"serviceaccount-token-controller", "serviceaccount-token", start_serviceaccount_token},
    {"serviceaccount-controller", "serviceaccount", start_serviceaccount},
    {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher", start_root_ca_cert_publisher},
    {"namespace-controller", "namespace", start_namespace},
    {"endpoints-controller", "endpoint", start_endpoints},
    {"endpointslice-controller", "endpointslice", start_endpointslice},
    {"endpointslice-mirroring-controller", "endpointslicemirroring", start_endpointslicemirroring},
    {"deployment-controller", "deployment", start_deployment},
    {"replicaset-controller", "replicaset", start_replicaset},
    {"replicationcontroller-controller", "replicationcontroller", start_replicationcontroller},
    {"job-controller", "job", start_job},
    {"cronjob-controller", "cronjob", start_cronjob},
    {"horizontal-pod-autoscaler-controller", "horizontalpodautoscaling", start_horizontalpodautoscaler},
    {"ttl-after-finished-controller", "ttl-after-finished", start_ttl_after_finished},
    {"daemonset-controller", "daemonset", start_daemonset},
    {"statefulset-controller", "statefulset", start_statefulset},
    {"disruption-controller", "disruption", start_disruption},
    {"resourcequota-controller", "resourcequota", start_resourcequota},
    {"persistentvolume-binder-controller", "persistentvolume-binder", start_persistentvolume_binder},
    {"ephemeral-volume-controller", "ephemeral-volume", start_ephemeral_volume},
    {"persistentvolumeclaim-protection-controller", "pvc-protection", start_pvc_protection},
    {"persistentvolume-protection-controller", "pv-protection", start_pv_protection},
    {"clusterrole-aggregation-controller", "clusterrole-aggregation", start_clusterrole_aggregation},
    {"pod-garbage-collector-controller", "podgc", start_podgc},
    {"node-ipam-controller", "nodeipam", start_nodeipam},
    {"node-lifecycle-controller", "nodelifecycle", start_nodelifecycle},
    {"certificatesigningrequest-signing-controller", "csrsigning", start_csr_signing},
    {"certificatesigningrequest-approving-controller", "csrapproving", start_csr_approving},
    {"certificatesigningrequest-cleaner-controller", "csrcleaner", start_csr_cleaner},
    {"bootstrap-signer-controller", "bootstrapsigner", start_bootstrap_signer, false},
    {"token-cleaner-controller", "tokencleaner", start_token_cleaner, false},
    {"ttl-controller", "ttl", start_ttl},
    // Last, so that it finds the informers of the others and shares them.
    {"garbage-collector-controller", "garbagecollector", start_garbagecollector},
};

// Where the account is not the controller's name.
constexpr std::pair<std::string_view, std::string_view> kServiceAccounts[] = {
    {"serviceaccount-token-controller", ""},
    {"serviceaccount-controller", "service-account-controller"},
    {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"},
    {"endpoints-controller", "endpoint-controller"},
    {"endpointslice-mirroring-controller", "endpointslicemirroring-controller"},
    {"replicationcontroller-controller", "replication-controller"},
    {"pod-garbage-collector-controller", "pod-garbage-collector"},
    {"garbage-collector-controller", "generic-garbage-collector"},
    {"daemonset-controller", "daemon-set-controller"},
    {"horizontal-pod-autoscaler-controller", "horizontal-pod-autoscaler"},
    {"certificatesigningrequest-signing-controller", "certificate-controller"},
    {"certificatesigningrequest-approving-controller", "certificate-controller"},
    {"certificatesigningrequest-cleaner-controller", "certificate-controller"},
    {"bootstrap-signer-controller", "bootstrap-signer"},
    {"token-cleaner-controller", "token-cleaner"},
    {"node-ipam-controller", "node-controller"},
    {"node-lifecycle-controller", "node-controller"},
    {"persistentvolume-binder-controller", "persistent-volume-binder"},
    {"persistentvolume-attach-detach-controller", "attachdetach-controller"},
    {"persistentvolume-expander-controller", "expand-controller"},
    {"clusterrole-aggregation-controller", "clusterrole-aggregation-controller"},
    {"persistentvolumeclaim-protection-controller", "pvc-protection-controller"},
    {"persistentvolume-protection-controller", "pv-protection-controller"},
};

Task<void> wait_for_cores(ControllerContext::Cores cores) {
  for (size_t i = 0; i < cores.size(); ++i) {
    std::shared_ptr<client::InformerCore> core = cores[i];
    co_await core->wait_synced();
  }
}

Task<void> call_later(ContextPtr context, ControllerContext::Cores cores, std::function<void()> start) {
  co_await wait_for_cores(std::move(cores));
  if (!context->stopped()) start();
}

Task<void> period_loop(ContextPtr context, Duration period, std::function<Task<void>()> step) {
  while (!context->stopped()) {
    Task<void> task = step();
    co_await std::move(task);
    co_await sleep_for(period);
  }
}

bool is_named(const ControllerEntry& entry, std::string_view word) { return word == entry.name || word == entry.alias; }

bool selected(const ControllerEntry& entry, const std::vector<std::string>& selection) {
  bool all = false;
  for (const std::string& word : selection) {
    if (is_named(entry, word)) return true;
    if (word.size() > 1 && word[0] == '-' && is_named(entry, std::string_view(word).substr(1))) return false;
    if (word == "*") all = true;
  }
  return all && entry.on_by_default;
}

}  // namespace

std::span<const ControllerEntry> controller_table() { return kControllers; }

std::shared_ptr<client::WorkQueue> ControllerContext::make_queue(std::string name) {
  queues_.push_back(std::make_shared<client::WorkQueue>(executor, std::move(name)));
  return queues_.back();
}

std::shared_ptr<client::WorkQueue> ControllerContext::make_queue(std::string name, Duration first_retry, Duration most_retry) {
  queues_.push_back(std::make_shared<client::WorkQueue>(executor, std::move(name), first_retry, most_retry));
  return queues_.back();
}

std::shared_ptr<client::EventRecorder> ControllerContext::recorder(const std::string& component) {
  for (auto& [name, recorder] : recorders_)
    if (name == component) return recorder;
  recorders_.emplace_back(component, std::make_shared<client::EventRecorder>(client, executor, component));
  return recorders_.back().second;
}

void ControllerContext::call_when_synced(Cores cores, std::function<void()> start) {
  spawn(executor, call_later(shared_from_this(), std::move(cores), std::move(start)));
}

void ControllerContext::run_when_synced(Cores cores, std::shared_ptr<client::WorkQueue> queue, std::string name, int workers,
                                        client::Reconcile reconcile) {
  call_when_synced(std::move(cores), [executor = executor, queue, name, workers, reconcile] {
    client::run_workers(executor, queue, name, workers, reconcile);
  });
}

void ControllerContext::run_periodically(Duration period, std::function<Task<void>()> step) {
  spawn(executor, period_loop(shared_from_this(), period, std::move(step)));
}

std::shared_ptr<ControllerContext> ControllerContext::with_client(client::Client& other) {
  derived_.push_back(std::make_shared<ControllerContext>(other, informers, clock, executor, options));
  return derived_.back();
}

std::vector<std::shared_ptr<client::WorkQueue>> ControllerContext::queues() const {
  std::vector<std::shared_ptr<client::WorkQueue>> all = queues_;
  for (const auto& context : derived_)
    for (auto& queue : context->queues()) all.push_back(std::move(queue));
  return all;
}

void ControllerContext::stop() {
  stopped_ = true;
  for (auto& context : derived_) context->stop();
  for (auto& queue : queues_) queue->shut_down();
  for (auto& callback : stop_callbacks_) callback();
  stop_callbacks_.clear();
}

schema::Time ControllerContext::now() const { return schema::to_time(clock.now()); }

std::string_view service_account_of(std::string_view controller) {
  for (const auto& [name, account] : kServiceAccounts)
    if (name == controller) return account;
  return controller;
}

Status start_controllers(const ContextPtr& context, const std::vector<std::string>& selection, const ClientFor& client_for) {
  for (const std::string& word : selection) {
    std::string_view name = word.starts_with('-') ? std::string_view(word).substr(1) : std::string_view(word);
    bool known = name == "*";
    for (const ControllerEntry& entry : kControllers) known = known || is_named(entry, name);
    if (!known) log_warning("Unknown controller was ignored", {{"controller", name}});
  }
  for (const ControllerEntry& entry : kControllers) {
    if (!selected(entry, selection)) continue;
    std::string_view account = service_account_of(entry.name);
    entry.start(client_for && !account.empty() ? context->with_client(client_for(account)) : context);
    log_debug("Started controller", {{"controller", entry.name}});
  }
  context->informers.start();
  return {};
}

}  // namespace knarr::controller
