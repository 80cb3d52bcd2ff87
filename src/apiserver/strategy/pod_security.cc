// SPDX-License-Identifier: Apache-2.0
// Validation of security contexts, of pods and containers.
#include <set>

#include "apiserver/strategy/pod.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kSeccompPod = "seccomp.security.alpha.kubernetes.io/pod";
constexpr std::string_view kSeccompContainer = "container.seccomp.security.alpha.kubernetes.io/";
constexpr std::string_view kLocalhostPrefix = "localhost/";

void validate_seccomp_profile(const core::SeccompProfile* profile, const Path& path,
                              FieldErrors& errors) {
  if (profile == nullptr) return;
  if (profile->type.empty()) {
    errors.required(path / "type", "type is required when seccompProfile is set");
  } else {
    validate_supported(profile->type, {"Localhost", "RuntimeDefault", "Unconfined"}, path / "type",
                       errors);
  }
  Path local = path / "localhostProfile";
  if (profile->type == "Localhost") {
    if (!profile->localhost_profile) {
      errors.required(local, "must be set when seccomp type is Localhost");
    } else {
      validate_descending_path(*profile->localhost_profile, local, errors);
    }
  } else if (profile->localhost_profile) {
    errors.invalid(local, "core.SeccompProfile{Type:" + quoted(profile->type) + "}",
                   "can only be set when seccomp type is Localhost");
  }
}

void check_id(const Opt<int64_t>& id, const Path& path, FieldErrors& errors) {
  if (!id) return;
  for (const std::string& message : check_user_id(*id))
    errors.invalid(path, std::to_string(*id), message);
}

