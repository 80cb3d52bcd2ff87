// SPDX-License-Identifier: Apache-2.0
#include "cmd/commands.h"
#include "cmd/flags.h"
#include "cmd/serve_api.h"
#include "schema/time.h"

namespace knarr::cmd {
namespace {

struct State {
  std::shared_ptr<ApiServing> serving;
};

Task<Status> boot(const EventLoops* loops, ApiServingOptions options, std::shared_ptr<State> state) {
  auto serving = co_await serve_api(loops, &Clock::real(), std::move(options));
  if (!serving.ok()) co_return serving.status();
  state->serving = std::move(*serving);
  log_info("Serving the API", {{"port", int64_t{state->serving->port}}});
  co_return Status();
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->serving != nullptr) co_await state->serving->stop();
}

void add_login_flags(ComponentApp& app, apiserver::Options& api) {
  apiserver::OidcOptions& oidc = api.oidc;
  app.add_option("--oidc-issuer-url", oidc.issuer_url, "OpenID Connect provider whose ID tokens are accepted (https)");
  app.add_option("--oidc-client-id", oidc.client_id, "the audience of these tokens");
  app.add_option("--oidc-ca-file", oidc.ca_file, "CA of the provider's certificate (the system's)");
  app.add_option("--oidc-username-claim", oidc.username_claim, "claim with the user's name");
  app.add_option("--oidc-username-prefix", oidc.username_prefix, "put before it; '-' = nothing (ISSUER#, unless the claim is email)");
  app.add_option("--oidc-groups-claim", oidc.groups_claim, "claim with the user's groups");
  app.add_option("--oidc-groups-prefix", oidc.groups_prefix, "put before each of them");
  app.add_option("--oidc-signing-algs", oidc.signing_algs, "algorithms that the provider may sign with");
  app.add_option("--oidc-required-claim", oidc.required_claims, "NAME=VALUE that a token must have")->delimiter('\0');
  app.add_option("--authentication-token-webhook-config-file", api.token_webhook.config_file, "kubeconfig of a server that knows bearer tokens");
  app.add_option("--authentication-token-webhook-version", api.token_webhook.version, "version of the TokenReviews that it is sent");
  app.add_duration("--authentication-token-webhook-cache-ttl", api.token_webhook_ttl, "for so long its answers are kept");
  app.add_option("--authorization-webhook-config-file", api.authorization_webhook.config_file, "kubeconfig of the server of the mode Webhook");
  app.add_option("--authorization-webhook-version", api.authorization_webhook.version, "version of the SubjectAccessReviews that it is sent");
  app.add_duration("--authorization-webhook-cache-authorized-ttl", api.authorization_webhook_allowed_ttl, "for so long its permissions are kept");
  app.add_duration("--authorization-webhook-cache-unauthorized-ttl", api.authorization_webhook_denied_ttl, "for so long its refusals are kept");
  app.add_option("--authorization-policy-file", api.authorization_policy_file, "policy of the mode ABAC, one JSON object a line");
}

}  // namespace

