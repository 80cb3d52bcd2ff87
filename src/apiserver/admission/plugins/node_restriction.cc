// SPDX-License-Identifier: Apache-2.0
// NodeRestriction: a kubelet writes its own Node, its own Lease and CSINode, the status of pods bound to it, and no labels that others rely on to
// keep workloads away from it.
#include <algorithm>
#include <set>

#include "api/authentication_v1.h"
#include "api/coordination_v1.h"
#include "api/policy_v1.h"
#include "api/storage_v1.h"
#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/pod_references.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::admission {

namespace {

using Labels = schema::Map<schema::Str>;

constexpr std::string_view kMirror = "kubernetes.io/config.mirror", kLeases = "kube-node-lease";
constexpr std::string_view kKubeletLabels[] = {
    "beta.kubernetes.io/arch",         "beta.kubernetes.io/instance-type",   "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "kubernetes.io/arch",
    "kubernetes.io/hostname",          "kubernetes.io/os",                   "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",   "topology.kubernetes.io/zone"};

std::string_view operation_name(Operation operation) {
  switch (operation) {
    case Operation::kCreate: return "CREATE";
    case Operation::kUpdate: return "UPDATE";
    case Operation::kDelete: return "DELETE";
    case Operation::kConnect: return "CONNECT";
  }
  return "";
}

bool in_domain(std::string_view text, std::string_view domain) {
  return text == domain || (text.size() > domain.size() && text.ends_with(domain) && text[text.size() - domain.size() - 1] == '.');
}

// Labels of Kubernetes' own domains but those that kubelets set, and all of the domain that is kept from them.
bool is_forbidden_label(std::string_view key) {
  size_t slash = key.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view domain = key.substr(0, slash);
  if (in_domain(domain, "node-restriction.kubernetes.io")) return true;
  if (!in_domain(domain, "kubernetes.io") && !in_domain(domain, "k8s.io")) return false;
  bool of_kubelets = std::find(std::begin(kKubeletLabels), std::end(kKubeletLabels), key) != std::end(kKubeletLabels) ||
                     in_domain(domain, "kubelet.kubernetes.io") || in_domain(domain, "node.kubernetes.io");
  return !of_kubelets;
}

// The labels in which two sets differ and that a node may not touch, as a list; "" when there are none.
std::string forbidden_changes(const Labels& now, const Labels& before) {
  std::set<std::string_view> keys;
  auto add = [&](const Labels& from, const Labels& other) {
    for (const auto& [key, value] : from) {
      const schema::Str* same = other.find(key);
      if ((same == nullptr || !(*same == value)) && is_forbidden_label(key)) keys.insert(key);
    }
  };
  add(now, before);
  add(before, now);
  std::string text;
  for (std::string_view key : keys) text.append(text.empty() ? "" : ", ").append(key);
  return text;
}

struct Check {
  Attributes& a;
  std::string node;

