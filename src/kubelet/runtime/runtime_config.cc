// SPDX-License-Identifier: Apache-2.0
#include "kubelet/runtime/runtime_config.h"

#include <fmt/core.h>

#include <set>

#include "kubelet/qos.h"
#include "kubelet/runtime/pod_record.h"
#include "schema/codec.h"

namespace knarr::kubelet {

namespace {

CriProtocol protocol_of(std::string_view name) {
  if (name == "UDP") return CriProtocol::kUdp;
  if (name == "SCTP") return CriProtocol::kSctp;
  return CriProtocol::kTcp;
}

void add_ports(const core::Container& container, schema::List<cri::PortMapping>& mappings) {
  std::set<std::string> names;
  for (const core::ContainerPort& port : container.ports) {
    std::string_view family = port.host_ip.empty() ? "any" : port.host_ip.view().find(':') == std::string_view::npos ? "v4" : "v6";
    std::string name = port.name.str();
    if (name.empty()) {
      name = fmt::format("{}-{}-{}:{}:{}", family, port.protocol.view(), port.host_ip.view(), port.container_port, port.host_port);
    }
    if (!names.insert(name).second) continue;
    cri::PortMapping mapping;
    mapping.host_ip = port.host_ip;
    mapping.host_port = port.host_port;
    mapping.container_port = port.container_port;
    mapping.protocol = static_cast<int32_t>(protocol_of(port.protocol));
    mappings.push_back(std::move(mapping));
  }
}

// A list of structs as JSON, for annotations.
template <class T>
std::string list_to_json(const schema::List<T>& list) {
  std::string out = "[";
  for (const T& item : list) {
    if (out.size() > 1) out += ',';
    schema::encode_json(out, T::table(), &item);
  }
  return out + "]";
}

schema::Map<schema::Str> container_annotations(const core::Pod& pod, const core::Container& container, int restart_count) {
  schema::Map<schema::Str> annotations;
  annotations[kHashAnnotation] = fmt::format("{:x}", hash_container(container));
  annotations[kRestartCountAnnotation] = std::to_string(restart_count);
  annotations[kMessagePathAnnotation] = container.termination_message_path;
  annotations[kMessagePolicyAnnotation] = container.termination_message_policy;
  if (pod.metadata.deletion_grace_period_seconds) {
    annotations[kDeletionGraceAnnotation] = std::to_string(*pod.metadata.deletion_grace_period_seconds);
  }
  if (pod.spec.termination_grace_period_seconds) {
    annotations[kTerminationGraceAnnotation] = std::to_string(*pod.spec.termination_grace_period_seconds);
  }
  if (container.lifecycle && container.lifecycle->pre_stop) annotations[kPreStopAnnotation] = schema::to_json(*container.lifecycle->pre_stop);
  if (!container.ports.empty()) annotations[kPortsAnnotation] = list_to_json(container.ports);
  return annotations;
}

cri::LinuxContainerResources linux_resources(int64_t cpu_request, bool has_request, int64_t cpu_limit, int64_t memory_limit, bool cfs_quota) {
  cri::LinuxContainerResources made;
  // A limit alone is the request as well.
  made.cpu_shares = milli_cpu_to_shares(!has_request && cpu_limit != 0 ? cpu_limit : cpu_request);
  if (memory_limit != 0) made.memory_limit_in_bytes = memory_limit;
  if (cfs_quota) {
    made.cpu_period = kCpuPeriod;
    made.cpu_quota = milli_cpu_to_quota(cpu_limit);
  }
  return made;
}

// "hugepages-2Mi" as the cgroup calls the size: "2MB".
std::string huge_page_name(std::string_view resource) {
  auto size = schema::QuantityValue::parse(resource.substr(std::string_view("hugepages-").size()));
  if (!size.ok()) return {};
  int64_t bytes = size->value();
  if (bytes >= 1 << 30 && bytes % (1 << 30) == 0) return std::to_string(bytes >> 30) + "GB";
  if (bytes >= 1 << 20 && bytes % (1 << 20) == 0) return std::to_string(bytes >> 20) + "MB";
  return std::to_string(bytes >> 10) + "KB";
}

}  // namespace

std::string pod_log_dir(const Config& config, const core::Pod& pod) {
  return config.pod_logs_dir + "/" + pod.metadata.namespace_.str() + "_" + pod.metadata.name.str() + "_" + pod.metadata.uid.str();
}

cri::PodSandboxConfig make_sandbox_config(const SandboxInputs& inputs) {
  const core::Pod& pod = *inputs.pod;
  cri::PodSandboxConfig config;
  cri::PodSandboxMetadata& metadata = config.metadata.ensure();
  metadata.name = pod.metadata.name;
  metadata.namespace_ = pod.metadata.namespace_;
  metadata.uid = pod.metadata.uid;
  metadata.attempt = inputs.attempt;
  config.labels = pod.metadata.labels;
  config.labels[kPodNameLabel] = pod.metadata.name;
  config.labels[kPodNamespaceLabel] = pod.metadata.namespace_;
  config.labels[kPodUidLabel] = pod.metadata.uid;
  config.annotations = pod.metadata.annotations;
  config.dns_config = inputs.dns;
  config.hostname = inputs.hostname;
  config.log_directory = inputs.log_dir;
  for (const core::Container& container : pod.spec.containers) add_ports(container, config.port_mappings);

  cri::LinuxPodSandboxConfig& linux_config = config.linux_.ensure();
  linux_config.cgroup_parent = inputs.cgroup_parent;
  linux_config.security_context = sandbox_security_context(pod);
  if (pod.spec.security_context) {
    for (const core::Sysctl& sysctl : pod.spec.security_context->sysctls) {
      // runc wants dots; a slash may separate where a name itself holds a dot.
      std::string name = sysctl.name.str();
      if (size_t first = name.find_first_of("./"); first != std::string::npos && name[first] == '/') {
        for (char& c : name) c = c == '/' ? '.' : c == '.' ? '/' : c;
      }
      linux_config.sysctls[name] = sysctl.value;
    }
  }
  ResourceList requests = pod_requests(pod), limits = pod_limits(pod);
  linux_config.resources = linux_resources(milli_value(requests, "cpu"), requests.contains("cpu"), milli_value(limits, "cpu"),
                                           whole_value(limits, "memory"), inputs.cfs_quota);
  linux_config.overhead = linux_resources(milli_value(pod.spec.overhead, "cpu"), pod.spec.overhead.contains("cpu"),
                                          milli_value(pod.spec.overhead, "cpu"), whole_value(pod.spec.overhead, "memory"), inputs.cfs_quota);
  return config;
}

cri::LinuxContainerResources container_resources(const ContainerInputs& inputs) {
  const core::ResourceRequirements& wanted = inputs.container->resources;
  cri::LinuxContainerResources made = linux_resources(milli_value(wanted.requests, "cpu"), wanted.requests.contains("cpu"),
                                                      milli_value(wanted.limits, "cpu"), whole_value(wanted.limits, "memory"), inputs.cfs_quota);
  made.oom_score_adj = oom_score_adj(*inputs.pod, *inputs.container, inputs.memory_capacity);
  for (const auto& entry : wanted.limits) {
    if (entry.key.view().substr(0, 10) != "hugepages-") continue;
    cri::HugepageLimit limit;
    limit.page_size = huge_page_name(entry.key);
    limit.limit = static_cast<uint64_t>(schema::QuantityValue::of(entry.value).value());
    made.hugepage_limits.push_back(std::move(limit));
  }
  // On v2 the kernel is asked to kill the container as a whole when it runs out of memory.
  if (inputs.cgroup_v2) made.unified["memory.oom.group"] = "1";
  // The same limit for memory and for memory with swap: no swap.
  if (inputs.swap_accounting) made.memory_swap_limit_in_bytes = made.memory_limit_in_bytes;
  return made;
}

Result<cri::ContainerConfig> make_container_config(const ContainerInputs& inputs) {
  const core::Pod& pod = *inputs.pod;
  const core::Container& container = *inputs.container;
  TRY(verify_run_as_non_root(pod, container, inputs.image_user));
  cri::ContainerConfig config;
  config.metadata.ensure().name = container.name;
  config.metadata->attempt = static_cast<uint32_t>(inputs.restart_count);
  config.image.ensure().image = inputs.image_ref;
  config.image->user_specified_image = container.image;
  for (const std::string& word : inputs.command) config.command.push_back(word);
  for (const std::string& word : inputs.args) config.args.push_back(word);
  config.working_dir = container.working_dir;
  for (const auto& [name, value] : inputs.env) {
    cri::KeyValue item;
    item.key = name;
    item.value = value;
    config.envs.push_back(std::move(item));
  }
  for (const cri::Mount& mount : inputs.mounts) config.mounts.push_back(mount);
  config.labels[kPodNameLabel] = pod.metadata.name;
  config.labels[kPodNamespaceLabel] = pod.metadata.namespace_;
  config.labels[kPodUidLabel] = pod.metadata.uid;
  config.labels[kContainerNameLabel] = container.name;
  config.annotations = container_annotations(pod, container, inputs.restart_count);
  config.log_path = container.name.str() + "/" + std::to_string(inputs.restart_count) + ".log";
  config.stdin = container.stdin;
  config.stdin_once = container.stdin_once;
  config.tty = container.tty;

  cri::LinuxContainerConfig& linux_config = config.linux_.ensure();
  linux_config.resources = container_resources(inputs);
  TRY_ASSIGN(linux_config.security_context, container_security_context(pod, container, inputs.image_user, inputs.security));
  cri::NamespaceOption& namespaces = linux_config.security_context->namespace_options.ensure();
  if (!inputs.target_id.empty() && namespaces.pid == static_cast<int32_t>(CriNamespace::kContainer)) {
    namespaces.pid = static_cast<int32_t>(CriNamespace::kTarget);
    namespaces.target_id = inputs.target_id;
  }
  return config;
}

}  // namespace knarr::kubelet