int kube_apiserver_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes API server", "kube-apiserver");
  ApiServingOptions options;
  options.store_dir = "/var/lib/knarr/apiserver";
  std::string bind_address = "0.0.0.0";
  etcd::EtcdOptions& etcd = options.etcd;
  apiserver::Options& api = options.api;
  int port = 6443;
  app.add_option("--data-dir", options.store_dir, "directory of the embedded store, which is used without --etcd-servers");
  app.add_option("--etcd-servers", etcd.members.servers, "members of the etcd cluster (scheme://host:port, comma separated)");
  app.add_option("--etcd-prefix", api.storage_prefix, "what all keys begin with");
  app.add_option("--etcd-cafile", etcd.members.ca_file, "CA of etcd's certificates");
  app.add_option("--etcd-certfile", etcd.members.cert_file, "client certificate towards etcd");
  app.add_option("--etcd-keyfile", etcd.members.key_file, "its key");
  std::string compaction_interval = "5m0s";
  app.add_option("--etcd-compaction-interval", compaction_interval, "how often history is forgotten; 0 leaves it to others");
  app.add_option("--secure-port", port, "port of HTTPS")->check(CLI::Range(0, 65535));
  app.add_option("--bind-address", bind_address, "address to listen on");
  app.add_option("--advertise-address", api.advertise_address, "address of the kubernetes Service's endpoint");
  app.add_option("--tls-cert-file", options.tls.cert_file, "server certificate")->required();
  app.add_option("--tls-private-key-file", options.tls.key_file, "its key")->required();
  app.add_option("--client-ca-file", api.client_ca_file, "CA of client certificates");
  app.add_option("--requestheader-client-ca-file", api.requestheader_client_ca_file, "CA of authenticating proxies");
  app.add_option("--requestheader-allowed-names", api.requestheader.allowed_names, "common names of authenticating proxies (any that the CA signed)");
  app.add_option("--requestheader-username-headers", api.requestheader.username_headers, "headers in which they name the user");
  app.add_option("--requestheader-group-headers", api.requestheader.group_headers, "headers in which they name groups");
  app.add_option("--requestheader-extra-headers-prefix", api.requestheader.extra_headers_prefix, "prefixes of headers with more about the user");
  app.add_option("--service-account-key-file", api.service_account_key_file, "verifies service account tokens");
  app.add_option("--service-account-signing-key-file", api.service_account_signing_key_file, "signs service account tokens");
  app.add_option("--service-account-issuer", api.service_account_issuer, "issuer of service account tokens");
  app.add_option("--api-audiences", api.api_audiences, "audiences of tokens for this server (the issuer)");
  app.add_option("--service-cluster-ip-range", api.service_cidr, "CIDR of cluster IPs");
  app.add_option("--service-node-port-range", api.node_port_range, "ports for NodePort services");
  app.add_option("--kubelet-client-certificate", api.kubelet_client_cert_file, "client certificate towards kubelets");
  app.add_option("--kubelet-client-key", api.kubelet_client_key_file, "its key");
  app.add_option("--kubelet-certificate-authority", api.kubelet_ca_file, "CA of the kubelets' certificates");
  app.add_option("--token-auth-file", api.token_auth_file, "static bearer tokens");
  add_login_flags(app, api);
  app.add_option("--authorization-mode", api.authorization_mode, "list of authorizers")->delimiter('\0');
  app.add_bool("--anonymous-auth", api.anonymous_auth, "lets requests without credentials in as system:anonymous");
  app.add_option("--enable-admission-plugins", api.enable_admission_plugins, "beside those that are on");
  app.add_option("--disable-admission-plugins", api.disable_admission_plugins, "of those that are on");
  app.add_option("--runtime-config", api.runtime_config, "API versions to turn on or off");
  app.accept({"allow-privileged", "enable-bootstrap-token-auth", "etcd-count-metric-poll-period", "etcd-db-metric-poll-interval", "etcd-healthcheck-timeout",
              "etcd-readycheck-timeout", "storage-backend", "storage-media-type", "lease-reuse-duration-seconds", "apiserver-count", "proxy-client-cert-file",
              "proxy-client-key-file", "kubelet-preferred-address-types", "max-requests-inflight", "max-mutating-requests-inflight",
              "enable-aggregator-routing", "profiling", "feature-gates"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  while (api.storage_prefix.ends_with('/')) api.storage_prefix.pop_back();
  if (!api.storage_prefix.starts_with('/')) api.storage_prefix.insert(0, "/");
  etcd.prefix = api.storage_prefix + "/";
  auto interval = schema::parse_duration(compaction_interval);
  if (!interval.ok()) {
    std::fprintf(stderr, "error: --etcd-compaction-interval: %s\n", std::string(interval.status().message()).c_str());
    return 2;
  }
  etcd.compaction_interval = Duration(*interval);
  // As upstream: who may do everything must at least say who it is.
  if (api.authorization_mode == "AlwaysAllow" && api.anonymous_auth) {
    log_warning("AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer");
    api.anonymous_auth = false;
  }
  options.listen = bind_address + ":" + std::to_string(port);
  options.tls.client_ca_file = api.client_ca_file;
  options.tls.announced_ca_file = api.requestheader_client_ca_file;
  EventLoops loops(2);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(options), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