bool has_control_character(std::string_view text) {
  for (char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  return false;
}

// NetBIOS (15 characters, none of \/:*?"<>|, no leading dot) or DNS.
bool valid_windows_domain(std::string_view domain) {
  bool netbios = !domain.empty() && domain.size() <= 15 && domain.front() != '.' &&
                 domain.find_first_of("\\/:*?\"<>|") == domain.npos;
  if (netbios) return true;
  for (std::string_view label : split(domain, '.'))
    if (label.size() > 63 || !is_dns1123_label(lower(label))) return false;
  return true;
}

void validate_windows_user(std::string_view name, const Path& path, FieldErrors& errors) {
  auto refuse = [&](std::string_view why) { errors.invalid(path, quoted(name), why); };
  if (name.empty()) return refuse("runAsUserName cannot be an empty string");
  if (has_control_character(name)) return refuse("runAsUserName cannot contain control characters");
  std::vector<std::string_view> parts = split(name, '\\');
  if (parts.size() > 2) return refuse("runAsUserName cannot contain more than one backslash");
  std::string_view user = parts.back();
  if (parts.size() == 2) {
    if (parts[0].size() >= 256)
      refuse("runAsUserName's Domain length must be under 256 characters");
    if (!valid_windows_domain(parts[0]))
      refuse("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user.empty()) {
    refuse("runAsUserName's User cannot be empty");
  } else if (user.size() > 104) {
    refuse("runAsUserName's User length must not be longer than 104 characters");
  }
  if (!user.empty() && user.find_first_not_of(". ") == user.npos)
    refuse("runAsUserName's User cannot contain only periods or spaces");
  if (user.find_first_of("\"/\\:;|=,+*?<>@[]") != user.npos)
    refuse("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
}

void validate_windows_options(const core::WindowsSecurityContextOptions* options, const Path& path,
                              FieldErrors& errors) {
  if (options == nullptr) return;
  if (options->gmsa_credential_spec_name)
    invalid_each(path / "gmsaCredentialSpecName", *options->gmsa_credential_spec_name,
                 check_dns1123_subdomain(*options->gmsa_credential_spec_name), errors);
  if (options->gmsa_credential_spec) {
    const Str& spec = *options->gmsa_credential_spec;
    if (spec.empty()) {
      errors.invalid(path / "gmsaCredentialSpec", "\"\"",
                     "gmsaCredentialSpec cannot be an empty string");
    } else if (spec.size() > 64 * 1024) {
      errors.invalid(path / "gmsaCredentialSpec", quoted(spec),
                     "gmsaCredentialSpec size must be under 64 KiB");
    }
  }
  if (options->run_as_user_name)
    validate_windows_user(*options->run_as_user_name, path / "runAsUserName", errors);
}

// Segments of [a-z0-9]([-_a-z0-9]*[a-z0-9])? between dots or slashes.
bool valid_sysctl_name(std::string_view name) {
  if (name.size() > 253) return false;
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool start = true;
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    bool separator = c == '.' || c == '/';
    if (separator ? start || !alnum(name[i - 1])
        : start   ? !alnum(c)
                  : !alnum(c) && c != '-' && c != '_')
      return false;
    start = separator;
  }
  return !name.empty() && alnum(name.back());
}

void validate_sysctls(const List<core::Sysctl>& sysctls, const Path& path, FieldErrors& errors) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < sysctls.size(); ++i) {
    const Str& name = sysctls[i].name;
    Path at = path.index(i) / "name";
    if (name.empty()) {
      errors.required(at);
    } else if (!valid_sysctl_name(name)) {
      errors.invalid(at, quoted(name),
                     "must have at most 253 characters and match regex "
                     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
    } else if (names.contains(name.view())) {
      errors.duplicate(at, quoted(name));
    }
    names.insert(name.view());
  }
}

void validate_annotated_profile(std::string_view profile, const Path& path, FieldErrors& errors) {
  if (profile == "runtime/default" || profile == "docker/default" || profile == "unconfined")
    return;
  if (profile.starts_with(kLocalhostPrefix))
    return validate_descending_path(profile.substr(kLocalhostPrefix.size()), path, errors);
  errors.invalid(path, quoted(profile), "must be a valid seccomp profile");
}

// The old annotation and the field must say the same.
void match_seccomp(std::string_view annotation, const core::SeccompProfile& profile,
                   const Path& path, FieldErrors& errors) {
  constexpr std::string_view kMismatch = "seccomp type in annotation and field must match";
  if (profile.type == "Unconfined") {
    if (annotation != "unconfined") errors.forbidden(path / "type", kMismatch);
  } else if (profile.type == "RuntimeDefault") {
    if (annotation != "runtime/default" && annotation != "docker/default")
      errors.forbidden(path / "type", kMismatch);
  } else if (profile.type == "Localhost") {
    if (!annotation.starts_with(kLocalhostPrefix)) {
      errors.forbidden(path / "type", kMismatch);
    } else if (!profile.localhost_profile ||
               profile.localhost_profile->view() != annotation.substr(kLocalhostPrefix.size())) {
      errors.forbidden(path / "localhostProfile",
                       "seccomp profile in annotation and field must match");
    }
  }
}

void validate_host_process(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  Opt<bool> of_pod;
  if (spec.security_context && spec.security_context->windows_options)
    of_pod = spec.security_context->windows_options->host_process;
  size_t all = 0, host = 0;
  visit_containers(spec, path, [&](const auto& container, const Path& at) {
    ++all;
    Opt<bool> own;
    if (container.security_context && container.security_context->windows_options)
      own = container.security_context->windows_options->host_process;
    if (of_pod && own && *of_pod != *own)
      errors.invalid(
          at / "securityContext" / "windowsOptions" / "hostProcess", *own ? "true" : "false",
          std::string("pod hostProcess value must be identical if both are specified, was ") +
              (*of_pod ? "true" : "false"));
    if (own.value_or(of_pod.value_or(false))) ++host;
  });
  if (host == 0) return;
  if (host != all)
    errors.invalid(path, "\"\"",
                   "If pod contains any hostProcess containers then all containers must be "
                   "HostProcess containers");
  if (!spec.host_network)
    errors.invalid(path / "hostNetwork", "false",
                   "hostNetwork must be true if pod contains any hostProcess containers");
}

void refuse_on_windows(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  auto refuse = [&](bool set, const Path& at) {
    if (set) errors.forbidden(at, "cannot be set for a windows pod");
  };
  if (spec.security_context) {
    const core::PodSecurityContext& context = *spec.security_context;
    Path at = path / "securityContext";
    refuse(context.se_linux_options.has_value(), at / "seLinuxOptions");
    refuse(spec.host_users.has_value(), path / "hostUsers");
    refuse(spec.host_pid, path / "hostPID");
    refuse(spec.host_ipc, path / "hostIPC");
    refuse(context.seccomp_profile.has_value(), at / "seccompProfile");
    refuse(context.fs_group.has_value(), at / "fsGroup");
    refuse(context.fs_group_change_policy.has_value(), at / "fsGroupChangePolicy");
    refuse(!context.sysctls.empty(), at / "sysctls");
    refuse(spec.share_process_namespace.has_value(), path / "shareProcessNamespace");
    refuse(context.run_as_user.has_value(), at / "runAsUser");
    refuse(context.run_as_group.has_value(), at / "runAsGroup");
    refuse(!context.supplemental_groups.is_null(), at / "supplementalGroups");
  }
  visit_containers(spec, path, [&](const auto& container, const Path& where) {
    if (!container.security_context) return;
    const core::SecurityContext& context = *container.security_context;
    Path at = where / "securityContext";
    refuse(context.se_linux_options.has_value(), at / "seLinuxOptions");
    refuse(context.seccomp_profile.has_value(), at / "seccompProfile");
    refuse(context.capabilities.has_value(), at / "capabilities");
    refuse(context.read_only_root_filesystem.has_value(), at / "readOnlyRootFilesystem");
    refuse(context.privileged.has_value(), at / "privileged");
    refuse(context.allow_privilege_escalation.has_value(), at / "allowPrivilegeEscalation");
    refuse(context.proc_mount.has_value(), at / "procMount");
    refuse(context.run_as_user.has_value(), at / "runAsUser");
    refuse(context.run_as_group.has_value(), at / "runAsGroup");
  });
}

}  // namespace

