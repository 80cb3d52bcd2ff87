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
    if (const json::Value* webhook = inner.object("webhook")) ConfigurationReader(*webhook).flag("enabled", config.webhook_auth);
  }
  if (const json::Value* authorization = reader.object("authorization")) {
    std::string mode;
    ConfigurationReader(*authorization).text("mode", mode);
    config.always_allow = mode == "AlwaysAllow";
  }
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
  reader.text_map("systemReserved", config.system_reserved);
  reader.text_map("kubeReserved", config.kube_reserved);
  return reader.status.with_context(file);
}

}  // namespace knarr::cmd
