// SPDX-License-Identifier: Apache-2.0
// The API server's inside: what handlers and the registry share. One per process; everything in it is either constant after start() or
// locked by itself, so any executor may use it.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "apiserver/admission/admission.h"
#include "apiserver/authn/authenticator.h"
#include "apiserver/authz/authorizer.h"
#include "apiserver/authz/rbac.h"
#include "apiserver/context.h"
#include "apiserver/metrics/metrics.h"
#include "apiserver/server.h"
#include "apiserver/storage/watch_cache.h"
#include "trace/ring.h"

namespace knarr::apiserver {

class Core final : public ApiServer {
 public:
  Core(Executor executor, std::shared_ptr<store::Store> store, const Clock& clock, Options options);
  ~Core() override;

  Task<Status> start() override;
  Task<void> stop() override;
  Task<void> serve(net::Request& request, net::ResponseWriter& writer, std::optional<User> trusted) override {
    return serve(request, writer, std::move(trusted), nullptr);
  }
  Task<void> serve(net::Request& request, net::ResponseWriter& writer, std::optional<User> trusted, EventSink* events);
  std::shared_ptr<client::Transport> local_transport(User user) override;
  std::shared_ptr<const schema::Object> cached(std::string_view group, std::string_view plural, std::string_view ns, std::string_view name) override;
  void for_each_cached(std::string_view group, std::string_view plural, std::string_view ns,
                       const std::function<void(const schema::Object&)>& visit) override;
  const Options& options() const override { return options_; }
  const Clock& clock() const override { return clock_; }
  client::Client& loopback() override;
  Executor executor() const override { return executor_; }

  // The cache of a resource, of any version; null when it has none (reviews, bindings).
  WatchCache* cache(const schema::Resource& resource) const;
  WatchCache* cache(std::string_view group, std::string_view plural) const;
  store::Store& store() { return *store_; }
  authz::Authorizer& authorizer() { return *authorizer_; }
  // Roles and bindings as they apply to users, whether or not RBAC is among the authorizers.
  authz::RbacRules& rbac() { return *rbac_; }
  std::shared_ptr<authz::RbacRules> shared_rbac() { return rbac_; }
  authn::Authenticator& authenticator() { return *authenticator_; }  // after start()
  // The admission plugins that are on, in order.
  const std::vector<const admission::Plugin*>& admission_plugins() const { return plugins_; }
  metrics::RequestMetrics& request_metrics() { return *request_metrics_; }
  trace::Ring& trace() { return *trace_; }
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }

  // Registers a running watch, so that the server's end wakes it.
  class WatchGuard {
   public:
    WatchGuard(Core& core, Executor executor, std::weak_ptr<CacheWatch> watch);
    ~WatchGuard();
    WatchGuard(const WatchGuard&) = delete;
    WatchGuard& operator=(const WatchGuard&) = delete;

   private:
    Core& core_;
    uint64_t id_;
  };

 private:
  Task<Status> handle(RequestContext& context, const std::optional<User>& trusted);
  Task<Status> dispatch(RequestContext& context);
  static authz::Attributes attributes_of(const RequestContext& context);
  Task<Status> identify(RequestContext& context, const std::optional<User>& trusted);
  Task<Status> authorize(RequestContext& context);
  Task<Status> impersonate(RequestContext& context);

  const Executor executor_;
  const std::shared_ptr<store::Store> store_;
  const Clock& clock_;
  const Options options_;
  absl::flat_hash_map<const schema::Resource*, std::shared_ptr<WatchCache>> caches_;  // by storage version
  std::vector<const admission::Plugin*> plugins_;
  std::unique_ptr<authn::Authenticator> authenticator_;
  std::shared_ptr<authz::RbacRules> rbac_;
  std::unique_ptr<authz::Authorizer> authorizer_;
  std::unique_ptr<client::Client> loopback_;
  const std::shared_ptr<metrics::RequestMetrics> request_metrics_ = std::make_shared<metrics::RequestMetrics>();
  const std::shared_ptr<trace::Ring> trace_;
  std::atomic<bool> ready_{false}, stopping_{false};
  std::mutex watches_mutex_;
  uint64_t next_watch_ = 0;                                                               // guarded by watches_mutex_
  absl::flat_hash_map<uint64_t, std::pair<Executor, std::weak_ptr<CacheWatch>>> watches_;  // guarded by watches_mutex_
};

}  // namespace knarr::apiserver
