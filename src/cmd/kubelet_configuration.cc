// SPDX-License-Identifier: Apache-2.0
#include "cmd/kubelet_configuration.h"

#include "cmd/configuration_reader.h"

namespace knarr::cmd {
namespace {

void read_authentication(ConfigurationReader& reader, kubelet::Config& config) {
  if (const json::Value* authentication = reader.object("authentication")) {
    ConfigurationReader inner(*authentication);
    if (const json::Value* x509 = inner.object("x509")) ConfigurationReader(*x509).text("clientCAFile", config.client_ca_file);
    if (const json::Value* anonymous = inner.object("anonymous")) ConfigurationReader(*anonymous).flag("enabled", config.anonymous_auth);
    if (const json::Value* webhook = inner.object("webhook")) {
      ConfigurationReader(*webhook).flag("enabled", config.webhook_auth);
      ConfigurationReader(*webhook).duration("cacheTTL", config.token_ttl);
    }
  }
  if (const json::Value* authorization = reader.object("authorization")) {
    std::string mode;
    ConfigurationReader(*authorization).text("mode", mode);
    config.always_allow = mode == "AlwaysAllow";
    if (const json::Value* webhook = ConfigurationReader(*authorization).object("webhook")) {
      ConfigurationReader(*webhook).duration("cacheAuthorizedTTL", config.authorized_ttl);
      ConfigurationReader(*webhook).duration("cacheUnauthorizedTTL", config.unauthorized_ttl);
    }
  }
}

// [{key, value, effect}] as the flag writes them: key=value:effect.
void read_taints(ConfigurationReader& reader, kubelet::Config& config) {
  const json::Value* taints = reader.array("registerWithTaints");
  if (taints == nullptr) return;
  config.register_with_taints.clear();
  for (const json::Value& taint : taints->items())
    config.register_with_taints.push_back(taint.at({"key"}).as_string() + "=" + taint.at({"value"}).as_string() + ":" + taint.at({"effect"}).as_string());
}

}  // namespace

Status apply_kubelet_configuration(const std::string& file, kubelet::Config& config) {
  TRY_ASSIGN(json::Value document, read_configuration(file, "KubeletConfiguration"));
  ConfigurationReader reader(document);
  read_authentication(reader, config);
  reader.text("address", config.address);
  reader.number("port", config.port);
  reader.text("tlsCertFile", config.tls_cert_file);
  reader.text("tlsPrivateKeyFile", config.tls_key_file);
  reader.flag("rotateCertificates", config.rotate_certificates);
  reader.flag("serverTLSBootstrap", config.server_tls_bootstrap);
  reader.text("healthzBindAddress", config.healthz_address);
  reader.number("healthzPort", config.healthz_port);
  reader.number("readOnlyPort", config.read_only_port);
  reader.bytes("containerLogMaxSize", config.container_log_max_size);
  reader.number("containerLogMaxFiles", config.container_log_max_files);
  read_taints(reader, config);
  reader.text("cgroupDriver", config.cgroup_driver);
  reader.text("cgroupRoot", config.cgroup_root);
  reader.flag("cgroupsPerQOS", config.cgroups_per_qos);
  reader.flag("cpuCFSQuota", config.cpu_cfs_quota);
  reader.number("podPidsLimit", config.pod_pids_limit);
  reader.number("maxPods", config.max_pods);
  reader.texts("clusterDNS", config.cluster_dns);
  reader.text("clusterDomain", config.cluster_domain);
  reader.text("resolvConf", config.resolv_conf);
  reader.text("containerRuntimeEndpoint", config.container_runtime_endpoint);
  reader.text("staticPodPath", config.pod_manifest_path);
  reader.duration("fileCheckFrequency", config.file_check_frequency);
  reader.duration("nodeStatusUpdateFrequency", config.node_status_update_frequency);
  reader.duration("nodeStatusReportFrequency", config.node_status_report_frequency);
  reader.number("nodeLeaseDurationSeconds", config.node_lease_duration_seconds);
  reader.flag("failSwapOn", config.fail_swap_on);
  reader.flag("registerNode", config.register_node);
  reader.flag("serializeImagePulls", config.serialize_image_pulls);
  reader.flag("seccompDefault", config.seccomp_default);
  reader.texts("allowedUnsafeSysctls", config.allowed_unsafe_sysctls);
  reader.text_map("evictionHard", config.eviction_hard);
  reader.text_map("evictionSoft", config.eviction_soft);
  reader.text_map("evictionSoftGracePeriod", config.eviction_soft_grace);
  reader.text_map("evictionMinimumReclaim", config.eviction_min_reclaim);
  reader.duration("evictionPressureTransitionPeriod", config.eviction_transition_period);
  reader.number("evictionMaxPodGracePeriod", config.eviction_max_grace_seconds);
  reader.number("imageGCHighThresholdPercent", config.image_gc_high_percent);
  reader.number("imageGCLowThresholdPercent", config.image_gc_low_percent);
  reader.duration("imageMinimumGCAge", config.image_min_age);
  reader.text_map("systemReserved", config.system_reserved);
  reader.text_map("kubeReserved", config.kube_reserved);
  return reader.status.with_context(file);
}

}  // namespace knarr::cmd
