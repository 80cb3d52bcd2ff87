// SPDX-License-Identifier: Apache-2.0
// The checks of the Pod Security Standards and the versions that brought them (upstream:
// pod-security-admission/policy).
#include <algorithm>
#include <set>
#include <span>
#include <vector>

#include "apiserver/admission/plugins/pod_security.h"
#include "apiserver/field_errors.h"

namespace knarr::apiserver::admission::pod_security {

namespace {

using api::core_v1::PodSpec;
using api::meta_v1::ObjectMeta;
using Names = std::vector<std::string>;
using Sorted = std::set<std::string>;

// What a check found: `reason` is empty when it found nothing.
struct Finding {
  std::string reason, detail;
};
using Check = Finding (*)(const ObjectMeta&, const PodSpec&);

// Upstream joins names with bare quotes around them, unescaped.
std::string join(const auto& items, std::string_view quote = "\"") {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += ", ";
    out.append(quote).append(item).append(quote);
  }
  return out;
}
std::string_view plural(std::string_view one, std::string_view many, size_t count) {
  return count == 1 ? one : many;
}
std::string containers(const Names& names) {
  return std::string(plural("container", "containers", names.size())) + " " + join(names);
}
// `pod`, `container "a"` or both.
std::string setters(bool pod, const Names& names) {
  std::string out = pod ? "pod" : "";
  if (!names.empty()) out += (pod ? " and " : "") + containers(names);
  return out;
}

void visit(const PodSpec& spec, const auto& each) {
  for (const auto& container : spec.init_containers) each(container);
  for (const auto& container : spec.containers) each(container);
  for (const auto& container : spec.ephemeral_containers)
    each(container.ephemeral_container_common);
}
// Only containers that have a security context.
void visit_contexts(const PodSpec& spec, const auto& each) {
  visit(spec, [&](const auto& container) {
    if (container.security_context) each(container.name.str(), *container.security_context);
  });
}
bool is_windows(const PodSpec& spec) { return spec.os && spec.os->name == "windows"; }

// ---- baseline
// ---------------------------------------------------------------------------------------------------------------
Finding app_armor(const ObjectMeta& meta, const PodSpec&) {
  Sorted bad;
  for (const auto& [key, value] : meta.annotations) {
    if (!key.view().starts_with("container.apparmor.security.beta.kubernetes.io/")) continue;
    std::string_view profile = value.view();
    if (profile.empty() || profile == "runtime/default" || profile.starts_with("localhost/"))
      continue;
    bad.insert(key.str() + "=" + quoted(profile));
  }
  if (bad.empty()) return {};
  return {
      std::string(plural("forbidden AppArmor profile", "forbidden AppArmor profiles", bad.size())),
      join(bad, "")};
}

Finding capabilities_baseline(const ObjectMeta&, const PodSpec& spec) {
  static const std::set<std::string_view> kAllowed = {
      "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
      "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};
  Names who;
  Sorted bad;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (!context.capabilities) return;
    bool good = true;
    for (const auto& capability : context.capabilities->add)
      if (!kAllowed.contains(capability.view())) {
        good = false;
        bad.insert(capability.str());
      }
    if (!good) who.push_back(name);
  });
  if (who.empty()) return {};
  return {"non-default capabilities", containers(who) + " must not include " + join(bad) +
                                          " in securityContext.capabilities.add"};
}

Finding host_namespaces(const ObjectMeta&, const PodSpec& spec) {
  Names used;
  if (spec.host_network) used.push_back("hostNetwork=true");
  if (spec.host_pid) used.push_back("hostPID=true");
  if (spec.host_ipc) used.push_back("hostIPC=true");
  if (used.empty()) return {};
  return {"host namespaces", join(used, "")};
}

