// SPDX-License-Identifier: Apache-2.0
// What every controller is given, and the table of them.
//
// A controller is a handler that only enqueues keys and a reconcile function that only reads caches and writes through the client. Each lives
// in one file, is made by its start function, and is kept alive by the handlers and workers that it registered. Everything runs on one
// executor, so that no controller locks. Names, event texts, conditions and labels are upstream's (v1.28).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "client/events.h"
#include "client/informer.h"
#include "client/work_queue.h"

namespace knarr::controller {

// PEM files of a signer's pair.
struct SigningFiles {
  std::string cert_file, key_file;
  bool none() const { return cert_file.empty() && key_file.empty(); }
  bool complete() const { return !cert_file.empty() && !key_file.empty(); }
};
// The common pair, or one a signer; not both.
struct CertificateSigningOptions {
  SigningFiles cluster, kubelet_serving, kubelet_client, apiserver_client, legacy_unknown;
  Duration duration = std::chrono::hours(8760);  // the longest; requests may ask for less
};

struct Options {
  std::string cluster_cidr;                  // "10.244.0.0/16"; "" = nodes get no pod CIDR
  int node_cidr_mask_size = 24;
  std::string service_cidr;                  // kept free of node CIDRs
  bool allocate_node_cidrs = true;
  std::string root_ca_pem;                   // for kube-root-ca.crt; "" = not published
  std::string service_account_key_pem;       // RSA or EC private key, for token Secrets; "" = none are made
  std::string service_account_issuer = "https://kubernetes.default.svc";
  Duration node_monitor_period = std::chrono::seconds(5);
  Duration node_monitor_grace_period = std::chrono::seconds(40);
  Duration node_startup_grace_period = std::chrono::seconds(60);
  CertificateSigningOptions signing;
  int terminated_pod_gc_threshold = 12500;
  // Upstream waits 5 s before it empties a namespace, so that other API servers hear of the deletion. With one server there is nobody to
  // wait for.
  Duration namespace_deletion_grace = std::chrono::seconds(5);
};

class ControllerContext : public std::enable_shared_from_this<ControllerContext> {
 public:
  ControllerContext(client::Client& client, client::InformerFactory& informers, const Clock& clock, Executor executor, Options options)
      : client(client), informers(informers), clock(clock), executor(std::move(executor)), options(std::move(options)) {}


  client::Client& client;
  client::InformerFactory& informers;
  const Clock& clock;
  const Executor executor;
  const Options options;

  // Shut down by stop().
  std::shared_ptr<client::WorkQueue> make_queue(std::string name);
  // With other delays between retries than the usual ones.
  std::shared_ptr<client::WorkQueue> make_queue(std::string name, Duration first_retry, Duration most_retry);
  // One recorder a component ("replicaset-controller"), shared.
  std::shared_ptr<client::EventRecorder> recorder(const std::string& component);
  // Starts the workers once these informers have delivered their first list.
  using Cores = std::vector<std::shared_ptr<client::InformerCore>>;
  void run_when_synced(Cores cores, std::shared_ptr<client::WorkQueue> queue, std::string name, int workers, client::Reconcile reconcile);
  // The same for a loop of the controller's own. `start` is called once.
  void call_when_synced(Cores cores, std::function<void()> start);
  // Sleeps `period` between calls until stop(); the first call comes at once. The context lives while the loop does.
  void run_periodically(Duration period, std::function<Task<void>()> step);

  // A context that acts through another client, and stops with this one.
  std::shared_ptr<ControllerContext> with_client(client::Client& other);
  // Queues of this context and those made from it.
  std::vector<std::shared_ptr<client::WorkQueue>> queues() const;

  void stop();
  void on_stop(std::function<void()> callback) { stop_callbacks_.push_back(std::move(callback)); }
  bool stopped() const { return stopped_; }
  schema::Time now() const;

 private:
  std::vector<std::shared_ptr<client::WorkQueue>> queues_;
  std::vector<std::pair<std::string, std::shared_ptr<client::EventRecorder>>> recorders_;
  std::vector<std::function<void()>> stop_callbacks_;
  std::vector<std::shared_ptr<ControllerContext>> derived_;
  bool stopped_ = false;
};
using ContextPtr = std::shared_ptr<ControllerContext>;

struct ControllerEntry {
  std::string_view name;                     // upstream's: "deployment-controller"
  std::string_view alias;                    // upstream's before 1.28: "deployment"
  void (*start)(const ContextPtr& context);
  bool on_by_default = true;
};
// In the order of starting.
std::span<const ControllerEntry> controller_table();

// `selection` as --controllers: "*" all that are on by default, "name" on, "-name" off. 400 for a name nobody knows.
// `client_for` gives the client of a service account in kube-system ("deployment-controller"); null: all act through the context's own.
using ClientFor = std::function<client::Client&(std::string_view service_account)>;
Status start_controllers(const ContextPtr& context, const std::vector<std::string>& selection, const ClientFor& client_for);
// The account that upstream's controller of this name acts as; "" for the manager's own.
std::string_view service_account_of(std::string_view controller);

// One each; in the file of that name.
void start_namespace(const ContextPtr& context);
void start_clusterrole_aggregation(const ContextPtr& context);
void start_serviceaccount(const ContextPtr& context);
void start_root_ca_cert_publisher(const ContextPtr& context);
void start_deployment(const ContextPtr& context);
void start_endpoints(const ContextPtr& context);
void start_endpointslice(const ContextPtr& context);
void start_endpointslicemirroring(const ContextPtr& context);
void start_resourcequota(const ContextPtr& context);
void start_persistentvolume_binder(const ContextPtr& context);
void start_ephemeral_volume(const ContextPtr& context);
void start_pvc_protection(const ContextPtr& context);
void start_pv_protection(const ContextPtr& context);
void start_podgc(const ContextPtr& context);
void start_nodeipam(const ContextPtr& context);
void start_nodelifecycle(const ContextPtr& context);
void start_serviceaccount_token(const ContextPtr& context);
void start_garbagecollector(const ContextPtr& context);
void start_replicaset(const ContextPtr& context);
void start_replicationcontroller(const ContextPtr& context);
void start_daemonset(const ContextPtr& context);
void start_statefulset(const ContextPtr& context);
void start_disruption(const ContextPtr& context);
void start_ttl(const ContextPtr& context);
void start_job(const ContextPtr& context);
void start_horizontalpodautoscaler(const ContextPtr& context);
void start_cronjob(const ContextPtr& context);
void start_ttl_after_finished(const ContextPtr& context);
void start_csr_approving(const ContextPtr& context);
void start_csr_signing(const ContextPtr& context);
void start_csr_cleaner(const ContextPtr& context);
void start_bootstrap_signer(const ContextPtr& context);
void start_token_cleaner(const ContextPtr& context);

// Whether the pairs can be read; the signers start only with those.
Status check_signing(const CertificateSigningOptions& options);

}  // namespace knarr::controller
