// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/addons.h"

#include "kubeadm/component_configs.h"
#include "kubeadm/constants.h"
#include "kubeadm/manifests.h"
#include "kubeadm/rbac.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

constexpr char kSystem[] = "kube-system";

constexpr char kDnsService[] = R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"kube-dns","namespace":"kube-system",
"labels":{"k8s-app":"kube-dns","kubernetes.io/cluster-service":"true","kubernetes.io/name":"CoreDNS"},
"annotations":{"prometheus.io/port":"9153","prometheus.io/scrape":"true"},"resourceVersion":"0"},
"spec":{"ports":[{"name":"dns","port":53,"protocol":"UDP","targetPort":53},{"name":"dns-tcp","port":53,"protocol":"TCP","targetPort":53},
{"name":"metrics","port":9153,"protocol":"TCP","targetPort":9153}],"selector":{"k8s-app":"kube-dns"}}})";

constexpr char kDnsDeployment[] = R"({"apiVersion":"apps/v1","kind":"Deployment",
"metadata":{"name":"coredns","namespace":"kube-system","labels":{"k8s-app":"kube-dns"}},
"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1}},"selector":{"matchLabels":{"k8s-app":"kube-dns"}},
"template":{"metadata":{"labels":{"k8s-app":"kube-dns"}},"spec":{
"priorityClassName":"system-cluster-critical","serviceAccountName":"coredns",
"affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"podAffinityTerm":{
"labelSelector":{"matchExpressions":[{"key":"k8s-app","operator":"In","values":["kube-dns"]}]},"topologyKey":"kubernetes.io/hostname"}}]}},
"tolerations":[{"key":"CriticalAddonsOnly","operator":"Exists"},{"key":"node-role.kubernetes.io/control-plane","effect":"NoSchedule"}],
"nodeSelector":{"kubernetes.io/os":"linux"},
"containers":[{"name":"coredns","imagePullPolicy":"IfNotPresent",
"resources":{"limits":{"memory":"170Mi"},"requests":{"cpu":"100m","memory":"70Mi"}},"args":["-conf","/etc/coredns/Corefile"],
"volumeMounts":[{"name":"config-volume","mountPath":"/etc/coredns","readOnly":true}],
"ports":[{"containerPort":53,"name":"dns","protocol":"UDP"},{"containerPort":53,"name":"dns-tcp","protocol":"TCP"},
{"containerPort":9153,"name":"metrics","protocol":"TCP"}],
"livenessProbe":{"httpGet":{"path":"/health","port":8080,"scheme":"HTTP"},"initialDelaySeconds":60,"timeoutSeconds":5,"successThreshold":1,
"failureThreshold":5},"readinessProbe":{"httpGet":{"path":"/ready","port":8181,"scheme":"HTTP"}},
"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"add":["NET_BIND_SERVICE"],"drop":["all"]},"readOnlyRootFilesystem":true}}],
"dnsPolicy":"Default","volumes":[{"name":"config-volume","configMap":{"name":"coredns","items":[{"key":"Corefile","path":"Corefile"}]}}]}}}})";

