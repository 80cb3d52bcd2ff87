// SPDX-License-Identifier: Apache-2.0
// The API server: everything between a request's arrival and the store.
//
// A request's way in reading order: serve (this class) -> authn/ -> authz -> route (request_info) -> handlers/ -> admission/ -> registry/ ->
// storage (watch cache) -> store/. Any executor may carry a request; shared state is the watch caches (internally locked) and immutable tables.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/user.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/task.h"
#include "client/client.h"
#include "net/http.h"
#include "schema/resource.h"
#include "schema/type.h"
#include "store/store.h"

namespace knarr::trace {
class Ring;
}

namespace knarr::apiserver {

// Another server that is asked, described by a kubeconfig file.
struct WebhookOptions {
  std::string config_file, version = "v1beta1";
};

struct OidcOptions {
  std::string issuer_url, client_id, ca_file;
  std::string username_claim = "sub", username_prefix, groups_claim, groups_prefix;
  std::vector<std::string> signing_algs = {"RS256"}, required_claims;  // NAME=VALUE
};

struct RequestHeaderOptions {
  std::vector<std::string> allowed_names, username_headers, group_headers, extra_headers_prefix;
};

struct Options {
  std::string storage_prefix = "/registry";    // what the keys in the store begin with
  std::string service_cidr = "10.96.0.0/12";
  std::string node_port_range = "30000-32767";
  std::string advertise_address;               // of the `kubernetes` Service's endpoint
  uint16_t secure_port = 6443;
  std::string client_ca_file;
  std::string requestheader_client_ca_file;
  std::string service_account_key_file;        // public or private PEM
  std::string service_account_signing_key_file;
  std::string service_account_issuer = "https://kubernetes.default.svc.cluster.local";
  std::string kubelet_client_cert_file, kubelet_client_key_file, kubelet_ca_file;
  std::string token_auth_file;
  bool anonymous_auth = true;
  RequestHeaderOptions requestheader;
  std::vector<std::string> api_audiences;      // empty: the issuer
  OidcOptions oidc;
  WebhookOptions token_webhook, authorization_webhook;
  Duration token_webhook_ttl = std::chrono::minutes(2);
  Duration authorization_webhook_allowed_ttl = std::chrono::minutes(5), authorization_webhook_denied_ttl = std::chrono::seconds(30);
  std::string authorization_mode = "AlwaysAllow";
  std::string authorization_policy_file;       // of the mode ABAC
  int64_t event_ttl_seconds = 3600;
  std::vector<std::string> enable_admission_plugins, disable_admission_plugins;
  std::vector<std::string> runtime_config;
  std::shared_ptr<trace::Ring> trace;          // where steps of pods are recorded; null: a ring of its own
};

class ServiceAllocator;  // strategy/service_allocator.h

class ApiServer {
 public:
  virtual ~ApiServer() = default;

  // Loads the watch caches and writes what a new cluster needs (bootstrap/). Serving before it returns answers 503 / not ready.
  virtual Task<Status> start() = 0;
  virtual Task<void> stop() = 0;

  // One HTTP exchange; give it to net::make_server. With `trusted` the caller is known already (in-process).
  virtual Task<void> serve(net::Request& request, net::ResponseWriter& writer, std::optional<User> trusted = std::nullopt) = 0;

  // The in-process transport: same path, no socket. `user` as by authentication.
  virtual std::shared_ptr<client::Transport> local_transport(User user) = 0;

  // For admission, strategies and subresources: the latest object, decoded and shared, null when absent. Never waits.
  virtual std::shared_ptr<const schema::Object> cached(std::string_view group, std::string_view plural, std::string_view ns, std::string_view name) = 0;
  // Visits all objects of a resource in a namespace ("" = all).
  virtual void for_each_cached(std::string_view group, std::string_view plural, std::string_view ns,
                               const std::function<void(const schema::Object&)>& visit) = 0;
  template <class T>
  std::shared_ptr<const T> cached(std::string_view ns, std::string_view name) {
    auto object = cached(T::resource().group, T::resource().plural, ns, name);
    return object ? std::shared_ptr<const T>(object, object->template as<T>()) : nullptr;
  }
  virtual const Options& options() const = 0;
  virtual const Clock& clock() const = 0;
  // Calls the API itself as system:apiserver (group system:masters): bootstrap, allocators, event expiry.
  virtual client::Client& loopback() = 0;
  virtual Executor executor() const = 0;

  // Cluster IPs and node ports in use; made at the first write of a Service (ServiceAllocator::of).
  std::once_flag service_allocator_once;
  std::shared_ptr<ServiceAllocator> service_allocator;

  // Parts of the control plane that run in this process, by their names in componentstatuses ("scheduler", "controller-manager"): each answers ""
  // while it is well, else what is wrong, from any thread. Filled before start().
  std::map<std::string, std::function<std::string()>> local_components;
};

std::unique_ptr<ApiServer> make_api_server(Executor executor, std::shared_ptr<store::Store> store, const Clock& clock, Options options);

}  // namespace knarr::apiserver