Finding host_path(const ObjectMeta&, const PodSpec& spec) {
  Names bad;
  for (const auto& volume : spec.volumes)
    if (volume.volume_source.host_path) bad.push_back(volume.name.str());
  if (bad.empty()) return {};
  return {"hostPath volumes",
          std::string(plural("volume", "volumes", bad.size())) + " " + join(bad)};
}

Finding host_ports(const ObjectMeta&, const PodSpec& spec) {
  Names who;
  Sorted ports;
  visit(spec, [&](const auto& container) {
    bool good = true;
    for (const auto& port : container.ports)
      if (port.host_port != 0) {
        good = false;
        ports.insert(std::to_string(port.host_port));
      }
    if (!good) who.push_back(container.name.str());
  });
  if (who.empty()) return {};
  return {"hostPort", containers(who) + " " + std::string(plural("uses", "use", who.size())) + " " +
                          std::string(plural("hostPort", "hostPorts", ports.size())) + " " +
                          join(ports, "")};
}

Finding privileged(const ObjectMeta&, const PodSpec& spec) {
  Names who;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (context.privileged.has_value() && *context.privileged) who.push_back(name);
  });
  if (who.empty()) return {};
  return {"privileged", containers(who) + " must not set securityContext.privileged=true"};
}

Finding proc_mount(const ObjectMeta&, const PodSpec& spec) {
  Names who;
  Sorted bad;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (!context.proc_mount.has_value() || *context.proc_mount == "Default") return;
    who.push_back(name);
    bad.insert(context.proc_mount->str());
  });
  if (who.empty()) return {};
  return {"procMount", containers(who) + " must not set securityContext.procMount to " + join(bad)};
}

Finding se_linux(const ObjectMeta&, const PodSpec& spec) {
  Sorted types;
  bool user = false, role = false;
  auto good = [&](const auto& options) {
    std::string_view type = options.type.view();
    bool type_good = type.empty() || type == "container_t" || type == "container_init_t" ||
                     type == "container_kvm_t";
    if (!type_good) types.insert(std::string(type));
    user |= !options.user.empty();
    role |= !options.role.empty();
    return type_good && options.user.empty() && options.role.empty();
  };
  bool pod = spec.security_context && spec.security_context->se_linux_options &&
             !good(*spec.security_context->se_linux_options);
  Names who;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (context.se_linux_options && !good(*context.se_linux_options)) who.push_back(name);
  });
  if (!pod && who.empty()) return {};
  std::string data;
  if (!types.empty()) data = std::string(plural("type", "types", types.size())) + " " + join(types);
  if (user) data += std::string(data.empty() ? "" : "; ") + "user may not be set";
  if (role) data += std::string(data.empty() ? "" : "; ") + "role may not be set";
  return {"seLinuxOptions",
          setters(pod, who) + " set forbidden securityContext.seLinuxOptions: " + data};
}

Finding seccomp_annotations(const ObjectMeta& meta, const PodSpec& spec) {
  Sorted bad;
  auto check = [&](const std::string& key) {
    const auto* value = meta.annotations.find(key);
    if (value == nullptr || *value == "runtime/default" || *value == "docker/default" ||
        value->view().starts_with("localhost/"))
      return;
    bad.insert(key + "=" + quoted(*value));
  };
  check("seccomp.security.alpha.kubernetes.io/pod");
  visit(spec, [&](const auto& container) {
    check("container.seccomp.security.alpha.kubernetes.io/" + container.name.str());
  });
  if (bad.empty()) return {};
  return {"seccompProfile", "forbidden " +
                                std::string(plural("annotation", "annotations", bad.size())) + " " +
                                join(bad, "")};
}

bool good_seccomp(std::string_view type) { return type == "Localhost" || type == "RuntimeDefault"; }

