// SPDX-License-Identifier: Apache-2.0
#include "kubelet/runtime/security_context.h"

namespace knarr::kubelet {

namespace {

constexpr std::string_view kMaskedPaths[] = {"/proc/asound",     "/proc/acpi",        "/proc/kcore",       "/proc/keys", "/proc/latency_stats",
                                             "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"};
constexpr std::string_view kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
constexpr std::string_view kAppArmorPrefix = "container.apparmor.security.beta.kubernetes.io/";

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

Result<cri::SecurityProfile> seccomp(const core::Pod& pod, const core::Container& container, const SecurityDefaults& defaults) {
  const core::SeccompProfile* profile = nullptr;
  if (container.security_context && container.security_context->seccomp_profile) {
    profile = container.security_context->seccomp_profile.get();
  } else if (pod.spec.security_context && pod.spec.security_context->seccomp_profile) {
    profile = pod.spec.security_context->seccomp_profile.get();
  }
  cri::SecurityProfile made;
  if (profile == nullptr) {
    made.profile_type = static_cast<int32_t>(defaults.seccomp_default ? CriSecurityProfile::kRuntimeDefault : CriSecurityProfile::kUnconfined);
  } else if (profile->type == "RuntimeDefault") {
    made.profile_type = static_cast<int32_t>(CriSecurityProfile::kRuntimeDefault);
  } else if (profile->type == "Localhost") {
    if (profile->localhost_profile.value_or("").empty()) return Status::error("localhostProfile must be set if seccompProfile type is Localhost.");
    made.profile_type = static_cast<int32_t>(CriSecurityProfile::kLocalhost);
    made.localhost_ref = defaults.seccomp_root + "/" + std::string(profile->localhost_profile.value_or(""));
  } else {
    made.profile_type = static_cast<int32_t>(CriSecurityProfile::kUnconfined);
  }
  return made;
}

cri::SELinuxOption convert(const core::SELinuxOptions& from) {
  cri::SELinuxOption to;
  to.user = from.user;
  to.role = from.role;
  to.type = from.type;
  to.level = from.level;
  return to;
}

cri::Int64Value boxed(int64_t value) {
  cri::Int64Value made;
  made.value = value;
  return made;
}

void add_groups(const core::Pod& pod, schema::List<int64_t>& groups) {
  if (!pod.spec.security_context) return;
  const core::PodSecurityContext& context = *pod.spec.security_context;
  if (context.fs_group) groups.push_back(*context.fs_group);
  for (int64_t group : context.supplemental_groups) groups.push_back(group);
}

bool any_privileged(const core::Pod& pod) {
  auto privileged = [](const core::Container& c) { return c.security_context && c.security_context->privileged.value_or(false); };
  for (const core::Container& c : pod.spec.containers)
    if (privileged(c)) return true;
  for (const core::Container& c : pod.spec.init_containers)
    if (privileged(c)) return true;
  for (const core::EphemeralContainer& c : pod.spec.ephemeral_containers)
    if (privileged(container_of(c))) return true;
  return false;
}

}  // namespace

core::SecurityContext effective_security_context(const core::Pod& pod, const core::Container& container) {
  core::SecurityContext merged;
  if (pod.spec.security_context) {
    const core::PodSecurityContext& from = *pod.spec.security_context;
    merged.se_linux_options = from.se_linux_options;
    merged.run_as_user = from.run_as_user;
    merged.run_as_group = from.run_as_group;
    merged.run_as_non_root = from.run_as_non_root;
  }
  if (!container.security_context) return merged;
  const core::SecurityContext& over = *container.security_context;
  if (over.se_linux_options) merged.se_linux_options = over.se_linux_options;
  if (over.capabilities) merged.capabilities = over.capabilities;
  if (over.privileged) merged.privileged = over.privileged;
  if (over.run_as_user) merged.run_as_user = over.run_as_user;
  if (over.run_as_group) merged.run_as_group = over.run_as_group;
  if (over.run_as_non_root) merged.run_as_non_root = over.run_as_non_root;
  if (over.read_only_root_filesystem) merged.read_only_root_filesystem = over.read_only_root_filesystem;
  if (over.allow_privilege_escalation) merged.allow_privilege_escalation = over.allow_privilege_escalation;
  if (over.proc_mount) merged.proc_mount = over.proc_mount;
  return merged;
}

Status verify_run_as_non_root(const core::Pod& pod, const core::Container& container, const ImageUser& user) {
  core::SecurityContext context = effective_security_context(pod, container);
  if (!context.run_as_non_root.value_or(false)) return {};
  std::string where = "(pod: " + quoted(format_pod(pod)) + ", container: " + container.name.str() + ")";
  if (context.run_as_user) {
    if (*context.run_as_user == 0) return Status::error("container's runAsUser breaks non-root policy " + where);
    return {};
  }
  if (user.uid && *user.uid == 0) return Status::error("container has runAsNonRoot and image will run as root " + where);
  if (!user.uid && !user.name.empty()) {
    return Status::error("container has runAsNonRoot and image has non-numeric user (" + user.name + "), cannot verify user is non-root " + where);
  }
  return {};
}

cri::NamespaceOption namespaces_of(const core::Pod& pod) {
  cri::NamespaceOption option;
  option.ipc = static_cast<int32_t>(pod.spec.host_ipc ? CriNamespace::kNode : CriNamespace::kPod);
  option.network = static_cast<int32_t>(pod.spec.host_network ? CriNamespace::kNode : CriNamespace::kPod);
  CriNamespace pid = CriNamespace::kContainer;
  if (pod.spec.host_pid) {
    pid = CriNamespace::kNode;
  } else if (pod.spec.share_process_namespace.value_or(false)) {
    pid = CriNamespace::kPod;
  }
  option.pid = static_cast<int32_t>(pid);
  return option;
}

Result<cri::LinuxContainerSecurityContext> container_security_context(const core::Pod& pod, const core::Container& container,
                                                                      const ImageUser& user, const SecurityDefaults& defaults) {
  core::SecurityContext context = effective_security_context(pod, container);
  cri::LinuxContainerSecurityContext made;
  if (context.capabilities) {
    cri::Capability& capabilities = made.capabilities.ensure();
    capabilities.add_capabilities = context.capabilities->add;
    capabilities.drop_capabilities = context.capabilities->drop;
  }
  if (context.se_linux_options) made.selinux_options = convert(*context.se_linux_options);
  if (context.run_as_user) {
    made.run_as_user = boxed(*context.run_as_user);
  } else {
    if (user.uid) made.run_as_user = boxed(*user.uid);
    made.run_as_username = user.name;
  }
  if (context.run_as_group) made.run_as_group = boxed(*context.run_as_group);
  made.privileged = context.privileged.value_or(false);
  made.readonly_rootfs = context.read_only_root_filesystem.value_or(false);
  TRY_ASSIGN(made.seccomp, seccomp(pod, container, defaults));
  made.apparmor_profile = schema::get_or_empty(pod.metadata.annotations, std::string(kAppArmorPrefix) + container.name.str());
  made.namespace_options = namespaces_of(pod);
  add_groups(pod, made.supplemental_groups);
  made.no_new_privs = context.allow_privilege_escalation.has_value() && !*context.allow_privilege_escalation;
  if (context.proc_mount.value_or("") != "Unmasked") {
    for (std::string_view path : kMaskedPaths) made.masked_paths.push_back(path);
    for (std::string_view path : kReadonlyPaths) made.readonly_paths.push_back(path);
  }
  return made;
}

cri::LinuxSandboxSecurityContext sandbox_security_context(const core::Pod& pod) {
  cri::LinuxSandboxSecurityContext made;
  made.privileged = any_privileged(pod);
  made.seccomp.ensure().profile_type = static_cast<int32_t>(CriSecurityProfile::kRuntimeDefault);
  made.namespace_options = namespaces_of(pod);
  if (!pod.spec.security_context) return made;
  const core::PodSecurityContext& context = *pod.spec.security_context;
  if (context.run_as_user) made.run_as_user = boxed(*context.run_as_user);
  if (context.run_as_group) made.run_as_group = boxed(*context.run_as_group);
  add_groups(pod, made.supplemental_groups);
  if (context.se_linux_options) made.selinux_options = convert(*context.se_linux_options);
  return made;
}

}  // namespace knarr::kubelet
