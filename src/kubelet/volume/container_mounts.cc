// SPDX-License-Identifier: Apache-2.0
// From a container's volumeMounts to what the runtime mounts.
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "kubelet/env/expansion.h"
#include "kubelet/env/field_path.h"
#include "kubelet/env/pod_network_files.h"
#include "kubelet/volume/set_up.h"
#include "kubelet/volume/subpath.h"
#include "kubelet/volume/tree.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr std::string_view kHostsPath = "/etc/hosts";

// CRI's MountPropagation.
Result<int32_t> propagation_of(const core::VolumeMount& mount) {
  std::string_view mode = mount.mount_propagation.value_or("None");
  if (mode == "None") return 0;
  if (mode == "HostToContainer") return 1;
  if (mode == "Bidirectional") return 2;
  return Status::error("invalid MountPropagation mode: " + go_quote(mode));
}

Result<std::string> sub_path_of(const core::VolumeMount& mount, const EnvVars& env) {
  std::string sub_path = mount.sub_path.str();
  if (!mount.sub_path_expr.empty()) {
    std::set<std::string> missing;
    // The last of equal names wins, as in the process' environment.
    sub_path = expand_variables(mount.sub_path_expr,
                                [&](std::string_view name) -> std::optional<std::string_view> {
                                  for (size_t i = env.size(); i-- > 0;)
                                    if (env[i].first == name && !env[i].second.empty())
                                      return env[i].second;
                                  missing.emplace(name);
                                  return std::string_view();
                                });
    std::string names;
    for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
    if (!missing.empty()) return Status::error("missing value for " + names);
  }
  if (sub_path.empty()) return sub_path;
  if (sub_path[0] == '/')
    return Status::error("error SubPath `" + sub_path + "` must not be an absolute path");
  Status steps = check_no_backsteps(sub_path);
  if (!steps.ok())
    return Status::error("unable to provision SubPath `" + sub_path +
                         "`: " + std::string(steps.message()));
  return sub_path;
}

Result<std::string> bind_for_container(const VolumeManager::ContainerContext& context,
                                       const core::VolumeMount& mount, size_t index,
                                       const std::string& volume_path, const std::string& sub_path,
                                       const std::string& pod_dir, Mounter& mounter) {
  std::string container = context.container->name.str();
  std::string target = pod_dir + "/volume-subpaths/" + mount.name.str() + "/" + container + "/" +
                       std::to_string(index);
  Status bound = bind_sub_path(mounter, volume_path, sub_path, target);
  if (bound.ok()) return target;
  // What went wrong could tell the pod's owner about the host's files: that goes to the log only.
  log_error(
      "Failed to prepare subPath for volumeMount of the container",
      {{"container", container}, {"volumeMount", mount.name.view()}, {"err", bound.message()}});
  return Status::error("failed to prepare subPath for volumeMount " + go_quote(mount.name) +
                       " of container " + go_quote(container));
}

Result<api::cri_v1::Mount> hosts_mount(const VolumeManager::ContainerContext& context,
                                       const std::string& pod_dir) {
  std::string node_hosts;
  if (context.pod->spec.host_network) {
    TRY_ASSIGN(node_hosts, read_file(std::string(kHostsPath)));
  }
  std::string content =
      hosts_file(*context.pod, context.pod_ips, context.hostname, context.domain, node_hosts);
  api::cri_v1::Mount made;
  std::string file = pod_dir + "/etc-hosts";
  TRY(make_folders(pod_dir, 0750));
  TRY(write_plain(file, content, 0644));
  made.container_path = kHostsPath;
  made.host_path = file;
  made.selinux_relabel = true;
  return made;
}

}  // namespace

Result<std::vector<api::cri_v1::Mount>> make_container_mounts(
    const VolumeManager::ContainerContext& context, const std::string& pod_dir, Mounter& mounter) {
  std::vector<api::cri_v1::Mount> mounts;
  const core::Container& container = *context.container;
  if (!is_path_element(container.name))
    return Status::error("invalid container name " + go_quote(container.name));
  bool mount_hosts = !context.pod_ips.empty();
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const core::VolumeMount& mount = container.volume_mounts[i];
    if (mount.mount_path == kHostsPath) mount_hosts = false;
    auto volume = context.volumes.find(mount.name.view());
    if (volume == context.volumes.end())
      return Status::error("cannot find volume " + go_quote(mount.name) +
                           " to mount into container " + go_quote(container.name));
    std::string host_path = volume->second.host_path;
    TRY_ASSIGN(std::string sub_path, sub_path_of(mount, context.env));
    if (!sub_path.empty()) {
      TRY_ASSIGN(host_path,
                 bind_for_container(context, mount, i, host_path, sub_path, pod_dir, mounter));
    }
    api::cri_v1::Mount made;
    std::string target = mount.mount_path.str();
    made.container_path = target.starts_with("/") ? target : "/" + target;
    made.host_path = host_path;
    made.readonly = mount.read_only || volume->second.read_only;
    made.selinux_relabel = volume->second.managed;
    TRY_ASSIGN(made.propagation, propagation_of(mount));
    mounts.push_back(std::move(made));
  }
  if (mount_hosts) {
    TRY_ASSIGN(api::cri_v1::Mount made, hosts_mount(context, pod_dir));
    mounts.push_back(std::move(made));
  }
  return mounts;
}

}  // namespace knarr::kubelet
