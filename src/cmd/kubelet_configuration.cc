// SPDX-License-Identifier: Apache-2.0
#include "cmd/kubelet_configuration.h"

#include "base/files.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::cmd {
namespace {

// Reads members of one JSON object, remembering the first that has the wrong type.
class Reader {
 public:
  explicit Reader(const json::Value& object) : object_(object) {}
  Status status;

  // Empty texts, like zero durations, ask for the default.
  void text(std::string_view name, std::string& out) {
    const json::Value* value = member(name, &json::Value::is_string);
    if (value != nullptr && !value->as_string().empty()) out = value->as_string();
  }
  void bytes(std::string_view name, int64_t& out) {
    std::string given;
    text(name, given);
    if (given.empty()) return;
    auto quantity = schema::QuantityValue::parse(given);
    if (!quantity.ok()) return fail(name, quantity.status().message());
    out = quantity->value();
  }
  void flag(std::string_view name, bool& out) {
    if (const json::Value* value = member(name, &json::Value::is_bool)) out = value->as_bool();
  }
  template <class Number>
  void number(std::string_view name, Number& out) {
    if (const json::Value* value = member(name, &json::Value::is_number)) out = static_cast<Number>(value->as_int());
  }
  void duration(std::string_view name, Duration& out) {
    std::string given;
    text(name, given);
    if (given.empty()) return;
    Result<int64_t> nanos = schema::parse_duration(given);
    if (!nanos.ok()) return fail(name, nanos.status().message());
    if (*nanos > 0) out = Duration(*nanos);
  }
  void texts(std::string_view name, std::vector<std::string>& out) {
    const json::Value* value = member(name, &json::Value::is_array);
    if (value == nullptr) return;
    out.clear();
    for (const json::Value& item : value->items()) out.push_back(item.as_string());
  }
  void text_map(std::string_view name, std::map<std::string, std::string>& out) {
    const json::Value* value = member(name, &json::Value::is_object);
    if (value == nullptr) return;
    out.clear();
    for (const auto& [key, item] : value->members()) out[std::string(key)] = item.as_string();
  }
  const json::Value* array(std::string_view name) { return member(name, &json::Value::is_array); }
  const json::Value* object(std::string_view name) { return member(name, &json::Value::is_object); }

 private:
  const json::Value* member(std::string_view name, bool (json::Value::*is)() const) {
    const json::Value* value = object_.find(name);
    if (value == nullptr || value->is_null()) return nullptr;
    if ((value->*is)()) return value;
    fail(name, "has the wrong type");
    return nullptr;
  }
  void fail(std::string_view name, std::string_view why) {
    if (status.ok()) status = Status::error(std::string(name) + ": " + std::string(why));
  }
  const json::Value& object_;
};

void read_authentication(Reader& reader, kubelet::Config& config) {
  if (const json::Value* authentication = reader.object("authentication")) {
    Reader inner(*authentication);
    if (const json::Value* x509 = inner.object("x509")) Reader(*x509).text("clientCAFile", config.client_ca_file);
    if (const json::Value* anonymous = inner.object("anonymous")) Reader(*anonymous).flag("enabled", config.anonymous_auth);
    if (const json::Value* webhook = inner.object("webhook")) {
      Reader(*webhook).flag("enabled", config.webhook_auth);
      Reader(*webhook).duration("cacheTTL", config.token_ttl);
    }
  }
  if (const json::Value* authorization = reader.object("authorization")) {
    std::string mode;
    Reader(*authorization).text("mode", mode);
    config.always_allow = mode == "AlwaysAllow";
    if (const json::Value* webhook = Reader(*authorization).object("webhook")) {
      Reader(*webhook).duration("cacheAuthorizedTTL", config.authorized_ttl);
      Reader(*webhook).duration("cacheUnauthorizedTTL", config.unauthorized_ttl);
    }
  }
}

// [{key, value, effect}] as the flag writes them: key=value:effect.
void read_taints(Reader& reader, kubelet::Config& config) {
  const json::Value* taints = reader.array("registerWithTaints");
  if (taints == nullptr) return;
  config.register_with_taints.clear();
  for (const json::Value& taint : taints->items())
    config.register_with_taints.push_back(taint.at({"key"}).as_string() + "=" + taint.at({"value"}).as_string() + ":" + taint.at({"effect"}).as_string());
}

}  // namespace

Status apply_kubelet_configuration(const std::string& file, kubelet::Config& config) {
  TRY_ASSIGN(std::string yaml, read_file(file));
  Result<std::string> as_json = schema::yaml_to_json(yaml);
  if (!as_json.ok()) return as_json.status().with_context(file);
  TRY_ASSIGN(json::Value document, json::parse(*as_json));
  if (document.at({"kind"}).as_string() != "KubeletConfiguration") return Status::error(file + ": kind must be KubeletConfiguration");
  Reader reader(document);
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
