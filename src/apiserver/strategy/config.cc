// SPDX-License-Identifier: Apache-2.0
// Strategies of configmaps, secrets and serviceaccounts.
#include "api/core_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"
#include "schema/json.h"

namespace knarr::apiserver {

namespace {

namespace core = api::core_v1;

constexpr size_t kMaxDataBytes = 1 << 20;
constexpr std::string_view kImmutableWhenSet = "field is immutable when `immutable` is set";

// Go tells nil maps from empty ones where we compare contents; only contents matter to clients.
template <class T>
void validate_frozen(const T& now, const T& before, FieldErrors& errors) {
  if (!before.immutable.value_or(false)) return;
  if (!now.immutable.value_or(false)) errors.forbidden(Path("immutable"), kImmutableWhenSet);
  if (!(now.data == before.data)) errors.forbidden(Path("data"), kImmutableWhenSet);
}

// ---- ConfigMap
// --------------------------------------------------------------------------------------------------------------

void validate_config_map(const core::ConfigMap& config, FieldErrors& errors) {
  size_t total = 0;
  for (const auto& [key, value] : config.data) {
    Path path = Path("data").key(key);
    invalid_each(path, key, check_config_map_key(key), errors);
    if (config.binary_data.contains(key))
      errors.invalid(path, quoted(key), "duplicate of key present in binaryData");
    total += value.size();
  }
  for (const auto& [key, value] : config.binary_data) {
    invalid_each(Path("binaryData").key(key), key, check_config_map_key(key), errors);
    total += value.size();
  }
  if (total > kMaxDataBytes) errors.too_long(Path(), "", kMaxDataBytes);
}

void validate_config_map_update(const core::ConfigMap& now, const core::ConfigMap& before,
                                FieldErrors& errors) {
  validate_frozen(now, before, errors);
  if (before.immutable.value_or(false) && !(now.binary_data == before.binary_data))
    errors.forbidden(Path("binaryData"), kImmutableWhenSet);
  validate_config_map(now, errors);
}

// ---- Secret
// -----------------------------------------------------------------------------------------------------------------

void default_secret(core::Secret& secret) {
  apply_table_defaults(secret);
  // stringData is only ever written: it goes into data.
  for (auto& [key, value] : secret.string_data) secret.data[key].assign(value, true);
  secret.string_data.reset();
}

void prepare_secret_update(WriteContext&, core::Secret& secret, const core::Secret& old) {
  if (secret.type.empty()) secret.type = old.type;
}

void validate_docker_config(const core::Secret& secret, std::string_view key, FieldErrors& errors) {
  Path path = Path("data").key(key);
  const Str* bytes = secret.data.find(key);
  if (bytes == nullptr) return errors.required(path);
  auto parsed = json::parse(*bytes);
  if (!parsed.ok()) {
    errors.invalid(path, "\"<secret contents redacted>\"",
                   bytes->empty() ? "unexpected end of JSON input" : parsed.status().message());
  } else if (!parsed->is_object() && !parsed->is_null()) {
    errors.invalid(path, "\"<secret contents redacted>\"",
                   "json: cannot unmarshal value into Go value of type map[string]interface {}");
  }
}

void validate_secret(const core::Secret& secret, FieldErrors& errors) {
  Path data("data");
  size_t total = 0;
  for (const auto& [key, value] : secret.data) {
    invalid_each(data.key(key), key, check_config_map_key(key), errors);
    total += value.size();
  }
  if (total > kMaxDataBytes) errors.too_long(data, "", kMaxDataBytes);
  auto need = [&](std::string_view key) {
    if (!secret.data.contains(key)) errors.required(data.key(key));
  };
  std::string_view type = secret.type;
  if (type == "kubernetes.io/service-account-token") {
    if (get_or_empty(secret.metadata.annotations, "kubernetes.io/service-account.name").empty())
      errors.required((Path("metadata") / "annotations").key("kubernetes.io/service-account.name"));
  } else if (type == "kubernetes.io/dockercfg") {
    validate_docker_config(secret, ".dockercfg", errors);
  } else if (type == "kubernetes.io/dockerconfigjson") {
    validate_docker_config(secret, ".dockerconfigjson", errors);
  } else if (type == "kubernetes.io/basic-auth") {
    if (!secret.data.contains("username") && !secret.data.contains("password")) {
      need("username");
      need("password");
    }
  } else if (type == "kubernetes.io/ssh-auth") {
    if (get_or_empty(secret.data, "ssh-privatekey").empty())
      errors.required(data.key("ssh-privatekey"));
  } else if (type == "kubernetes.io/tls") {
    need("tls.crt");
    need("tls.key");
  }
}

void validate_secret_update(const core::Secret& now, const core::Secret& before,
                            FieldErrors& errors) {
  validate_immutable(now.type, before.type, quoted(now.type), Path("type"), errors);
  validate_frozen(now, before, errors);
  validate_secret(now, errors);
}

// ---- ServiceAccount
// -----------------------------------------------------------------------------------------------------------

// Only names of secrets are kept.
void clean_references(core::ServiceAccount& account) {
  for (core::ObjectReference& secret : account.secrets) {
    core::ObjectReference name;
    name.name = secret.name;
    secret = std::move(name);
  }
}
void prepare_account(WriteContext&, core::ServiceAccount& account) { clean_references(account); }
void prepare_account_update(WriteContext&, core::ServiceAccount& account,
                            const core::ServiceAccount&) {
  clean_references(account);
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "configmaps",
     .validate = erase_validate<&validate_config_map>,
     .validate_update = erase_validate_update<&validate_config_map_update>},
    {.group = "",
     .plural = "secrets",
     .defaults = erase_defaults<&default_secret>,
     .prepare_update = erase_update<&prepare_secret_update>,
     .validate = erase_validate<&validate_secret>,
     .validate_update = erase_validate_update<&validate_secret_update>},
    {.group = "",
     .plural = "serviceaccounts",
     .prepare_create = erase_create<&prepare_account>,
     .prepare_update = erase_update<&prepare_account_update>,
     .returns_deleted_object = true},
};

}  // namespace

std::span<const Strategy> config_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
