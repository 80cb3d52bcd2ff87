// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/discovery.h"

#include "client/text.h"
#include "pki/formats.h"
#include "pki/pki.h"
#include "pki/secrets.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

constexpr char kPath[] = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
constexpr Duration kPause = std::chrono::seconds(1);

// Again and again until cluster-info is there and signed by the token: the API server may be starting, the signer a moment late.
Result<json::Value> fetch_cluster_info(Host& host, Api& api, const std::string& token, Duration limit) {
  json::Value found;
  Status last = retry(host, std::min(kPause, limit), limit, [&]() -> Status {
    auto map = api.get(kPath);
    if (!map.ok()) return map.status().with_context("failed to request the cluster-info ConfigMap");
    const std::string key = "jws-kubeconfig-" + token.substr(0, token.find('.'));
    if (map->at({"data"}).find(key) == nullptr)
      return Status::error("token id " + quote(token.substr(0, token.find('.'))) + " is invalid for this cluster or it has expired. Use \"kubeadm token create\" on the "
                           "control-plane node to create a new valid token");
    found = std::move(*map);
    return {};
  });
  if (!last.ok()) return last;
  return found;
}

struct Cluster {
  std::string server, ca_pem;
};
// The only cluster of a cluster-info kubeconfig (it has no contexts).
Result<Cluster> only_cluster(const std::string& kubeconfig) {
  TRY_ASSIGN(std::string text, schema::yaml_to_json(kubeconfig));
  TRY_ASSIGN(json::Value config, json::parse(text));
  const auto& clusters = config.at({"clusters"}).items();
  if (clusters.size() != 1)
    return Status::error("expected the kubeconfig file in the cluster-info ConfigMap to have a single cluster, but it had " + std::to_string(clusters.size()));
  TRY_ASSIGN(std::string ca, client::base64_decode(clusters[0].at({"cluster", "certificate-authority-data"}).as_string()));
  return Cluster{clusters[0].at({"cluster", "server"}).as_string(), ca};
}

Result<client::ClusterAccess> discover_by_token(Host& host, const Discovery& discovery, const Connector& connect) {
  const Discovery::Token& by = *discovery.bootstrap_token;
  Duration limit = discovery.timeout.value_or(std::chrono::minutes(5));
  TRY(check_hash_form(by.ca_cert_hashes));
  client::ClusterAccess insecure;
  insecure.server = "https://" + by.api_server_endpoint;
  insecure.insecure_skip_tls_verify = true;
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(insecure));
  TRY_ASSIGN(json::Value first, fetch_cluster_info(host, *api, by.token, limit));
  TRY_ASSIGN(std::string kubeconfig, signed_kubeconfig(first, by.token));
  TRY_ASSIGN(Cluster cluster, only_cluster(kubeconfig));
  client::ClusterAccess access;
  access.server = cluster.server;
  access.ca_pem = cluster.ca_pem;
  if (by.ca_cert_hashes.empty()) return access;
  TRY(check_pins(cluster.ca_pem, by.ca_cert_hashes).with_context("cluster CA found in cluster-info ConfigMap is invalid"));
  // Once more, now that the server must prove itself against the pinned CA.
  client::ClusterAccess secure;
  secure.server = insecure.server;
  secure.ca_pem = cluster.ca_pem;
  TRY_ASSIGN(std::unique_ptr<Api> checked, connect(secure));
  TRY_ASSIGN(json::Value second, fetch_cluster_info(host, *checked, by.token, limit));
  if (second.at({"data", "kubeconfig"}).as_string() != kubeconfig)
    return Status::error("the second kubeconfig from the cluster-info ConfigMap (using validated TLS) was different from the first");
  return access;
}

bool has_credentials(const client::ClusterAccess& access) {
  return !access.token.empty() || !access.token_file.empty() || !access.client_cert_pem.empty() || !access.client_cert_file.empty() || !access.username.empty();
}