constexpr char kDnsRole[] = R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:coredns"},
"rules":[{"apiGroups":[""],"resources":["endpoints","services","pods","namespaces"],"verbs":["list","watch"]},
{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list","watch"]}]})";

constexpr char kProxyDaemonSet[] = R"json({"apiVersion":"apps/v1","kind":"DaemonSet",
"metadata":{"labels":{"k8s-app":"kube-proxy"},"name":"kube-proxy","namespace":"kube-system"},
"spec":{"selector":{"matchLabels":{"k8s-app":"kube-proxy"}},"updateStrategy":{"type":"RollingUpdate"},
"template":{"metadata":{"labels":{"k8s-app":"kube-proxy"}},"spec":{"priorityClassName":"system-node-critical",
"containers":[{"name":"kube-proxy","imagePullPolicy":"IfNotPresent",
"command":["/usr/local/bin/kube-proxy","--config=/var/lib/kube-proxy/config.conf","--hostname-override=$(NODE_NAME)"],
"securityContext":{"privileged":true},
"volumeMounts":[{"mountPath":"/var/lib/kube-proxy","name":"kube-proxy"},{"mountPath":"/run/xtables.lock","name":"xtables-lock"},
{"mountPath":"/lib/modules","name":"lib-modules","readOnly":true}],
"env":[{"name":"NODE_NAME","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}],
"hostNetwork":true,"serviceAccountName":"kube-proxy","volumes":[{"name":"kube-proxy","configMap":{"name":"kube-proxy"}},
{"name":"xtables-lock","hostPath":{"path":"/run/xtables.lock","type":"FileOrCreate"}},{"name":"lib-modules","hostPath":{"path":"/lib/modules"}}],
"tolerations":[{"operator":"Exists"}],"nodeSelector":{"kubernetes.io/os":"linux"}}}}})json";

constexpr char kCorefile[] = R"(.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes DOMAIN in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
)";

constexpr char kProxyKubeconfig[] = R"(apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    server: SERVER
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token)";

constexpr int kDefaultReplicas = 2;

json::Value& container_of(json::Value& workload) { return workload["spec"]["template"]["spec"]["containers"].items()[0]; }

// Replicas and Corefile of what is deployed already.
struct DeployedDns {
  int replicas = kDefaultReplicas;
  bool has_config = false;
};
Result<DeployedDns> deployed_dns(Api& api) {
  DeployedDns found;
  auto deployments = api.get("/apis/apps/v1/namespaces/kube-system/deployments?labelSelector=k8s-app%3Dkube-dns");
  if (!deployments.ok()) return deployments.status().with_context("couldn't retrieve DNS addon deployments");
  const auto& items = deployments->at({"items"}).items();
  if (items.size() > 1) return Status::error("multiple DNS addon deployments found: " + json::to_string(deployments->at({"items"})));
  if (items.size() == 1) found.replicas = static_cast<int>(items[0].at({"spec", "replicas"}).as_int());
  found.has_config = api.get("/api/v1/namespaces/kube-system/configmaps/coredns").ok();
  return found;
}

}  // namespace

Result<std::vector<json::Value>> dns_objects(const ClusterConfiguration& config, int replicas) {
  TRY_ASSIGN(std::string service_ip, dns_service_ip(config.service_subnet));
  json::Value config_map = make_object("v1", "ConfigMap", kSystem, "coredns");
  config_map["data"]["Corefile"] = replace_all(kCorefile, "DOMAIN", config.dns_domain);
  json::Value deployment = *json::parse(kDnsDeployment);
  deployment["spec"]["replicas"] = replicas;
  container_of(deployment)["image"] = dns_image(config);
  json::Value service = *json::parse(kDnsService);
  service["spec"]["clusterIP"] = service_ip;
  std::vector<json::Value> objects;
  objects.push_back(std::move(config_map));
  objects.push_back(*json::parse(kDnsRole));
  objects.push_back(make_binding("", "system:coredns", "system:coredns", {{"ServiceAccount", "coredns", kSystem}}));
  objects.push_back(make_object("v1", "ServiceAccount", kSystem, "coredns"));
  objects.push_back(std::move(deployment));
  objects.push_back(std::move(service));
  return objects;
}

std::vector<json::Value> proxy_objects(const Host& host, const ClusterConfiguration& config, const ApiEndpoint& local) {
  json::Value config_map = make_object("v1", "ConfigMap", kSystem, "kube-proxy");
  config_map["metadata"]["labels"]["app"] = "kube-proxy";
  config_map["data"]["kubeconfig.conf"] = replace_all(kProxyKubeconfig, "SERVER", control_plane_url(config.control_plane_endpoint, local));
  std::string yaml = to_yaml(config.proxy.document);
  while (!yaml.empty() && yaml.back() == '\n') yaml.pop_back();
  config_map["data"]["config.conf"] = yaml;
  if (!config.proxy.user_supplied) config_map["metadata"]["annotations"][kConfigHashAnnotation] = config_map_checksum(config_map);
  json::Value daemon_set = *json::parse(kProxyDaemonSet);
  json::Value& container = container_of(daemon_set);
  container["image"] = component_image(config, "kube-proxy");
  for (const auto& [name, value] : proxy_environment(host)) {
    json::Value one = json::Value::object();
    one["name"] = name;
    one["value"] = value;
    container["env"].push_back(std::move(one));
  }
  std::vector<json::Value> objects;
  objects.push_back(std::move(config_map));
  objects.push_back(std::move(daemon_set));
  objects.push_back(make_object("v1", "ServiceAccount", kSystem, "kube-proxy"));
  objects.push_back(make_binding("", "kubeadm:node-proxier", "system:node-proxier", {{"ServiceAccount", "kube-proxy", kSystem}}));
  objects.push_back(make_role(kSystem, "kube-proxy", {"get"}, {"configmaps"}, {"kube-proxy"}));
  objects.push_back(make_binding(kSystem, "kube-proxy", "kube-proxy", {{"Group", kBootstrapGroup, ""}}));
  return objects;
}

Status apply_dns(Host& host, Api& api, const ClusterConfiguration& config) {
  TRY_ASSIGN(DeployedDns deployed, deployed_dns(api));
  TRY_ASSIGN(std::vector<json::Value> objects, dns_objects(config, deployed.replicas));
  for (const json::Value& object : objects) {
    const std::string& kind = object.at({"kind"}).as_string();
    if (kind == "ConfigMap" && deployed.has_config) continue;
    if (kind != "Service") {
      TRY(create_or_update(api, object, kind));
      continue;
    }
    // An address that is taken answers Invalid; the Service with that address may be this one.
    Status created = api.post(collection_path(object), object).status();
    if (created.ok()) continue;
    if (!created.is("AlreadyExists") && !created.is("Invalid")) return created.with_context("unable to create a new DNS service");
    TRY(api.put(object_path(object), object).status().with_context("unable to create/update the DNS service"));
  }
  host.print("[addons] Applied essential addon: CoreDNS\n");
  return {};
}

Status apply_proxy(Host& host, Api& api, const ClusterConfiguration& config, const ApiEndpoint& local) {
  for (const json::Value& object : proxy_objects(host, config, local)) TRY(create_or_update_patiently(host, api, object, object.at({"kind"}).as_string()));
  host.print("[addons] Applied essential addon: kube-proxy\n");
  return {};
}

}  // namespace knarr::kubeadm
