// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle: nothing is made in a namespace that is absent or going away, and some
// namespaces stay.
#include "apiserver/admission/plugins/plugins.h"

namespace knarr::apiserver::admission {

namespace {

Status check(const Attributes& a) {
  bool is_namespace = a.context.resource.group.empty() && a.context.resource.plural == "namespaces";
  const std::string& ns = a.context.namespace_;
  if (is_namespace) {
    const std::string& name = a.context.name;
    bool immortal = name == "default" || name == "kube-system" || name == "kube-public";
    if (a.operation == Operation::kDelete && immortal)
      return forbidden("", "namespaces", name, "this namespace may not be deleted");
    return {};
  }
  if (ns.empty() || a.operation == Operation::kDelete || a.operation == Operation::kConnect)
    return {};
  // Whether one may do something can be asked of any namespace.
  if (a.context.resource.group == "authorization.k8s.io" &&
      a.context.resource.plural == "localsubjectaccessreviews")
    return {};
  auto found = server_of(a).cached<core::Namespace>("", ns);
  if (found == nullptr) return not_found("", "namespaces", ns);
  if (a.operation != Operation::kCreate || !(found->status.phase == "Terminating")) return {};
  Status status = forbid(
      a, "unable to create new content in namespace " + ns + " because it is being terminated");
  return status.with_cause(
      {"NamespaceTerminating", "namespace " + ns + " is being terminated", "metadata.namespace"});
}

Task<Status> mutate(Attributes& attributes) { co_return check(attributes); }

}  // namespace

Plugin namespace_lifecycle() { return {"NamespaceLifecycle", true, &mutate, nullptr}; }

}  // namespace knarr::apiserver::admission
