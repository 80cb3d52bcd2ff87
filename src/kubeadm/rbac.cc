// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/rbac.h"

namespace knarr::kubeadm {
namespace {

constexpr char kGroup[] = "rbac.authorization.k8s.io", kVersion[] = "rbac.authorization.k8s.io/v1";

json::Value list_of(const std::vector<std::string>& texts) {
  json::Value list = json::Value::array();
  for (const std::string& text : texts) list.push_back(text);
  return list;
}

}  // namespace

json::Value make_object(const std::string& api_version, const std::string& kind, const std::string& ns, const std::string& name) {
  json::Value object = json::Value::object();
  object["apiVersion"] = api_version;
  object["kind"] = kind;
  object["metadata"]["name"] = name;
  if (!ns.empty()) object["metadata"]["namespace"] = ns;
  return object;
}

json::Value make_role(const std::string& ns, const std::string& name, const std::vector<std::string>& verbs, const std::vector<std::string>& resources,
                      const std::vector<std::string>& resource_names) {
  json::Value role = make_object(kVersion, ns.empty() ? "ClusterRole" : "Role", ns, name);
  json::Value rule = json::Value::object();
  rule["apiGroups"] = list_of({""});
  if (!resource_names.empty()) rule["resourceNames"] = list_of(resource_names);
  rule["resources"] = list_of(resources);
  rule["verbs"] = list_of(verbs);
  role["rules"].push_back(std::move(rule));
  return role;
}

json::Value make_binding(const std::string& ns, const std::string& name, const std::string& role, const std::vector<Subject>& subjects) {
  json::Value binding = make_object(kVersion, ns.empty() ? "ClusterRoleBinding" : "RoleBinding", ns, name);
  binding["roleRef"]["apiGroup"] = kGroup;
  binding["roleRef"]["kind"] = ns.empty() ? "ClusterRole" : "Role";
  binding["roleRef"]["name"] = role;
  for (const Subject& subject : subjects) {
    json::Value one = json::Value::object();
    one["kind"] = subject.kind;
    one["name"] = subject.name;
    if (!subject.ns.empty()) one["namespace"] = subject.ns;
    binding["subjects"].push_back(std::move(one));
  }
  return binding;
}

}  // namespace knarr::kubeadm