void validate_security_context(const core::SecurityContext* context, const Path& path,
                               FieldErrors& errors) {
  if (context == nullptr) return;
  check_id(context->run_as_user, path / "runAsUser", errors);
  check_id(context->run_as_group, path / "runAsGroup", errors);
  if (context->proc_mount)
    validate_supported(*context->proc_mount, {"Default", "Unmasked"}, path / "procMount", errors);
  validate_seccomp_profile(context->seccomp_profile.get(), path / "seccompProfile", errors);
  if (!context->allow_privilege_escalation.value_or(true)) {
    if (context->privileged.value_or(false))
      errors.invalid(path, "core.SecurityContext",
                     "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    if (context->capabilities && contains(context->capabilities->add, "CAP_SYS_ADMIN"))
      errors.invalid(
          path, "core.SecurityContext",
          "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN");
  }
  validate_windows_options(context->windows_options.get(), path / "windowsOptions", errors);
}

void validate_pod_security_context(const core::PodSpec& spec, const Path& path,
                                   FieldErrors& errors) {
  if (spec.security_context) {
    const core::PodSecurityContext& context = *spec.security_context;
    Path at = path / "securityContext";
    check_id(context.fs_group, at / "fsGroup", errors);
    check_id(context.run_as_user, at / "runAsUser", errors);
    check_id(context.run_as_group, at / "runAsGroup", errors);
    for (size_t i = 0; i < context.supplemental_groups.size(); ++i)
      check_id(context.supplemental_groups[i], (at / "supplementalGroups").index(i), errors);
    if (spec.share_process_namespace.value_or(false) && spec.host_pid)
      errors.invalid(at / "shareProcessNamespace", "true",
                     "ShareProcessNamespace and HostPID cannot both be enabled");
    validate_sysctls(context.sysctls, at / "sysctls", errors);
    if (context.fs_group_change_policy)
      validate_supported(*context.fs_group_change_policy, {"Always", "OnRootMismatch"},
                         at / "fsGroupChangePolicy", errors);
    validate_seccomp_profile(context.seccomp_profile.get(), at / "seccompProfile", errors);
    validate_windows_options(context.windows_options.get(), at / "windowsOptions", errors);
  }
}

void validate_seccomp(const Map<Str>& annotations, const core::PodSpec& spec, const Path& path,
                      FieldErrors& errors) {
  if (spec.security_context && spec.security_context->seccomp_profile)
    if (const Str* annotation = annotations.find(kSeccompPod))
      match_seccomp(*annotation, *spec.security_context->seccomp_profile,
                    path / "securityContext" / "seccompProfile", errors);
  visit_containers(spec, path, [&](const auto& container, const Path& at) {
    if (!container.security_context || !container.security_context->seccomp_profile) return;
    if (const Str* annotation =
            annotations.find(std::string(kSeccompContainer) + container.name.str()))
      match_seccomp(*annotation, *container.security_context->seccomp_profile,
                    at / "securityContext" / "seccompProfile", errors);
  });
}

void validate_pod_annotations(const Map<Str>& annotations, const core::PodSpec& spec,
                              const Path& path, const PodOptions& options, FieldErrors& errors) {
  constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
  constexpr std::string_view kDeletionCost = "controller.kubernetes.io/pod-deletion-cost";
  constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";
  if (const Str* mirror = annotations.find(kMirror); mirror != nullptr && spec.node_name.empty())
    errors.invalid(path.key(kMirror), quoted(*mirror),
                   "must set spec.nodeName if mirror pod annotation is set");
  if (const Str* cost = annotations.find(kDeletionCost);
      cost != nullptr && !options.allow_invalid_deletion_cost) {
    std::string_view text = *cost;
    std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    // 32 bits, without the spellings that Go's parser takes and JSON does not (leading + or zeros).
    bool good = !digits.empty() && digits.size() <= 10 &&
                digits.find_first_not_of("0123456789") == digits.npos &&
                (digits == "0" || digits[0] != '0');
    if (good) {
      int64_t value = std::stoll(std::string(text));
      good = value >= INT32_MIN && value <= INT32_MAX;
    }
    if (!good) errors.invalid(path.key(kDeletionCost), quoted(text), "must be a 32bit integer");
  }
  if (const Str* profile = annotations.find(kSeccompPod))
    validate_annotated_profile(*profile, path / kSeccompPod, errors);
  for (const auto& [key, value] : annotations) {
    if (key.view().starts_with(kSeccompContainer))
      validate_annotated_profile(value, path / key.view(), errors);
    if (!key.view().starts_with(kAppArmor)) continue;
    std::string_view name = key.view().substr(kAppArmor.size());
    bool found = false;
    visit_containers(spec, path,
                     [&](const auto& container, const Path&) { found |= container.name == name; });
    if (!found) errors.invalid(path.key(key), quoted(name), "container not found");
    std::string_view profile = value;
    if (!profile.empty() && profile != "runtime/default" && profile != "unconfined" &&
        !profile.starts_with(kLocalhostPrefix))
      errors.invalid(path.key(key), quoted(profile),
                     "invalid AppArmor profile name: " + quoted(profile));
  }
}

void validate_pod_os(const core::PodSpec& spec, const Path& path, FieldErrors& errors) {
  validate_host_process(spec, path, errors);
  if (!spec.host_users.value_or(true)) {
    if (spec.host_network)
      errors.forbidden(path / "hostNetwork", "when `pod.Spec.HostUsers` is false");
    if (spec.host_pid) errors.forbidden(path / "HostPID", "when `pod.Spec.HostUsers` is false");
    if (spec.host_ipc) errors.forbidden(path / "HostIPC", "when `pod.Spec.HostUsers` is false");
  }
  if (!spec.os) return;
  if (spec.os->name.empty()) return errors.required(path / "os" / "name", "cannot be empty");
  if (spec.os->name == "windows") return refuse_on_windows(spec, path, errors);
  if (!(spec.os->name == "linux"))
    return errors.not_supported(path / "os", quoted(spec.os->name), {"linux", "windows"});
  constexpr std::string_view kWindowsOnly = "windows options cannot be set for a linux pod";
  if (spec.security_context && spec.security_context->windows_options)
    errors.forbidden(path / "securityContext" / "windowsOptions", kWindowsOnly);
  visit_containers(spec, path, [&](const auto& container, const Path& at) {
    if (container.security_context && container.security_context->windows_options)
      errors.forbidden(at / "securityContext" / "windowsOptions", kWindowsOnly);
  });
}

}  // namespace knarr::apiserver
