// SPDX-License-Identifier: Apache-2.0
#include "kubelet/node/node_status.h"

#include <algorithm>

#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::kubelet {

using schema::QuantityValue;

namespace {

schema::Quantity decimal(int64_t value) { return QuantityValue::from_int(value).to_quantity(); }
schema::Quantity binary(int64_t value) { return QuantityValue::from_int(value, QuantityValue::Format::kBinarySI).to_quantity(); }

// "100Mi", or "10%" of `whole`.
int64_t threshold(const std::map<std::string, std::string>& values, const std::string& name, std::string_view fallback, int64_t whole) {
  auto it = values.find(name);
  std::string text = it == values.end() ? std::string(values.empty() ? fallback : "") : it->second;
  if (text.empty()) return 0;
  if (text.back() == '%') return static_cast<int64_t>(static_cast<double>(whole) * std::atof(text.c_str()) / 100.0);
  auto parsed = QuantityValue::parse(text);
  return parsed.ok() ? parsed->value() : 0;
}

void subtract(schema::Map<schema::Quantity>& from, const std::map<std::string, std::string>& reserved) {
  for (const auto& [name, text] : reserved) {
    schema::Quantity* value = from.find(name);
    auto parsed = QuantityValue::parse(text);
    if (value == nullptr || !parsed.ok()) continue;
    QuantityValue left = QuantityValue::of(*value);
    left -= *parsed;
    *value = left.sign() < 0 ? decimal(0) : left.to_quantity();
  }
}

void subtract_bytes(schema::Map<schema::Quantity>& from, std::string_view name, int64_t bytes, bool as_binary) {
  schema::Quantity* value = from.find(name);
  if (value == nullptr || bytes <= 0) return;
  int64_t left = std::max<int64_t>(0, QuantityValue::of(*value).value() - bytes);
  *value = as_binary ? binary(left) : decimal(left);
}

core::NodeCondition& condition_of(core::NodeStatus& status, std::string_view type) {
  for (core::NodeCondition& item : status.conditions)
    if (item.type == type) return item;
  core::NodeCondition made;
  made.type = type;
  made.status = "Unknown";
  status.conditions.push_back(std::move(made));
  return status.conditions.back();
}

struct PressureTexts {
  std::string_view type, bad_reason, bad_message, good_reason, good_message, bad_event, good_event;
};
constexpr PressureTexts kMemory = {"MemoryPressure",
                                   "KubeletHasInsufficientMemory",
                                   "kubelet has insufficient memory available",
                                   "KubeletHasSufficientMemory",
                                   "kubelet has sufficient memory available",
                                   "NodeHasInsufficientMemory",
                                   "NodeHasSufficientMemory"};
constexpr PressureTexts kDisk = {"DiskPressure",          "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure",
                                 "kubelet has no disk pressure", "NodeHasDiskPressure",    "NodeHasNoDiskPressure"};
constexpr PressureTexts kPid = {"PIDPressure",
                                "KubeletHasInsufficientPID",
                                "kubelet has insufficient PID available",
                                "KubeletHasSufficientPID",
                                "kubelet has sufficient PID available",
                                "NodeHasInsufficientPID",
                                "NodeHasSufficientPID"};

void fill_pressure(const PressureTexts& texts, bool bad, schema::Time now, core::NodeStatus& status, std::vector<std::string>& events) {
  core::NodeCondition& condition = condition_of(status, texts.type);
  condition.last_heartbeat_time = now;
  std::string_view wanted = bad ? "True" : "False";
  if (condition.status == wanted) return;
  condition.status = wanted;
  condition.reason = bad ? texts.bad_reason : texts.good_reason;
  condition.message = bad ? texts.bad_message : texts.good_message;
  condition.last_transition_time = now;
  events.emplace_back(bad ? texts.bad_event : texts.good_event);
}

void fill_images(const std::vector<cri::Image>& images, core::NodeStatus& status) {
  std::vector<const cri::Image*> sorted;
  for (const cri::Image& image : images) sorted.push_back(&image);
  std::stable_sort(sorted.begin(), sorted.end(), [](const cri::Image* a, const cri::Image* b) { return a->size > b->size; });
  status.images.reset();
  for (const cri::Image* image : sorted) {
    if (status.images.size() == kMaxNodeImages) break;
    core::ContainerImage item;
    for (const auto* names : {&image->repo_digests, &image->repo_tags})
      for (const schema::Str& name : *names)
        if (item.names.size() < kMaxNamesPerImage) item.names.push_back(name);
    if (item.names.empty()) continue;
    item.size_bytes = static_cast<int64_t>(image->size);
    status.images.push_back(std::move(item));
  }
}

void fill_addresses(const NodeFacts& facts, core::NodeStatus& status) {
  status.addresses.clear();
  auto add = [&](std::string_view type, std::string_view address) {
    core::NodeAddress item;
    item.type = type;
    item.address = address;
    status.addresses.push_back(std::move(item));
  };
  if (!facts.node_ip.empty()) add("InternalIP", facts.node_ip);
  add("Hostname", facts.config->node_name);
}

}  // namespace

