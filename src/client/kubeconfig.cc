// SPDX-License-Identifier: Apache-2.0
#include "client/kubeconfig.h"

#include <cstdlib>
#include <filesystem>

#include "client/text.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::client {
namespace {

constexpr const char* kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

Status invalid(const std::string& file, std::string_view what) {
  return Status::make(400, "BadRequest", "kubeconfig " + file + ": " + std::string(what));
}

// The entry `name` of a list of {name, <member>}; null when absent.
const json::Value* named(const json::Value& config, std::string_view list, std::string_view name, std::string_view member) {
  for (const json::Value& entry : config.at({list}).items()) {
    if (entry.at({"name"}).as_string() == name) return entry.find(member);
  }
  return nullptr;
}

// Paths in a kubeconfig are relative to its folder.
std::string resolve(const std::string& file, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(file).parent_path() / path).string();
}

Status read_data(const std::string& file, const json::Value& from, std::string_view name, std::string& to) {
  const std::string& text = from.at({name}).as_string();
  if (text.empty()) return {};
  auto decoded = base64_decode(text);
  if (!decoded.ok()) return invalid(file, std::string(name) + " is not valid base64");
  to = std::move(*decoded);
  return {};
}

Status read_user(const std::string& file, const json::Value& user, ClusterAccess& access) {
  TRY(read_data(file, user, "client-certificate-data", access.client_cert_pem));
  TRY(read_data(file, user, "client-key-data", access.client_key_pem));
  access.client_cert_file = resolve(file, user.at({"client-certificate"}).as_string());
  access.client_key_file = resolve(file, user.at({"client-key"}).as_string());
  access.token = user.at({"token"}).as_string();
  access.token_file = resolve(file, user.at({"tokenFile"}).as_string());
  access.username = user.at({"username"}).as_string();
  access.password = user.at({"password"}).as_string();
  return {};
}

}  // namespace

ClusterAccess anonymous(const ClusterAccess& access) {
  ClusterAccess bare;
  bare.server = access.server;
  bare.ca_pem = access.ca_pem;
  bare.ca_file = access.ca_file;
  bare.tls_server_name = access.tls_server_name;
  bare.insecure_skip_tls_verify = access.insecure_skip_tls_verify;
  bare.namespace_ = access.namespace_;
  return bare;
}

Result<ClusterAccess> load_kubeconfig(const std::string& file, const std::string& context) {
  TRY_ASSIGN(std::string text, read_text_file(file));
  TRY_ASSIGN(std::string json_text, schema::yaml_to_json(text));
  TRY_ASSIGN(json::Value config, json::parse(json_text));
  const std::string& wanted = context.empty() ? config.at({"current-context"}).as_string() : context;
  const json::Value* chosen = named(config, "contexts", wanted, "context");
  if (chosen == nullptr) return invalid(file, "context \"" + wanted + "\" does not exist");
  const std::string& cluster_name = chosen->at({"cluster"}).as_string();
  const json::Value* cluster = named(config, "clusters", cluster_name, "cluster");
  if (cluster == nullptr) return invalid(file, "cluster \"" + cluster_name + "\" does not exist");

  ClusterAccess access;
  access.namespace_ = chosen->at({"namespace"}).as_string();
  access.server = cluster->at({"server"}).as_string();
  if (access.server.empty()) return invalid(file, "cluster \"" + cluster_name + "\" has no server");
  TRY(read_data(file, *cluster, "certificate-authority-data", access.ca_pem));
  access.ca_file = resolve(file, cluster->at({"certificate-authority"}).as_string());
  access.tls_server_name = cluster->at({"tls-server-name"}).as_string();
  access.insecure_skip_tls_verify = cluster->at({"insecure-skip-tls-verify"}).as_bool();
  const std::string& user_name = chosen->at({"user"}).as_string();
  if (const json::Value* user = named(config, "users", user_name, "user")) {
    TRY(read_user(file, *user, access));
  } else if (!user_name.empty()) {
    return invalid(file, "user \"" + user_name + "\" does not exist");
  }
  return access;
}

Result<ClusterAccess> in_cluster_access() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0' || *port == '\0')
    return Status::error(
        "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
  std::string folder = kServiceAccountFolder;
  ClusterAccess access;
  bool v6 = std::string_view(host).find(':') != std::string_view::npos;
  access.server = std::string("https://") + (v6 ? "[" : "") + host + (v6 ? "]" : "") + ":" + port;
  access.token_file = folder + "/token";
  access.ca_file = folder + "/ca.crt";
  TRY_ASSIGN(std::string token, read_text_file(access.token_file));
  access.token = trim(token);
  if (auto ns = read_text_file(folder + "/namespace"); ns.ok()) access.namespace_ = trim(*ns);
  return access;
}

std::string write_kubeconfig(const ClusterAccess& access, const std::string& cluster_name, const std::string& user_name) {
  return write_kubeconfig(access, cluster_name, user_name, user_name + "@" + cluster_name);
}

std::string write_kubeconfig(const ClusterAccess& access, const std::string& cluster_name, const std::string& user_name, const std::string& context_name) {
  json::Value cluster = json::Value::object();
  if (!access.ca_pem.empty()) cluster["certificate-authority-data"] = base64_encode(access.ca_pem);
  if (access.ca_pem.empty() && !access.ca_file.empty()) cluster["certificate-authority"] = access.ca_file;
  if (access.insecure_skip_tls_verify) cluster["insecure-skip-tls-verify"] = true;
  cluster["server"] = access.server;
  if (!access.tls_server_name.empty()) cluster["tls-server-name"] = access.tls_server_name;

  json::Value user = json::Value::object();
  auto put = [&user](std::string_view name, const std::string& value) {
    if (!value.empty()) user[name] = value;
  };
  if (access.client_cert_pem.empty()) {
    put("client-certificate", access.client_cert_file);
  } else {
    user["client-certificate-data"] = base64_encode(access.client_cert_pem);
  }
  if (access.client_key_pem.empty()) {
    put("client-key", access.client_key_file);
  } else {
    user["client-key-data"] = base64_encode(access.client_key_pem);
  }
  put("token", access.token);
  put("tokenFile", access.token_file);
  put("username", access.username);
  put("password", access.password);

  json::Value context = json::Value::object();
  context["cluster"] = cluster_name;
  if (!access.namespace_.empty()) context["namespace"] = access.namespace_;
  context["user"] = user_name;

  auto entry = [](std::string_view member, json::Value value, const std::string& name) {
    json::Value one = json::Value::object();
    one[member] = std::move(value);
    one["name"] = name;
    json::Value list = json::Value::array();
    list.push_back(std::move(one));
    return list;
  };
  json::Value config = json::Value::object();
  config["apiVersion"] = "v1";
  config["clusters"] = entry("cluster", std::move(cluster), cluster_name);
  config["contexts"] = entry("context", std::move(context), context_name);
  config["current-context"] = context_name;
  config["kind"] = "Config";
  config["preferences"] = json::Value::object();
  config["users"] = entry("user", std::move(user), user_name);
  std::string text = json::to_string(config);
  auto yaml = schema::json_to_yaml(text);
  return yaml.ok() ? std::move(*yaml) : text;  // JSON is YAML too
}

}  // namespace knarr::client
