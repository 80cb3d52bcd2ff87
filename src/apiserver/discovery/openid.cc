// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/openid.h"

#include <algorithm>

#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "base/files.h"
#include "pki/jwt.h"
#include "schema/json.h"

namespace knarr::apiserver::discovery {
namespace {

// The public keys of service account tokens, as a JSON Web Key Set. Read at each request: it is rare, and the file may change.
Result<std::string> key_set(const Options& options) {
  const std::string& file = options.service_account_key_file.empty() ? options.service_account_signing_key_file : options.service_account_key_file;
  // Upstream does not serve these paths when the issuer is no https URL or there are no keys.
  if (file.empty() || !options.service_account_issuer.starts_with("https://")) return generic_not_found();
  TRY_ASSIGN(std::string pem, read_file(file));
  return pki::json_web_key_set(pem);
}

std::string keys_url(const Options& options) {
  if (!options.advertise_address.empty()) {
    bool v6 = options.advertise_address.find(':') != std::string::npos;
    return "https://" + (v6 ? "[" + options.advertise_address + "]" : options.advertise_address) + ":" + std::to_string(options.secure_port) +
           "/openid/v1/jwks";
  }
  std::string issuer = options.service_account_issuer;
  while (issuer.ends_with('/')) issuer.pop_back();
  return issuer + "/openid/v1/jwks";
}

Task<Status> respond_public(RequestContext& context, std::string_view content_type, std::string text) {
  net::Headers headers = response_headers(context);
  headers.set("Cache-Control", "public, max-age=3600");
  headers.set("Content-Type", content_type);
  Body body{std::string_view(text)};
  Status status = co_await context.writer.respond(200, std::move(headers), std::move(body));
  co_return status;
}

}  // namespace

Task<Status> serve_openid_configuration(RequestContext& context) {
  const Options& options = context.server.options();
  CO_TRY_ASSIGN(std::string keys, key_set(options));
  CO_TRY_ASSIGN(json::Value set, json::parse(keys));
  std::vector<std::string> algorithms;
  for (const json::Value& key : set.at({"keys"}).items()) algorithms.push_back(key.at({"alg"}).as_string());
  std::sort(algorithms.begin(), algorithms.end());
  algorithms.erase(std::unique(algorithms.begin(), algorithms.end()), algorithms.end());
  json::Value document = json::Value::object();
  document["issuer"] = options.service_account_issuer;
  document["jwks_uri"] = keys_url(options);
  document["response_types_supported"].push_back("id_token");
  document["subject_types_supported"].push_back("public");
  json::Value& listed = document["id_token_signing_alg_values_supported"] = json::Value::array();
  for (const std::string& algorithm : algorithms) listed.push_back(algorithm);
  std::string text = json::to_string(document);
  Status status = co_await respond_public(context, "application/json", std::move(text));
  co_return status;
}

Task<Status> serve_json_web_keys(RequestContext& context) {
  CO_TRY_ASSIGN(std::string keys, key_set(context.server.options()));
  Status status = co_await respond_public(context, "application/jwk-set+json", std::move(keys));
  co_return status;
}

}  // namespace knarr::apiserver::discovery
