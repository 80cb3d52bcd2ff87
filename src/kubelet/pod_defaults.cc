// SPDX-License-Identifier: Apache-2.0
#include "kubelet/pod_defaults.h"

#include "kubelet/image/image_name.h"

namespace knarr::kubelet {

namespace {

void default_text(schema::Str& text, std::string_view value) {
  if (text.empty()) text = value;
}

void default_mode(schema::Opt<int32_t>& mode) {
  if (!mode.has_value()) mode = 0644;
}

void default_probe(schema::Box<core::Probe>& probe) {
  if (!probe) return;
  if (probe->timeout_seconds == 0) probe->timeout_seconds = 1;
  if (probe->period_seconds == 0) probe->period_seconds = 10;
  if (probe->success_threshold == 0) probe->success_threshold = 1;
  if (probe->failure_threshold == 0) probe->failure_threshold = 3;
  if (probe->handler.http_get) {
    default_text(probe->handler.http_get->path, "/");
    default_text(probe->handler.http_get->scheme, "HTTP");
  }
}

void default_hook(schema::Box<core::LifecycleHandler>& hook) {
  if (!hook || !hook->http_get) return;
  default_text(hook->http_get->path, "/");
  default_text(hook->http_get->scheme, "HTTP");
}

void default_container(core::Container& container, bool host_network) {
  if (container.image_pull_policy.empty()) {
    auto name = parse_image_name(container.image);
    bool latest = name.ok() && name->digest.empty() && (name->tag.empty() || name->tag == "latest");
    container.image_pull_policy = latest ? "Always" : "IfNotPresent";
  }
  default_text(container.termination_message_path, "/dev/termination-log");
  default_text(container.termination_message_policy, "File");
  for (core::ContainerPort& port : container.ports) {
    default_text(port.protocol, "TCP");
    if (host_network && port.host_port == 0) port.host_port = port.container_port;
  }
  for (core::EnvVar& item : container.env)
    if (item.value_from && item.value_from->field_ref) default_text(item.value_from->field_ref->api_version, "v1");
  // A limit alone is the request as well.
  for (const auto& entry : container.resources.limits)
    if (!container.resources.requests.contains(entry.key)) container.resources.requests[entry.key] = entry.value;
  default_probe(container.liveness_probe);
  default_probe(container.readiness_probe);
  default_probe(container.startup_probe);
  if (container.lifecycle) {
    default_hook(container.lifecycle->post_start);
    default_hook(container.lifecycle->pre_stop);
  }
}

void default_volume(core::Volume& volume) {
  core::VolumeSource& source = volume.volume_source;
  if (source.host_path && !source.host_path->type.has_value()) source.host_path->type = "";
  if (source.secret) default_mode(source.secret->default_mode);
  if (source.config_map) default_mode(source.config_map->default_mode);
  if (source.downward_api) {
    default_mode(source.downward_api->default_mode);
    for (core::DownwardAPIVolumeFile& item : source.downward_api->items)
      if (item.field_ref) default_text(item.field_ref->api_version, "v1");
  }
  if (!source.projected) return;
  default_mode(source.projected->default_mode);
  for (core::VolumeProjection& projection : source.projected->sources) {
    if (projection.service_account_token && !projection.service_account_token->expiration_seconds.has_value()) {
      projection.service_account_token->expiration_seconds = 3600;
    }
    if (!projection.downward_api) continue;
    for (core::DownwardAPIVolumeFile& item : projection.downward_api->items)
      if (item.field_ref) default_text(item.field_ref->api_version, "v1");
  }
}

}  // namespace

void default_pod(core::Pod& pod) {
  core::PodSpec& spec = pod.spec;
  default_text(spec.restart_policy, "Always");
  default_text(spec.dns_policy, "ClusterFirst");
  default_text(spec.scheduler_name, "default-scheduler");
  if (!spec.termination_grace_period_seconds.has_value()) spec.termination_grace_period_seconds = 30;
  if (!spec.enable_service_links.has_value()) spec.enable_service_links = true;
  spec.security_context.ensure();
  for (core::Container& container : spec.containers) default_container(container, spec.host_network);
  for (core::Container& container : spec.init_containers) default_container(container, spec.host_network);
  for (core::Volume& volume : spec.volumes) default_volume(volume);
}

}  // namespace knarr::kubelet