// With `must_set`, containers for which neither they nor the pod name a profile are found as well.
Finding seccomp(const PodSpec& spec, bool must_set) {
  Names explicitly, implicitly;
  Sorted values;
  bool pod_bad = false, pod_good = false;
  if (spec.security_context && spec.security_context->seccomp_profile) {
    const auto& type = spec.security_context->seccomp_profile->type;
    pod_good = good_seccomp(type);
    pod_bad = !pod_good;
    if (pod_bad) values.insert(type.str());
  }
  visit(spec, [&](const auto& container) {
    if (container.security_context && container.security_context->seccomp_profile) {
      const auto& type = container.security_context->seccomp_profile->type;
      if (good_seccomp(type)) return;
      explicitly.push_back(container.name.str());
      values.insert(type.str());
    } else if (!pod_good) {
      implicitly.push_back(container.name.str());
    }
  });
  if (pod_bad || !explicitly.empty())
    return {"seccompProfile", setters(pod_bad, explicitly) +
                                  " must not set securityContext.seccompProfile.type to " +
                                  join(values)};
  if (!must_set || implicitly.empty()) return {};
  return {
      "seccompProfile",
      "pod or " + containers(implicitly) +
          " must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""};
}
Finding seccomp_baseline(const ObjectMeta&, const PodSpec& spec) { return seccomp(spec, false); }
Finding seccomp_restricted(const ObjectMeta&, const PodSpec& spec) { return seccomp(spec, true); }
Finding seccomp_restricted_but_windows(const ObjectMeta&, const PodSpec& spec) {
  return is_windows(spec) ? Finding() : seccomp(spec, true);
}

Finding sysctls(const PodSpec& spec, bool since_1_27) {
  static const std::set<std::string_view> kAllowed = {
      "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
      "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"};
  Names bad;
  if (spec.security_context) {
    for (const auto& sysctl : spec.security_context->sysctls)
      if (!kAllowed.contains(sysctl.name.view()) &&
          !(since_1_27 && sysctl.name == "net.ipv4.ip_local_reserved_ports"))
        bad.push_back(sysctl.name.str());
  }
  if (bad.empty()) return {};
  return {"forbidden sysctls", join(bad, "")};
}
Finding sysctls_1_0(const ObjectMeta&, const PodSpec& spec) { return sysctls(spec, false); }
Finding sysctls_1_27(const ObjectMeta&, const PodSpec& spec) { return sysctls(spec, true); }

Finding windows_host_process(const ObjectMeta&, const PodSpec& spec) {
  auto set = [](const auto& context) {
    return context.windows_options && context.windows_options->host_process.has_value() &&
           *context.windows_options->host_process;
  };
  bool pod = spec.security_context && set(*spec.security_context);
  Names who;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (set(context)) who.push_back(name);
  });
  if (!pod && who.empty()) return {};
  return {"hostProcess",
          setters(pod, who) + " must not set securityContext.windowsOptions.hostProcess=true"};
}

// ---- restricted
// -------------------------------------------------------------------------------------------------------------
Finding privilege_escalation(const ObjectMeta&, const PodSpec& spec) {
  Names who;
  visit(spec, [&](const auto& container) {
    const auto& context = container.security_context;
    bool denied = context && context->allow_privilege_escalation.has_value() &&
                  !*context->allow_privilege_escalation;
    if (!denied) who.push_back(container.name.str());
  });
  if (who.empty()) return {};
  return {"allowPrivilegeEscalation != false",
          containers(who) + " must set securityContext.allowPrivilegeEscalation=false"};
}
Finding privilege_escalation_but_windows(const ObjectMeta& meta, const PodSpec& spec) {
  return is_windows(spec) ? Finding() : privilege_escalation(meta, spec);
}

