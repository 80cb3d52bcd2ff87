// SPDX-License-Identifier: Apache-2.0
#include "cmd/kubelet_configuration.h"

#include "base/files.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::cmd {
namespace {

// Reads members of one JSON object, remembering the first that has the wrong type.
class Reader {
 public:
  explicit Reader(const json::Value& object) : object_(object) {}
  Status status;

  void text(std::string_view name, std::string& out) {
    if (const json::Value* value = member(name, &json::Value::is_string)) out = value->as_string();
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
    if (const json::Value* webhook = inner.object("webhook")) Reader(*webhook).flag("enabled", config.webhook_auth);
  }
  if (const json::Value* authorization = reader.object("authorization")) {
    std::string mode;
    Reader(*authorization).text("mode", mode);
    config.always_allow = mode == "AlwaysAllow";
  }
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
