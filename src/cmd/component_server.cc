// SPDX-License-Identifier: Apache-2.0
#include "cmd/component_server.h"

#include <algorithm>

#include "api/core_v1.h"
#include "base/files.h"
#include "base/metrics_text.h"
#include "client/delegated_auth.h"
#include "client/kubeconfig.h"
#include "cmd/flags.h"
#include "net/server.h"
#include "pki/pki.h"
#include "schema/json.h"
#include "trace/answer.h"

namespace knarr::cmd {
namespace {

using Checks = std::vector<ComponentPages::Check>;

constexpr Duration kCacheTtl = std::chrono::seconds(10);
constexpr std::string_view kText = "text/plain; charset=utf-8";

// A client for reviews; null when there is no kubeconfig to find the API server by.
Result<std::unique_ptr<client::Client>> reviewer(Executor executor, const std::string& kubeconfig) {
  if (kubeconfig.empty()) return std::unique_ptr<client::Client>();
  TRY_ASSIGN(client::ClusterAccess access, client::load_kubeconfig(kubeconfig));
  TRY_ASSIGN(std::shared_ptr<client::Transport> transport, client::make_https_transport(std::move(executor), access));
  return std::make_unique<client::Client>(std::move(transport), "knarr");
}

Result<pki::KeyPair> self_signed_pair(const ServingOptions& options) {
  std::string base = options.cert_dir + "/" + options.pair_name;
  if (!options.cert_dir.empty() && file_exists(base + ".crt") && file_exists(base + ".key")) {
    pki::KeyPair kept;
    TRY_ASSIGN(kept.cert_pem, read_file(base + ".crt"));
    TRY_ASSIGN(kept.key_pem, read_file(base + ".key"));
    return kept;
  }
  TRY_ASSIGN(pki::KeyPair made, pki::issue_self_signed_serving("localhost", {"127.0.0.1"}, Clock::real()));
  if (!options.cert_dir.empty()) {
    TRY(make_dirs(options.cert_dir, 0755));
    TRY(write_file(base + ".key", made.key_pem, 0600));
    TRY(write_file(base + ".crt", made.cert_pem, 0644));
  }
  return made;
}

// "/healthz" and the like: a line a check when one fails or when asked to be verbose.
struct Health {
  int code = 200;
  std::string body = "ok";
};
Health health_of(const Checks& checks, std::string_view path, bool verbose) {
  std::string name(path.substr(1)), lines;
  bool good = true;
  for (const ComponentPages::Check& check : checks) {
    good = good && check.status.ok();
    lines += (check.status.ok() ? "[+]" : "[-]") + check.name + (check.status.ok() ? " ok\n" : " failed: reason withheld\n");
  }
  if (!good) return {500, lines + name + " check failed\n"};
  if (verbose) return {200, lines + name + " check passed\n"};
  return {};
}

std::string slis_of(const Checks& checks) {
  std::string out;
  metrics::write_head(out, "kubernetes_healthcheck", "gauge", "1 when the check passes.");
  for (const ComponentPages::Check& check : checks)
    metrics::write_sample(out, "kubernetes_healthcheck", metrics::label("name", check.name) + "," + metrics::label("type", "healthz"), check.status.ok() ? 1 : 0);
  return out;
}

std::string status_json(const Status& status) {
  json::Value value = json::Value::object();
  value["kind"] = "Status";
  value["apiVersion"] = "v1";
  value["metadata"] = json::Value::object();
  value["status"] = "Failure";
  value["message"] = std::string(status.message());
  value["reason"] = std::string(status.reason());
  if (status.code() == 403) value["details"] = json::Value::object();
  value["code"] = status.code();
  return json::to_string(value);
}

struct Serving {
  Serving(ServingOptions o, ComponentPages p) : options(std::move(o)), pages(std::move(p)) {}
  const ServingOptions options;
  const ComponentPages pages;
  std::unique_ptr<client::Client> authentication_client, authorization_client;
  std::unique_ptr<client::DelegatedAuth> authentication, authorization;
};

Task<Status> check_access(Serving* serving, net::Request* request) {
  auto user = co_await serving->authentication->authenticate(*request);
  if (!user.ok()) co_return user.status();
  const auto& open = serving->options.always_allow_paths;
  if (std::find(open.begin(), open.end(), request->path) != open.end()) co_return Status();
  client::AccessQuestion question;
  question.path = request->path;
  for (char c : request->method) question.verb += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  Status refusal = Status::make(403, "Forbidden", "forbidden: User \"" + user->name + "\" cannot " + question.verb + " path \"" + question.path + "\"");
  auto allowed = co_await serving->authorization->is_allowed(std::move(*user), std::move(question));
  if (!allowed.ok()) co_return Status::make(500, "InternalError", "Internal Server Error: \"" + request->path + "\": " + std::string(allowed.status().message()));
  co_return *allowed ? Status() : refusal;
}

struct Page {
  int code = 404;
  std::string_view type = kText;
  std::string body = "404 page not found\n";
};

Page page_of(const Serving& serving, const net::Request& request) {
  const ComponentPages& pages = serving.pages;
  if (request.path == "/healthz" || request.path == "/livez" || request.path == "/readyz") {
    auto query = net::parse_query(request.query);
    bool verbose = false;
    if (query.ok())
      for (const auto& [key, value] : *query) verbose = verbose || key == "verbose";
    Health health = health_of(pages.checks(), request.path, verbose);
    return {health.code, kText, std::move(health.body)};
  }
  if (request.path == "/metrics/slis") return {200, metrics::kTextContentType, slis_of(pages.checks())};
  if (request.path == "/metrics") {
    std::string body = pages.metrics();
    metrics::write_build_info(body);
    metrics::write_process_metrics(body);
    return {200, metrics::kTextContentType, std::move(body)};
  }
  if (request.path == trace::kPath && pages.trace != nullptr) {
    auto answer = trace::answer_query(*pages.trace, request.query);
    if (!answer.ok()) return {answer.status().code(), kText, std::string(answer.status().message()) + "\n"};
    return {200, "application/json", std::move(*answer)};
  }
  if (request.path == "/configz" && pages.configuration) return {200, "application/json", pages.configuration()};
  return {};
}

Task<void> respond(std::shared_ptr<Serving> serving, net::Request* request, net::ResponseWriter* writer) {
  Status access = co_await check_access(serving.get(), request);
  Page page;
  if (access.ok()) {
    page = page_of(*serving, *request);
  } else {
    page = {access.code(), "application/json", status_json(access)};
  }
  net::Headers headers;
  headers.add("Content-Type", page.type);
  headers.add("X-Content-Type-Options", "nosniff");
  Body body(page.body);
  (void)co_await writer->respond(page.code, std::move(headers), std::move(body));
}

class ComponentServerImpl final : public ComponentServer {
 public:
  ComponentServerImpl(std::shared_ptr<Serving> serving, std::unique_ptr<net::Server> server) : serving_(std::move(serving)), server_(std::move(server)) {}
  Task<void> stop() override { return server_->shutdown(std::chrono::seconds(1)); }