Finding capabilities_restricted(const ObjectMeta&, const PodSpec& spec) {
  Names missing, adding;
  Sorted bad;
  visit(spec, [&](const auto& container) {
    if (!container.security_context || !container.security_context->capabilities) {
      missing.push_back(container.name.str());
      return;
    }
    const auto& capabilities = *container.security_context->capabilities;
    bool dropped = std::any_of(capabilities.drop.begin(), capabilities.drop.end(),
                               [](const auto& each) { return each == "ALL"; });
    if (!dropped) missing.push_back(container.name.str());
    bool good = true;
    for (const auto& capability : capabilities.add)
      if (capability != "NET_BIND_SERVICE") {
        good = false;
        bad.insert(capability.str());
      }
    if (!good) adding.push_back(container.name.str());
  });
  std::string detail;
  if (!missing.empty())
    detail = containers(missing) + " must set securityContext.capabilities.drop=[\"ALL\"]";
  if (!adding.empty())
    detail += std::string(detail.empty() ? "" : "; ") + containers(adding) + " must not include " +
              join(bad) + " in securityContext.capabilities.add";
  if (detail.empty()) return {};
  return {"unrestricted capabilities", std::move(detail)};
}
Finding capabilities_restricted_but_windows(const ObjectMeta& meta, const PodSpec& spec) {
  return is_windows(spec) ? Finding() : capabilities_restricted(meta, spec);
}

Finding restricted_volumes(const ObjectMeta&, const PodSpec& spec) {
  Names who;
  Sorted types;
  for (const auto& volume : spec.volumes) {
    const auto& source = volume.volume_source;
    if (source.config_map || source.csi || source.downward_api || source.empty_dir ||
        source.ephemeral || source.persistent_volume_claim || source.projected || source.secret)
      continue;
    who.push_back(volume.name.str());
    std::pair<bool, std::string_view> all[] = {
        {!!source.host_path, "hostPath"},
        {!!source.gce_persistent_disk, "gcePersistentDisk"},
        {!!source.aws_elastic_block_store, "awsElasticBlockStore"},
        {!!source.git_repo, "gitRepo"},
        {!!source.nfs, "nfs"},
        {!!source.iscsi, "iscsi"},
        {!!source.glusterfs, "glusterfs"},
        {!!source.rbd, "rbd"},
        {!!source.flex_volume, "flexVolume"},
        {!!source.cinder, "cinder"},
        {!!source.cephfs, "cephfs"},
        {!!source.flocker, "flocker"},
        {!!source.fc, "fc"},
        {!!source.azure_file, "azureFile"},
        {!!source.vsphere_volume, "vsphereVolume"},
        {!!source.quobyte, "quobyte"},
        {!!source.azure_disk, "azureDisk"},
        {!!source.photon_persistent_disk, "photonPersistentDisk"},
        {!!source.portworx_volume, "portworxVolume"},
        {!!source.scale_io, "scaleIO"},
        {!!source.storageos, "storageos"},
        {true, "unknown"}};
    for (auto [set, type] : all)
      if (set) {
        types.emplace(type);
        break;
      }
  }
  if (who.empty()) return {};
  return {
      "restricted volume types",
      std::string(plural("volume", "volumes", who.size())) + " " + join(who) + " " +
          std::string(plural("uses", "use", who.size())) + " " +
          std::string(plural("restricted volume type", "restricted volume types", types.size())) +
          " " + join(types)};
}

Finding run_as_non_root(const ObjectMeta&, const PodSpec& spec) {
  Names explicitly, implicitly;
  bool pod_bad = false, pod_good = false;
  if (spec.security_context && spec.security_context->run_as_non_root.has_value()) {
    pod_good = *spec.security_context->run_as_non_root;
    pod_bad = !pod_good;
  }
  visit(spec, [&](const auto& container) {
    if (container.security_context && container.security_context->run_as_non_root.has_value()) {
      if (!*container.security_context->run_as_non_root) explicitly.push_back(container.name.str());
    } else if (!pod_good) {
      implicitly.push_back(container.name.str());
    }
  });
  if (pod_bad || !explicitly.empty())
    return {"runAsNonRoot != true",
            setters(pod_bad, explicitly) + " must not set securityContext.runAsNonRoot=false"};
  if (implicitly.empty()) return {};
  return {"runAsNonRoot != true",
          "pod or " + containers(implicitly) + " must set securityContext.runAsNonRoot=true"};
}

