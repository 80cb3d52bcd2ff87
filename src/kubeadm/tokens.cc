// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/tokens.h"

#include <algorithm>

#include "client/text.h"
#include "kubeadm/kubeconfigs.h"
#include "kubeadm/rbac.h"
#include "pki/formats.h"
#include "pki/pki.h"
#include "pki/secrets.h"

namespace knarr::kubeadm {
namespace {

std::string data_of(const json::Value& secret, std::string_view key) {
  auto decoded = client::base64_decode(secret.at({"data", key}).as_string());
  return decoded.ok() ? *decoded : "";
}

}  // namespace

json::Value token_secret(const BootstrapToken& token, WallTime now) {
  json::Value secret = make_object("v1", "Secret", "kube-system", "bootstrap-token-" + token.id());
  secret["type"] = "bootstrap.kubernetes.io/token";
  json::Value& data = secret["data"];
  auto put = [&data](const std::string& key, const std::string& value) { data[key] = client::base64_encode(value); };
  put("token-id", token.id());
  put("token-secret", token.secret());
  if (!token.description.empty()) put("description", token.description);
  if (token.expires) put("expiration", format_rfc3339(*token.expires));
  else if (token.ttl && token.ttl->count() > 0) put("expiration", format_rfc3339(now + *token.ttl));
  for (const std::string& usage : token.usages) put("usage-bootstrap-" + usage, "true");
  if (!token.groups.empty()) put("auth-extra-groups", join(token.groups, ","));
  return secret;
}

Result<BootstrapToken> token_of_secret(const json::Value& secret) {
  const std::string& name = secret.at({"metadata", "name"}).as_string();
  std::string id = data_of(secret, "token-id"), secret_part = data_of(secret, "token-secret");
  if (id.empty()) return Status::error("bootstrap Token Secret has no token-id data: " + name);
  if (name != "bootstrap-token-" + id)
    return Status::error("bootstrap token name is not of the form 'bootstrap-token-(token-id)'. Actual: " + quote(name) + ". Expected: " +
                         quote("bootstrap-token-" + id));
  if (secret_part.empty()) return Status::error("bootstrap Token Secret has no token-secret data: " + name);
  BootstrapToken token;
  token.token = id + "." + secret_part;
  if (!is_bootstrap_token(token.token)) return Status::error("bootstrap Token Secret is invalid and couldn't be parsed: " + name);
  token.description = data_of(secret, "description");
  if (std::string expiration = data_of(secret, "expiration"); !expiration.empty()) {
    auto time = parse_rfc3339(expiration);
    if (!time.ok()) return Status::error("can't parse expiration time of bootstrap token " + quote(name) + ": " + std::string(time.status().message()));
    token.expires = *time;
  }
  for (const auto& [key, value] : secret.at({"data"}).members())
    if (key.starts_with("usage-bootstrap-") && data_of(secret, key) == "true") token.usages.push_back(key.substr(16));
  std::sort(token.usages.begin(), token.usages.end());
  if (std::string groups = data_of(secret, "auth-extra-groups"); !groups.empty()) token.groups = split(groups, ',');
  return token;
}

Result<std::string> generate_token() {
  TRY_ASSIGN(std::string id, pki::random_token(6));
  TRY_ASSIGN(std::string secret, pki::random_token(16));
  return id + "." + secret;
}

Status store_tokens(Host& host, Api& api, const std::vector<BootstrapToken>& tokens, bool must_be_new) {
  for (const BootstrapToken& token : tokens) {
    bool exists = api.get(token_secret_path(token.id())).ok();
    if (must_be_new && exists) return Status::error("a token with id " + quote(token.id()) + " already exists");
    json::Value secret = token_secret(token, host.clock().now());
    TRY(create_or_update_patiently(host, api, secret, "secret")
            .with_context("failed to create or update bootstrap token with name bootstrap-token-" + token.id()));
  }
  return {};
}

Result<std::string> join_command(const JoinCommandOptions& options) {
  auto access = client::load_kubeconfig(options.kubeconfig);
  if (!access.ok()) return access.status().with_context("failed to load kubeconfig");
  TRY_ASSIGN(std::string ca, cluster_ca(*access));
  std::vector<std::string> certificates = pki::split_certificates(ca);
  if (certificates.empty()) return Status::error("no CA certificates found in kubeconfig");
  std::string command = "kubeadm join " + replace_all(access->server, "https://", "") + " --token " + (options.hide_token ? "<value withheld>" : options.token) + " \\\n\t";
  for (const std::string& certificate : certificates) {
    TRY_ASSIGN(std::string hash, pki::public_key_hash(certificate));
    command += "--discovery-token-ca-cert-hash " + hash + " ";
  }
  if (!options.control_plane) return command;
  command += "\\\n\t--control-plane ";
  if (options.hide_key) command += "--certificate-key <value withheld>";
  else if (!options.certificate_key.empty()) command += "--certificate-key " + options.certificate_key;
  return command;
}

}  // namespace knarr::kubeadm