schema::Map<schema::Quantity> node_capacity(const NodeFacts& facts) {
  schema::Map<schema::Quantity> capacity;
  capacity["cpu"] = decimal(facts.machine->cpus);
  capacity["memory"] = binary(facts.machine->memory_bytes);
  capacity["pods"] = decimal(facts.config->max_pods);
  capacity["ephemeral-storage"] = binary(facts.machine->disk_bytes);
  capacity["hugepages-1Gi"] = decimal(0);
  capacity["hugepages-2Mi"] = decimal(0);
  return capacity;
}

schema::Map<schema::Quantity> node_allocatable(const NodeFacts& facts) {
  schema::Map<schema::Quantity> left = node_capacity(facts);
  const Config& config = *facts.config;
  subtract(left, config.system_reserved);
  subtract(left, config.kube_reserved);
  subtract_bytes(left, "memory", threshold(config.eviction_hard, "memory.available", "100Mi", facts.machine->memory_bytes), true);
  subtract_bytes(left, "ephemeral-storage", threshold(config.eviction_hard, "nodefs.available", "10%", facts.machine->disk_bytes), false);
  return left;
}

std::vector<std::string> fill_node_status(const NodeFacts& facts, WallTime wall, core::NodeStatus& status) {
  std::vector<std::string> events;
  schema::Time now = schema::to_time(wall);
  fill_addresses(facts, status);
  for (const auto& entry : node_capacity(facts)) status.capacity[entry.key] = entry.value;
  for (const auto& entry : node_allocatable(facts)) status.allocatable[entry.key] = entry.value;

  core::NodeSystemInfo& info = status.node_info;
  info.machine_id = facts.machine->machine_id;
  info.system_uuid = facts.machine->system_uuid;
  if (!info.boot_id.empty() && info.boot_id != facts.machine->boot_id) events.emplace_back("Rebooted");
  info.boot_id = facts.machine->boot_id;
  info.kernel_version = facts.machine->kernel_version;
  info.os_image = facts.machine->os_image;
  info.container_runtime_version = facts.runtime_name + "://" + facts.runtime_version;
  info.kubelet_version = kKubeletVersion;
  info.kube_proxy_version = kKubeletVersion;
  info.operating_system = "linux";
  info.architecture = facts.machine->architecture;
  status.daemon_endpoints.kubelet_endpoint.port = facts.config->port;
  fill_images(facts.images, status);

  fill_pressure(kMemory, facts.memory_pressure, now, status, events);
  fill_pressure(kDisk, facts.disk_pressure, now, status, events);
  fill_pressure(kPid, facts.pid_pressure, now, status, events);
  bool known = std::any_of(status.conditions.begin(), status.conditions.end(), [](const core::NodeCondition& c) { return c.type == "Ready"; });
  core::NodeCondition& ready = condition_of(status, "Ready");
  bool is_ready = facts.not_ready.empty();
  std::string_view wanted = is_ready ? "True" : "False";
  if (ready.status != wanted) {
    ready.last_transition_time = now;
    if (known) events.emplace_back(is_ready ? "NodeReady" : "NodeNotReady");
  }
  ready.status = wanted;
  ready.reason = is_ready ? "KubeletReady" : "KubeletNotReady";
  ready.message = is_ready ? std::string("kubelet is posting ready status") : facts.not_ready;
  ready.last_heartbeat_time = now;
  return events;
}

core::Node initial_node(const NodeFacts& facts, WallTime now) {
  core::Node node;
  node.metadata.name = facts.config->node_name;
  node.metadata.labels["kubernetes.io/hostname"] = facts.config->node_name;
  node.metadata.labels["kubernetes.io/os"] = "linux";
  node.metadata.labels["kubernetes.io/arch"] = facts.machine->architecture;
  node.metadata.labels["beta.kubernetes.io/os"] = "linux";
  node.metadata.labels["beta.kubernetes.io/arch"] = facts.machine->architecture;
  for (const auto& [name, value] : facts.config->node_labels) node.metadata.labels[name] = value;
  node.metadata.annotations["volumes.kubernetes.io/controller-managed-attach-detach"] = "true";
  for (const std::string& text : facts.config->register_with_taints) {
    // key=value:Effect, key:Effect
    core::Taint taint;
    size_t colon = text.rfind(':');
    if (colon == std::string::npos) continue;
    taint.effect = std::string_view(text).substr(colon + 1);
    std::string_view left = std::string_view(text).substr(0, colon);
    size_t equals = left.find('=');
    taint.key = left.substr(0, equals);
    if (equals != std::string_view::npos) taint.value = left.substr(equals + 1);
    node.spec.taints.push_back(std::move(taint));
  }
  (void)fill_node_status(facts, now, node.status);
  return node;
}

bool same_node_status(const core::NodeStatus& a, const core::NodeStatus& b) {
  core::NodeStatus left = a, right = b;
  for (core::NodeStatus* status : {&left, &right})
    for (core::NodeCondition& condition : status->conditions) condition.last_heartbeat_time = {};
  return schema::equal(core::NodeStatus::table(), &left, &right);
}

void set_heartbeat(core::NodeStatus& status, WallTime now) {
  for (core::NodeCondition& condition : status.conditions)
    if (condition.type != "NetworkUnavailable") condition.last_heartbeat_time = schema::to_time(now);
}

}  // namespace knarr::kubelet