// A file that names the cluster; cluster-info, which everybody may read, can correct its CA.
Result<client::ClusterAccess> discover_by_file(Host& host, const Discovery& discovery, const Connector& connect) {
  if (discovery.file->starts_with("https://"))
    return Status::error("discovery by URL is not supported; download the file and give its path");
  TRY_ASSIGN(std::string text, host.read_file(*discovery.file));
  auto access = client::load_kubeconfig(*discovery.file);
  if (!access.ok()) {
    // cluster-info itself has no context and no user.
    TRY_ASSIGN(Cluster cluster, only_cluster(text));
    client::ClusterAccess made;
    made.server = cluster.server;
    made.ca_pem = cluster.ca_pem;
    access = made;
  }
  client::ClusterAccess anonymous;
  anonymous.server = access->server;
  anonymous.ca_pem = access->ca_pem;
  anonymous.ca_file = access->ca_file;
  TRY_ASSIGN(std::unique_ptr<Api> api, connect(anonymous));
  json::Value map;
  Status fetched = retry(host, kPause, discovery.timeout.value_or(std::chrono::minutes(5)), [&]() -> Status {
    auto answer = api->get(kPath);
    if (answer.ok()) map = std::move(*answer);
    // Who may not read it, or where there is none, has the file to go by.
    if (answer.status().is("NotFound") || answer.status().is("Forbidden") || answer.status().is("Unauthorized")) {
      host.warn("[discovery] Could not access the cluster-info ConfigMap for refreshing the cluster-info information, but the TLS cert is valid so proceeding...");
      return {};
    }
    return answer.status();
  });
  TRY(fetched);
  if (map.is_null()) return access;
  auto cluster = only_cluster(map.at({"data", "kubeconfig"}).as_string());
  if (cluster.ok()) access->ca_pem = cluster->ca_pem;
  return access;
}

}  // namespace

Status check_hash_form(const std::vector<std::string>& hashes) {
  for (const std::string& hash : hashes) {
    size_t colon = hash.find(':');
    if (colon == std::string::npos)
      return Status::error("invalid discovery token CA certificate hash: invalid hash, expected \"format:hex-value\". Known format(s) are: sha256");
    if (to_lower(hash.substr(0, colon)) != "sha256")
      return Status::error("invalid discovery token CA certificate hash: unknown hash format " + quote(hash.substr(0, colon)) + ". Known format(s) are: sha256");
    auto bytes = pki::from_hex(hash.substr(colon + 1));
    if (!bytes.ok()) return Status::error("invalid discovery token CA certificate hash: could not decode SHA-256 from hex: " + std::string(bytes.status().message()));
    if (bytes->size() != 32)
      return Status::error("invalid discovery token CA certificate hash: expected a 32 byte SHA-256 hash, found " + std::to_string(bytes->size()) + " bytes");
  }
  return {};
}

Status check_pins(const std::string& ca_pem, const std::vector<std::string>& hashes) {
  std::vector<std::string> found;
  for (const std::string& certificate : pki::split_certificates(ca_pem)) {
    TRY_ASSIGN(std::string hash, pki::public_key_hash(certificate));
    for (const std::string& wanted : hashes)
      if (to_lower(wanted) == hash) return {};
    found.push_back(quote(hash));
  }
  if (found.empty()) return Status::error("failed to parse cluster CA from kubeconfig: data does not contain any valid RSA or ECDSA certificates");
  return Status::error("none of the public keys " + join(found, ":") + " are pinned");
}

Result<std::string> signed_kubeconfig(const json::Value& cluster_info, const std::string& token) {
  const std::string id = token.substr(0, token.find('.')), secret = token.substr(token.find('.') + 1);
  const json::Value* kubeconfig = cluster_info.at({"data"}).find("kubeconfig");
  if (kubeconfig == nullptr || kubeconfig->as_string().empty()) return Status::error("there is no kubeconfig key in the cluster-info ConfigMap");
  const json::Value* signature = cluster_info.at({"data"}).find("jws-kubeconfig-" + id);
  if (signature == nullptr || signature->as_string().empty())
    return Status::make(404, "NotFound", "token id " + quote(id) + " is invalid for this cluster or it has expired. Use \"kubeadm token create\" on the control-plane node to create a new valid token");
  if (signature->as_string() != pki::detached_signature(kubeconfig->as_string(), id, secret))
    return Status::error("failed to verify JWS signature of received cluster info object, can't trust this API Server");
  return kubeconfig->as_string();
}

Result<client::ClusterAccess> discover(Host& host, const Discovery& discovery, const Connector& connect) {
  auto found = discovery.file ? discover_by_file(host, discovery, connect) : discover_by_token(host, discovery, connect);
  if (!found.ok()) return found.status().with_context("couldn't validate the identity of the API Server");
  if (!discovery.tls_bootstrap_token.empty()) {
    client::ClusterAccess access;
    access.server = found->server;
    access.ca_pem = found->ca_pem;
    access.ca_file = found->ca_file;
    access.token = discovery.tls_bootstrap_token;
    return access;
  }
  if (has_credentials(*found)) return found;
  return Status::error("couldn't find authentication credentials for the TLS boostrap process. Please use Token discovery, a discovery file with embedded authentication "
                       "credentials or a discovery file without authentication credentials but with the TLSBootstrapToken flag");
}

}  // namespace knarr::kubeadm