  std::string quoted_node() const { return "node " + quoted(node); }
  Status refuse(std::string_view detail) const { return forbid(a, detail); }
  // "node "n" DETAIL"
  Status refuse_node(std::string_view detail) const { return forbid(a, quoted_node() + " " + std::string(detail)); }
  Status unexpected() const { return refuse("unexpected operation " + quoted(operation_name(a.operation))); }
  Result<std::shared_ptr<const core::Pod>> pod(std::string_view name) const {
    auto found = server_of(a).cached<core::Pod>(a.context.namespace_, name);
    if (found == nullptr) return not_found("", "pods", name);
    return found;
  }
};

Status check_owner(const Check& check, const core::Pod& pod) {
  const auto& owners = pod.metadata.owner_references;
  if (owners.size() > 1) return check.refuse_node("can only create pods with a single owner reference set to itself");
  if (owners.empty() || !(owners[0].api_version == "v1") || !(owners[0].kind == "Node") || !(owners[0].name == check.node))
    return check.refuse_node("can only create pods with an owner reference set to itself");
  const auto& owner = owners[0];
  if (!owner.controller.value_or(false)) return check.refuse_node("can only create pods with a controller owner reference set to itself");
  if (owner.block_owner_deletion.value_or(false)) return check.refuse_node("must not set blockOwnerDeletion on an owner reference");
  auto node = server_of(check.a).cached<core::Node>("", check.node);
  if (node == nullptr) return not_found("", "nodes", check.node);
  if (!(owner.uid == node->metadata.uid))
    return check.refuse("node " + check.node + " UID mismatch: expected " + owner.uid.str() + " got " + node->metadata.uid.str());
  return {};
}

Status check_pod_create(const Check& check) {
  const auto* pod = object_as<core::Pod>(check.a);
  if (pod == nullptr) return check.unexpected();
  if (!pod->metadata.annotations.contains(kMirror))
    return check.refuse("pod does not have " + quoted(kMirror) + " annotation, " + check.quoted_node() + " can only create mirror pods");
  if (!(pod->spec.node_name == check.node)) return check.refuse_node("can only create pods with spec.nodeName set to itself");
  TRY(check_owner(check, *pod));
  if (!pod->spec.service_account_name.empty()) return check.refuse_node("can not create pods that reference a service account");
  bool secrets = false, config_maps = false;
  authz::visit_secrets(*pod, [&](std::string_view) { secrets = true; });
  if (secrets) return check.refuse_node("can not create pods that reference secrets");
  authz::visit_config_maps(*pod, [&](std::string_view) { config_maps = true; });
  if (config_maps) return check.refuse_node("can not create pods that reference configmaps");
  for (const auto& volume : pod->spec.volumes)
    if (volume.volume_source.persistent_volume_claim) return check.refuse_node("can not create pods that reference persistentvolumeclaims");
  return {};
}

Status check_pod(const Check& check) {
  if (check.a.operation == Operation::kCreate) return check_pod_create(check);
  if (check.a.operation != Operation::kDelete)
    return check.refuse("unexpected operation " + quoted(operation_name(check.a.operation)) + ", " + check.quoted_node() +
                        " can only create and delete mirror pods");
  TRY_ASSIGN(auto pod, check.pod(check.a.context.name));
  if (!(pod->spec.node_name == check.node)) return check.refuse_node("can only delete pods with spec.nodeName set to itself");
  return {};
}

Status check_pod_status(const Check& check) {
  const auto *pod = object_as<core::Pod>(check.a), *old = old_as<core::Pod>(check.a);
  if (check.a.operation != Operation::kUpdate || pod == nullptr || old == nullptr) return check.unexpected();
  if (!(old->spec.node_name == check.node)) return check.refuse_node("can only update pod status for pods with spec.nodeName set to itself");
  if (!(old->metadata.labels == pod->metadata.labels)) return check.refuse_node("cannot update labels through pod status");
  if (!(old->status.resource_claim_statuses == pod->status.resource_claim_statuses)) return check.refuse_node("cannot update resource claim statues");
  return {};
}

Status check_eviction(const Check& check) {
  const auto* eviction = object_as<api::policy_v1::Eviction>(check.a);
  if (check.a.operation != Operation::kCreate || eviction == nullptr)
    return check.refuse("unexpected operation " + std::string(operation_name(check.a.operation)));
  TRY_ASSIGN(auto pod, check.pod(check.a.context.name.empty() ? eviction->metadata.name.view() : std::string_view(check.a.context.name)));
  if (!(pod->spec.node_name == check.node)) return check.refuse("node " + check.node + " can only evict pods with spec.nodeName set to itself");
  return {};
}

// Without what a node may say about a claim.
core::PersistentVolumeClaim without_sizes(core::PersistentVolumeClaim claim) {
  claim.metadata.resource_version.reset();
  claim.metadata.managed_fields.reset();
  claim.status.capacity.reset();
  claim.status.conditions.reset();
  return claim;
}

Status check_claim(const Check& check) {
  if (check.a.context.subresource != "status") return check.refuse("may only update PVC status");
  const auto *claim = object_as<core::PersistentVolumeClaim>(check.a), *old = old_as<core::PersistentVolumeClaim>(check.a);
  if (check.a.operation != Operation::kUpdate || claim == nullptr || old == nullptr) return check.unexpected();
  if (!(without_sizes(*claim) == without_sizes(*old)))
    return check.refuse_node("is not allowed to update fields other than status.capacity and status.conditions");
  return {};
}

Status check_node(const Check& check) {
  const auto *now = object_as<core::Node>(check.a), *old = old_as<core::Node>(check.a);
  std::string name = check.a.context.name;
  if (name.empty() && now != nullptr) name = now->metadata.name.str();
  if (name != check.node) return check.refuse_node("is not allowed to modify node " + quoted(name));
  if (check.a.operation == Operation::kCreate && now != nullptr) {
    if (now->spec.config_source) return check.refuse_node("is not allowed to create pods with a non-nil configSource");
    std::string labels = forbidden_changes(now->metadata.labels, {});
    if (!labels.empty()) return check.refuse_node("is not allowed to set the following labels: " + labels);
  }
  if (check.a.operation == Operation::kUpdate && now != nullptr && old != nullptr) {
    if (now->spec.config_source && !(now->spec.config_source == old->spec.config_source))
      return check.refuse_node("is not allowed to update configSource to a new non-nil configSource");
    if (!(now->spec.taints == old->spec.taints)) return check.refuse_node("is not allowed to modify taints");
    std::string labels = forbidden_changes(now->metadata.labels, old->metadata.labels);
    if (!labels.empty()) return check.refuse("is not allowed to modify labels: " + labels);
  }
  return {};
}

Status check_token(const Check& check) {
  if (check.a.operation != Operation::kCreate || check.a.context.subresource != "token") return {};
  const auto* request = object_as<api::authentication_v1::TokenRequest>(check.a);
  if (request == nullptr) return check.unexpected();
  const auto& bound = request->spec.bound_object_ref;
  if (!bound || !(bound->api_version == "v1") || !(bound->kind == "Pod") || bound->name.empty())
    return check.refuse("node requested token not bound to a pod");
  if (bound->uid.empty()) return check.refuse("node requested token with a pod binding without a uid");
  TRY_ASSIGN(auto pod, check.pod(bound->name));
  if (!(bound->uid == pod->metadata.uid))
    return check.refuse("the UID in the bound object reference (" + bound->uid.str() +
                        ") does not match the UID in record. The object might have been deleted and then recreated");
  if (!(pod->spec.node_name == check.node)) return check.refuse("node requested token bound to a pod scheduled on a different node");
  return {};
}

// Objects that are called as their node.
Status check_own(const Check& check, std::string_view created_name, std::string_view what) {
  std::string_view name = check.a.operation == Operation::kCreate ? created_name : std::string_view(check.a.context.name);
  return name == check.node ? Status() : check.refuse("can only access " + std::string(what) + " with the same name as the requesting node");
}

Status check_lease(const Check& check) {
  if (check.a.context.namespace_ != kLeases) return check.refuse("can only access leases in the " + quoted(kLeases) + " system namespace");
  const auto* lease = object_as<api::coordination_v1::Lease>(check.a);
  return check_own(check, lease == nullptr ? std::string_view() : lease->metadata.name.view(), "node lease");
}

Status check_csi_node(const Check& check) {
  const auto* csi_node = object_as<api::storage_v1::CSINode>(check.a);
  return check_own(check, csi_node == nullptr ? std::string_view() : csi_node->metadata.name.view(), "CSINode");
}

Status check_all(Attributes& a) {
  auto node = authz::node_of(a.context.user);
  if (!node.has_value() || a.operation == Operation::kConnect) return {};
  Check check{a, std::string(*node)};
  if (check.node.empty()) return check.refuse("could not determine node from user " + quoted(a.context.user.name));
  std::string_view group = a.context.resource.group, plural = a.context.resource.plural, subresource = a.context.subresource;
  if (group.empty() && plural == "pods") {
    if (subresource.empty()) return check_pod(check);
    if (subresource == "status") return check_pod_status(check);
    if (subresource == "eviction") return check_eviction(check);
    return check.refuse("unexpected pod subresource " + quoted(subresource) + ", only 'status' and 'eviction' are allowed");
  }
  if (group.empty() && plural == "nodes") return check_node(check);
  if (group.empty() && plural == "persistentvolumeclaims") return check_claim(check);
  if (group.empty() && plural == "serviceaccounts") return check_token(check);
  if (group == "coordination.k8s.io" && plural == "leases") return check_lease(check);
  if (group == "storage.k8s.io" && plural == "csinodes") return check_csi_node(check);
  return {};
}

Task<Status> mutate(Attributes& a) { co_return check_all(a); }

}  // namespace

Plugin node_restriction() { return {"NodeRestriction", false, &mutate, nullptr}; }

}  // namespace knarr::apiserver::admission
