// SPDX-License-Identifier: Apache-2.0
// ServiceAccount: every pod runs as an account that exists, and gets its token, CA and namespace
// mounted.
#include <set>

#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/registry/metadata.h"

namespace knarr::apiserver::admission {

namespace {

constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
constexpr std::string_view kEnforceMountable = "kubernetes.io/enforce-mountable-secrets";
constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kVolumePrefix = "kube-api-access-";
// A namespace's "default" account appears a moment after the namespace.
constexpr int kDefaultAccountAttempts = 10;
constexpr auto kRetryInterval = std::chrono::milliseconds(150);

Task<std::shared_ptr<const core::ServiceAccount>> find_account(ApiServer& server, std::string ns,
                                                               std::string name) {
  int attempts = name == "default" ? kDefaultAccountAttempts : 1;
  for (int i = 0; i < attempts; ++i) {
    if (i > 0) co_await sleep_for(kRetryInterval);
    auto account = server.cached<core::ServiceAccount>(ns, name);
    if (account != nullptr) co_return account;
  }
  co_return nullptr;
}

Status missing_account(const Attributes& a, const core::Pod& pod) {
  std::string name = pod.spec.service_account_name.str();
  return forbid(a, "error looking up service account " + a.context.namespace_ + "/" + name +
                       ": serviceaccount \"" + name + "\" not found");
}

bool applies(const Attributes& a) {
  return a.operation == Operation::kCreate && is_for(a, "", "pods") && a.object != nullptr &&
         a.type == &core::Pod::table();
}

// ---- the token's volume
// ---------------------------------------------------------------------------------------------------------

core::ProjectedVolumeSource token_source() {
  core::ProjectedVolumeSource source;
  source.default_mode = 420;
  core::ServiceAccountTokenProjection& token =
      source.sources.emplace_back().service_account_token.ensure();
  token.path = "token";
  token.expiration_seconds =
      3607;  // by this odd number the server knows that it may extend the token's life
  core::ConfigMapProjection& ca = source.sources.emplace_back().config_map.ensure();
  ca.local_object_reference.name = "kube-root-ca.crt";
  core::KeyToPath& item = ca.items.emplace_back();
  item.key = "ca.crt";
  item.path = "ca.crt";
  core::DownwardAPIVolumeFile& file =
      source.sources.emplace_back().downward_api.ensure().items.emplace_back();
  file.path = "namespace";
  core::ObjectFieldSelector& field = file.field_ref.ensure();
  field.api_version = "v1";
  field.field_path = "metadata.namespace";
  return source;
}

void mount_token(core::Pod& pod) {
  std::string volume_name;
  for (const core::Volume& volume : pod.spec.volumes)
    if (volume.name.view().starts_with(kVolumePrefix)) {
      volume_name = volume.name.str();
      break;
    }
  bool present = !volume_name.empty(), needed = false;
  if (!present) volume_name = generate_name(kVolumePrefix);
  for (auto* containers : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (core::Container& container : *containers) {
      bool mounted = false;
      for (const core::VolumeMount& mount : container.volume_mounts)
        mounted |= mount.mount_path == kMountPath;
      if (mounted) continue;
      core::VolumeMount& mount = container.volume_mounts.emplace_back();
      mount.name = volume_name;
      mount.read_only = true;
      mount.mount_path = kMountPath;
      needed = true;
    }
  }
  if (present || !needed) return;
  core::Volume& volume = pod.spec.volumes.emplace_back();
  volume.name = volume_name;
  volume.volume_source.projected = token_source();
}

// ---- checks
// -----------------------------------------------------------------------------------------------------------------------

Status check_mirror(const Attributes& a, const core::Pod& pod) {
  if (!pod.spec.service_account_name.empty())
    return forbid(a, "a mirror pod may not reference service accounts");
  bool secrets = !pod.spec.image_pull_secrets.empty(), tokens = false;
  for (const auto* containers : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const core::Container& container : *containers) {
      for (const core::EnvFromSource& source : container.env_from)
        secrets |= source.secret_ref.has_value();
      for (const core::EnvVar& var : container.env)
        secrets |= var.value_from && var.value_from->secret_key_ref;
    }
  }
  for (const core::Volume& volume : pod.spec.volumes) {
    secrets |= volume.volume_source.secret.has_value();
    if (!volume.volume_source.projected) continue;
    for (const core::VolumeProjection& projection : volume.volume_source.projected->sources) {
      secrets |= projection.secret.has_value();
      tokens |= projection.service_account_token.has_value();
    }
  }
  if (secrets) return forbid(a, "a mirror pod may not reference secrets");
  if (tokens) return forbid(a, "a mirror pod may not use ServiceAccountToken volume projections");
  return {};
}

// Accounts may limit which secrets their pods use.
Status check_secrets(const Attributes& a, const core::Pod& pod,
                     const core::ServiceAccount& account) {
  std::string_view enforce = get_or_empty(account.metadata.annotations, kEnforceMountable);
  if (enforce != "true" && enforce != "1" && enforce != "t" && enforce != "T" &&
      enforce != "TRUE" && enforce != "True")
    return {};
  std::set<std::string_view> mountable, pull;
  for (const core::ObjectReference& secret : account.secrets) mountable.insert(secret.name.view());
  for (const core::LocalObjectReference& secret : account.image_pull_secrets)
    pull.insert(secret.name.view());
  std::string owner = account.metadata.name.str();
  std::string tail =
      " is not allowed because service account " + owner + " does not reference that ";
  for (const core::Volume& volume : pod.spec.volumes) {
    const auto& secret = volume.volume_source.secret;
    if (secret && !mountable.contains(secret->secret_name.view()))
      return forbid(a, "volume with secret.secretName=\"" + secret->secret_name.str() + "\"" +
                           tail + "secret");
  }
  auto check = [&](const schema::List<core::Container>& containers,
                   std::string_view kind) -> Status {
    for (const core::Container& container : containers)
      for (const core::EnvVar& var : container.env) {
        if (!var.value_from || !var.value_from->secret_key_ref) continue;
        const schema::Str& name = var.value_from->secret_key_ref->local_object_reference.name;
        if (!mountable.contains(name.view()))
          return forbid(a, std::string(kind) + " " + container.name.str() + " with envVar " +
                               var.name.str() + " referencing secret.secretName=\"" + name.str() +
                               "\"" + tail + "secret");
      }
    return {};
  };
  TRY(check(pod.spec.init_containers, "init container"));
  TRY(check(pod.spec.containers, "container"));
  for (size_t i = 0; i < pod.spec.image_pull_secrets.size(); ++i) {
    const schema::Str& name = pod.spec.image_pull_secrets[i].name;
    if (!pull.contains(name.view()))
      return forbid(a, "imagePullSecrets[" + std::to_string(i) + "].name=\"" + name.str() + "\"" +
                           tail + "imagePullSecret");
  }
  return {};
}

Task<Status> mutate(Attributes& a) {
  if (!applies(a)) co_return Status();
  core::Pod& pod = *object_as<core::Pod>(a);
  if (pod.metadata.annotations.contains(kMirror)) co_return check_mirror(a, pod);
  if (pod.spec.service_account_name.empty()) pod.spec.service_account_name = "default";
  pod.spec.service_account = pod.spec.service_account_name;
  std::string ns = a.context.namespace_, name = pod.spec.service_account_name.str();
  auto account = co_await find_account(server_of(a), ns, name);
  if (account == nullptr) co_return missing_account(a, pod);
  bool automount = pod.spec.automount_service_account_token.value_or(
      account->automount_service_account_token.value_or(true));
  if (automount) mount_token(pod);
  if (pod.spec.image_pull_secrets.empty())
    for (const core::LocalObjectReference& secret : account->image_pull_secrets)
      pod.spec.image_pull_secrets.push_back(secret);
  co_return check_secrets(a, pod, *account);
}

Task<Status> validate(Attributes& a) {
  if (!applies(a)) co_return Status();
  const core::Pod& pod = *object_as<core::Pod>(a);
  if (pod.metadata.annotations.contains(kMirror)) co_return check_mirror(a, pod);
  if (pod.spec.service_account_name.empty())
    co_return forbid(a, "no service account specified for pod " + a.context.namespace_ + "/" +
                            pod.metadata.name.str());
  auto account = server_of(a).cached<core::ServiceAccount>(a.context.namespace_,
                                                           pod.spec.service_account_name);
  if (account == nullptr) co_return missing_account(a, pod);
  co_return check_secrets(a, pod, *account);
}

}  // namespace

Plugin service_account() { return {"ServiceAccount", true, &mutate, &validate}; }

}  // namespace knarr::apiserver::admission