 private:
  std::shared_ptr<Serving> serving_;
  std::unique_ptr<net::Server> server_;
};

// What the cluster's API server trusts client certificates by; "" when that cannot be learnt.
Task<std::string> cluster_client_ca(client::Client* client) {
  std::string ns = "kube-system", name = "extension-apiserver-authentication";
  auto map = co_await client->get<api::core_v1::ConfigMap>(std::move(ns), std::move(name));
  if (map.ok()) co_return std::string(schema::get_or_empty(map->data, "client-ca-file"));
  log_warning("Client certificates will not be known: the cluster's authentication configuration was not found", {{"err", map.status().message()}});
  co_return std::string();
}

Task<Result<net::TlsServerOptions>> tls_options(Serving* serving) {
  const ServingOptions& options = serving->options;
  net::TlsServerOptions tls;
  tls.cert_file = options.cert_file;
  tls.key_file = options.key_file;
  if (tls.cert_file.empty()) {
    CO_TRY_ASSIGN(pki::KeyPair pair, self_signed_pair(options));
    tls.cert_pem = std::move(pair.cert_pem);
    tls.key_pem = std::move(pair.key_pem);
  }
  tls.client_ca_file = options.client_ca_file;
  bool look_up = tls.client_ca_file.empty() && !options.skip_lookup && serving->authentication_client != nullptr;
  if (look_up) tls.client_ca_pem = co_await cluster_client_ca(serving->authentication_client.get());
  co_return tls;
}

}  // namespace

void add_serving_flags(ComponentApp& app, ServingOptions& options) {
  app.add_option("--bind-address", options.bind_address, "address that the HTTPS server listens on");
  app.add_option("--secure-port", options.port, "its port; 0 = none")->check(CLI::Range(0, 65535));
  app.add_option("--tls-cert-file", options.cert_file, "server certificate; self-signed when not given");
  app.add_option("--tls-private-key-file", options.key_file, "its key");
  app.add_option("--cert-dir", options.cert_dir, "where a self-signed pair is kept; in memory when not given");
  app.add_option("--client-ca-file", options.client_ca_file, "CA of client certificates");
  app.add_option("--authentication-kubeconfig", options.authentication_kubeconfig, "API server that reviews tokens");
  app.add_option("--authorization-kubeconfig", options.authorization_kubeconfig, "API server that reviews access");
  app.add_bool("--authentication-skip-lookup", options.skip_lookup, "do not ask the cluster for its client CA");
  app.add_option("--authorization-always-allow-paths", options.always_allow_paths, "paths for everybody");
  app.accept({"requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-extra-headers-prefix", "requestheader-group-headers",
              "requestheader-username-headers", "authentication-tolerate-lookup-failure", "authentication-token-webhook-cache-ttl",
              "authorization-webhook-cache-authorized-ttl", "authorization-webhook-cache-unauthorized-ttl", "tls-cipher-suites", "tls-min-version",
              "http2-max-streams-per-connection", "permit-port-sharing", "permit-address-sharing"});
}

Task<Result<std::unique_ptr<ComponentServer>>> serve_component(Executor executor, ServingOptions options, ComponentPages pages) {
  if (options.port == 0) co_return std::unique_ptr<ComponentServer>();
  auto serving = std::make_shared<Serving>(std::move(options), std::move(pages));
  CO_TRY_ASSIGN(serving->authentication_client, reviewer(executor, serving->options.authentication_kubeconfig));
  CO_TRY_ASSIGN(serving->authorization_client, reviewer(executor, serving->options.authorization_kubeconfig));
  client::DelegatedAuthOptions auth;
  auth.anonymous = true;
  auth.privileged_groups = {"system:masters"};
  auth.token_ttl = auth.authorized_ttl = auth.unauthorized_ttl = kCacheTtl;
  serving->authentication = std::make_unique<client::DelegatedAuth>(serving->authentication_client.get(), Clock::real(), auth);
  serving->authorization = std::make_unique<client::DelegatedAuth>(serving->authorization_client.get(), Clock::real(), auth);
  auto tls = co_await tls_options(serving.get());
  if (!tls.ok()) co_return tls.status();
  net::ServerOptions server_options;
  CO_TRY_ASSIGN(server_options.tls, net::make_tls_server_context(std::move(*tls)));
  net::Handler handler = [serving](net::Request& request, net::ResponseWriter& writer) { return respond(serving, &request, &writer); };
  std::vector<Executor> executors = {executor};
  auto server = net::make_server(std::move(executors), std::move(server_options), std::move(handler));
  const std::string& host = serving->options.bind_address;
  bool v6 = host.find(':') != std::string::npos;
  auto port = server->listen((v6 ? "[" + host + "]" : host) + ":" + std::to_string(serving->options.port));
  if (!port.ok()) co_return port.status();
  log_info("Serving securely", {{"address", host}, {"port", int64_t{*port}}});
  std::unique_ptr<ComponentServer> made = std::make_unique<ComponentServerImpl>(std::move(serving), std::move(server));
  co_return made;
}

}  // namespace knarr::cmd