Finding run_as_user(const ObjectMeta&, const PodSpec& spec) {
  auto root = [](const auto& context) {
    return context.run_as_user.has_value() && *context.run_as_user == 0;
  };
  bool pod = spec.security_context && root(*spec.security_context);
  Names who;
  visit_contexts(spec, [&](const std::string& name, const auto& context) {
    if (root(context)) who.push_back(name);
  });
  if (!pod && who.empty()) return {};
  return {"runAsUser=0", setters(pod, who) + " must not set runAsUser=0"};
}

// A check from one minor version on, until the next row of the same id. In the order of upstream's
// ids: baseline, then restricted.
struct Row {
  std::string_view id;
  int since;
  Check check;
  std::string_view instead_of = {};  // the baseline check that it stands for
};
constexpr Row kBaseline[] = {
    {"appArmorProfile", 0, &app_armor},
    {"capabilities_baseline", 0, &capabilities_baseline},
    {"hostNamespaces", 0, &host_namespaces},
    {"hostPathVolumes", 0, &host_path},
    {"hostPorts", 0, &host_ports},
    {"privileged", 0, &privileged},
    {"procMount", 0, &proc_mount},
    {"seLinuxOptions", 0, &se_linux},
    {"seccompProfile_baseline", 0, &seccomp_annotations},
    {"seccompProfile_baseline", 19, &seccomp_baseline},
    {"sysctls", 0, &sysctls_1_0},
    {"sysctls", 27, &sysctls_1_27},
    {"windowsHostProcess", 0, &windows_host_process},
};
constexpr Row kRestricted[] = {
    {"allowPrivilegeEscalation", 8, &privilege_escalation},
    {"allowPrivilegeEscalation", 25, &privilege_escalation_but_windows},
    {"capabilities_restricted", 22, &capabilities_restricted, "capabilities_baseline"},
    {"capabilities_restricted", 25, &capabilities_restricted_but_windows, "capabilities_baseline"},
    {"restrictedVolumes", 0, &restricted_volumes, "hostPathVolumes"},
    {"runAsNonRoot", 0, &run_as_non_root},
    {"runAsUser", 23, &run_as_user},
    {"seccompProfile_restricted", 19, &seccomp_restricted, "seccompProfile_baseline"},
    {"seccompProfile_restricted", 25, &seccomp_restricted_but_windows, "seccompProfile_baseline"},
};

// The rows in force at a minor version.
std::vector<const Row*> in_force(std::span<const Row> rows, int minor) {
  std::vector<const Row*> out;
  for (const Row& row : rows) {
    if (minor >= 0 && row.since > minor) continue;
    if (!out.empty() && out.back()->id == row.id)
      out.back() = &row;
    else
      out.push_back(&row);
  }
  return out;
}

}  // namespace

std::string violations(const Rule& rule, const ObjectMeta& meta, const PodSpec& spec, bool detail) {
  if (rule.level == Level::kPrivileged) return {};
  std::vector<const Row*> checks = in_force(kBaseline, rule.minor);
  if (rule.level == Level::kRestricted) {
    std::vector<const Row*> more = in_force(kRestricted, rule.minor);
    for (const Row* row : more)
      std::erase_if(checks, [&](const Row* baseline) { return baseline->id == row->instead_of; });
    checks.insert(checks.end(), more.begin(), more.end());
  }
  std::string out;
  for (const Row* row : checks) {
    Finding finding = row->check(meta, spec);
    if (finding.reason.empty()) continue;
    if (!out.empty()) out += ", ";
    out += finding.reason;
    if (detail && !finding.detail.empty()) out += " (" + finding.detail + ")";
  }
  return out;
}

}  // namespace knarr::apiserver::admission::pod_security
