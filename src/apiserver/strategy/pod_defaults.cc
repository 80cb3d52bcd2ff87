// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "apiserver/strategy/pod.h"
#include "schema/quantity.h"

namespace knarr::apiserver {

namespace {

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_word(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

// One path component of an image name: runs of [a-z0-9] with one of . _ __ or dashes between them.
bool valid_image_component(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && text[end] == text[i]) ++end;
    size_t run = end - i;
    bool good = text[i] == '-' || (text[i] == '.' && run == 1) || (text[i] == '_' && run <= 2);
    if (!good || !is_lower_alnum(text[end])) return false;
    i = end;
  }
  return true;
}

bool valid_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 128 || !is_word(tag.front())) return false;
  for (char c : tag)
    if (!is_word(c) && c != '.' && c != '-') return false;
  return true;
}

// Whether upstream's reference grammar accepts the name without tag and digest.
bool valid_image_name(std::string_view name) {
  size_t slash = name.find('/');
  if (slash != name.npos) {
    std::string_view first = name.substr(0, slash);
    bool domain =
        first.find_first_of(".:") != first.npos || first == "localhost" || lower(first) != first;
    if (domain) name = name.substr(slash + 1);
  }
  for (std::string_view component : split(name, '/'))
    if (!valid_image_component(component)) return false;
  return true;
}

template <class Container>
void default_container(Container& container) {
  if (container.image_pull_policy.empty())
    container.image_pull_policy = default_pull_policy(container.image);
}

void default_requests(core::ResourceRequirements& resources) {
  if (resources.limits.is_null()) return;
  resources.requests.ensure();
  for (const auto& [name, limit] : resources.limits)
    if (!resources.requests.contains(name)) resources.requests[name] = limit;
}

void default_host_ports(List<core::Container>& containers) {
  for (core::Container& container : containers)
    for (core::ContainerPort& port : container.ports)
      if (port.host_port == 0) port.host_port = port.container_port;
}

}  // namespace

std::string_view default_pull_policy(std::string_view image) {
  constexpr std::string_view kAlways = "Always", kIfNotPresent = "IfNotPresent";
  size_t at = image.find('@');
  bool digest = at != image.npos;
  if (digest) image = image.substr(0, at);
  std::string_view name = image, tag;
  size_t colon = image.rfind(':'), slash = image.rfind('/');
  if (colon != image.npos && (slash == image.npos || colon > slash)) {
    tag = image.substr(colon + 1);
    name = image.substr(0, colon);
    if (!valid_tag(tag)) return kIfNotPresent;
  }
  // A name that cannot be parsed has no tag at all.
  if (!valid_image_name(name)) return kIfNotPresent;
  return tag == "latest" || (tag.empty() && !digest) ? kAlways : kIfNotPresent;
}

void default_pod_spec(core::PodSpec& spec) {
  // serviceAccount is the old name of serviceAccountName; both are always written.
  if (spec.service_account_name.empty()) spec.service_account_name = spec.service_account;
  spec.service_account = spec.service_account_name;
  for (core::Volume& volume : spec.volumes)
    if (schema::is_zero(core::VolumeSource::table(), &volume.volume_source))
      volume.volume_source.empty_dir.ensure();
  for (core::Container& container : spec.init_containers) default_container(container);
  for (core::Container& container : spec.containers) default_container(container);
  for (core::EphemeralContainer& container : spec.ephemeral_containers)
    default_container(container.ephemeral_container_common);
}

void default_pod(core::Pod& pod) {
  core::PodSpec& spec = pod.spec;
  for (core::Container& container : spec.containers) default_requests(container.resources);
  for (core::Container& container : spec.init_containers) default_requests(container.resources);
  if (!spec.enable_service_links) spec.enable_service_links = true;
  if (spec.host_network) {
    default_host_ports(spec.containers);
    default_host_ports(spec.init_containers);
  }
  default_pod_spec(spec);
  default_pod_status(pod.status);
}

// podIP is the first of podIPs; where both are given and differ, the singular wins (old kubelets).
void default_pod_status(core::PodStatus& status) {
  if (!status.pod_ip.empty() &&
      (status.pod_ips.empty() || !(status.pod_ips[0].ip == status.pod_ip))) {
    status.pod_ips.reset();
    status.pod_ips.emplace_back().ip = status.pod_ip;
  } else if (status.pod_ip.empty() && !status.pod_ips.empty()) {
    status.pod_ip = status.pod_ips[0].ip;
  }
}

void drop_disabled_pod_fields(core::PodSpec& spec, const core::PodSpec* old) {
  if (old == nullptr || !old->host_users) spec.host_users.reset();
  bool resizing = false, sidecars = false, claims = false;
  if (old != nullptr) {
    for (const core::Container& container : old->containers)
      resizing |= !container.resize_policy.empty();
    for (const core::Container& container : old->init_containers)
      sidecars |= container.restart_policy.has_value();
    claims = !old->resource_claims.empty();
  }
  auto drop = [&](auto& container) {
    if (!resizing) container.resize_policy.reset();
    if (!claims) container.resources.claims.reset();
    // Gate ProcMountType is off: the only value is the default.
    if (container.security_context && container.security_context->proc_mount)
      container.security_context->proc_mount = "Default";
  };
  for (core::Container& container : spec.init_containers) {
    drop(container);
    if (!sidecars) container.restart_policy.reset();
  }
  for (core::Container& container : spec.containers) drop(container);
  for (core::EphemeralContainer& container : spec.ephemeral_containers)
    drop(container.ephemeral_container_common);
  if (!claims) spec.resource_claims.reset();
  for (core::Volume& volume : spec.volumes)
    if (auto& ephemeral = volume.volume_source.ephemeral;
        ephemeral && ephemeral->volume_claim_template)
      ephemeral->volume_claim_template->spec.resources.claims.reset();
}

void drop_disabled_pod_status(core::PodStatus& status, const core::PodStatus* old) {
  if (old == nullptr || old->host_ips.empty()) status.host_ips.reset();
  for (auto* statuses : {&status.container_statuses, &status.init_container_statuses,
                         &status.ephemeral_container_statuses}) {
    for (core::ContainerStatus& container : *statuses) {
      container.allocated_resources.reset();
      container.resources.reset();
    }
  }
  status.resize.reset();
  status.resource_claim_statuses.reset();
}

std::string_view pod_qos(const core::PodSpec& spec) {
  using schema::QuantityValue;
  std::map<std::string_view, QuantityValue> requests, limits;
  bool guaranteed = true;
  auto add = [](std::map<std::string_view, QuantityValue>& sums,
                const Map<schema::Quantity>& list) {
    int found = 0;
    for (const auto& [name, quantity] : list) {
      if (!(name == "cpu") && !(name == "memory")) continue;
      QuantityValue value = QuantityValue::of(quantity);
      if (value.sign() <= 0) continue;
      ++found;
      sums[name] += value;
    }
    return found;
  };
  for (const auto* containers : {&spec.containers, &spec.init_containers}) {
    for (const core::Container& container : *containers) {
      add(requests, container.resources.requests);
      if (add(limits, container.resources.limits) < 2) guaranteed = false;
    }
  }
  if (requests.empty() && limits.empty()) return "BestEffort";
  return guaranteed && requests == limits ? "Guaranteed" : "Burstable";
}

}  // namespace knarr::apiserver
