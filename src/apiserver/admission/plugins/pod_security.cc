// SPDX-License-Identifier: Apache-2.0
// PodSecurity: namespaces say by labels which pods they take. The levels themselves are in
// pod_security_checks.cc.
#include "apiserver/admission/plugins/pod_security.h"

#include "api/apps_v1.h"
#include "api/batch_v1.h"
#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/field_errors.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver::admission {

namespace {

using pod_security::Level;
using pod_security::Policy;
using pod_security::Rule;

constexpr std::string_view kPrefix = "pod-security.kubernetes.io/";

std::string_view text_of(Level level) {
  return level == Level::kPrivileged ? "privileged"
         : level == Level::kBaseline ? "baseline"
                                     : "restricted";
}
std::string text_of(const Rule& rule) {
  return std::string(text_of(rule.level)) + ":" +
         (rule.minor < 0 ? "latest" : "v1." + std::to_string(rule.minor));
}

std::string parse_level(std::string_view text, Level& level) {
  for (Level known : {Level::kPrivileged, Level::kBaseline, Level::kRestricted})
    if (text_of(known) == text) {
      level = known;
      return {};
    }
  level = Level::kRestricted;
  return "must be one of privileged, baseline, restricted";
}
std::string parse_version(std::string_view text, int& minor) {
  minor = -1;
  if (text == "latest") return {};
  std::string_view digits = text.starts_with("v1.") ? text.substr(3) : std::string_view();
  bool good = !digits.empty() && digits.size() < 6 &&
              digits.find_first_not_of("0123456789") == digits.npos &&
              (digits == "0" || digits[0] != '0');
  if (!good) return "must be \"latest\" or \"v1.x\"";
  minor = std::stoi(std::string(digits));
  return {};
}

struct Parsed {
  Policy policy;
  FieldErrors errors;
};
Parsed parse(const schema::Map<schema::Str>& labels) {
  Parsed out;
  auto label = [&](std::string_view name) {
    return labels.find(std::string(kPrefix) + std::string(name));
  };
  auto check = [&](const std::string& problem, std::string_view name, const schema::Str& value) {
    if (!problem.empty())
      out.errors.invalid(
          (Path("metadata") / "labels").key(std::string(kPrefix) + std::string(name)),
          quoted(value), problem);
    return problem.empty();
  };
  bool enforce_level = false, warn_level = false, warn_version = false;
  if (const auto* value = label("enforce"))
    enforce_level = check(parse_level(*value, out.policy.enforce.level), "enforce", *value);
  if (const auto* value = label("enforce-version"))
    check(parse_version(*value, out.policy.enforce.minor), "enforce-version", *value);
  if (const auto* value = label("audit")) {
    Level ignored;  // there is no audit log to annotate yet
    check(parse_level(*value, ignored), "audit", *value);
  }
  if (const auto* value = label("audit-version")) {
    int ignored;
    check(parse_version(*value, ignored), "audit-version", *value);
  }
  if (const auto* value = label("warn")) {
    warn_level = true;
    if (!check(parse_level(*value, out.policy.warn.level), "warn", *value))
      out.policy.warn.level = Level::kPrivileged;
  }
  if (const auto* value = label("warn-version")) {
    warn_version = true;
    check(parse_version(*value, out.policy.warn.minor), "warn-version", *value);
  }
  // Who enforces is warned as well, unless said otherwise.
  if (!warn_level && enforce_level && out.policy.enforce.level > out.policy.warn.level) {
    out.policy.warn.level = out.policy.enforce.level;
    if (!warn_version) out.policy.warn.minor = out.policy.enforce.minor;
  }
  return out;
}

Status check_namespace(Attributes& a) {
  const auto* now = object_as<core::Namespace>(a);
  if (now == nullptr || !is_for(a, "", "namespaces")) return {};
  if (a.operation != Operation::kCreate && a.operation != Operation::kUpdate) return {};
  Parsed fresh = parse(now->metadata.labels);
  const auto* old = old_as<core::Namespace>(a);
  Parsed before;
  if (old != nullptr) before = parse(old->metadata.labels);
  auto text = [](const FieldErrors& errors) {
    std::string out;
    for (const Cause& cause : errors.causes()) out += cause.field + cause.message + "\n";
    return out;
  };
  if (!fresh.errors.empty() && (old == nullptr || text(fresh.errors) != text(before.errors)))
    return invalid_status("", "Namespace", now->metadata.name, fresh.errors);
  bool stricter = fresh.policy.enforce.level != Level::kPrivileged &&
                  !(fresh.policy.enforce == before.policy.enforce) &&
                  !(fresh.policy.enforce.minor == before.policy.enforce.minor &&
                    fresh.policy.enforce.level <= before.policy.enforce.level);
  if (old == nullptr || !stricter) return {};
  // Running pods stay; whoever tightens the rule is told which would not be let in now.
  std::map<std::string, std::vector<std::string>> offenders;
  server_of(a).for_each_cached("", "pods", now->metadata.name, [&](const schema::Object& object) {
    const auto* pod = object.as<core::Pod>();
    if (pod == nullptr) return;
    std::string problem =
        pod_security::violations(fresh.policy.enforce, pod->metadata, pod->spec, false);
    if (!problem.empty()) offenders[problem].push_back(pod->metadata.name.str());
  });
  if (offenders.empty()) return {};
  a.context.warnings.push_back("existing pods in namespace " + quoted(now->metadata.name) +
                               " violate the new PodSecurity enforce level " +
                               quoted(text_of(fresh.policy.enforce)));
  for (auto& [problem, names] : offenders) {
    std::sort(names.begin(), names.end());
    std::string who = names[0];
    if (names.size() == 2) who += " (and 1 other pod)";
    if (names.size() > 2) who += " (and " + std::to_string(names.size() - 1) + " other pods)";
    a.context.warnings.push_back(who + ": " + problem);
  }
  return {};
}

// Only images, annotations of profiles and new ephemeral containers can make a difference to a pod
// that is there.
bool is_significant_update(const core::Pod& now, const core::Pod& old) {
  auto images = [](const auto& a, const auto& b) {
    if (a.size() != b.size()) return true;
    for (size_t i = 0; i < a.size(); ++i)
      if (!(a[i].image == b[i].image)) return true;
    return false;
  };
  if (images(now.spec.containers, old.spec.containers) ||
      images(now.spec.init_containers, old.spec.init_containers))
    return true;
  if (!(now.spec.ephemeral_containers == old.spec.ephemeral_containers)) return true;
  auto profiles = [](const core::Pod& pod) {
    std::map<std::string_view, std::string_view> out;
    for (const auto& [key, value] : pod.metadata.annotations)
      if (key.view().starts_with("container.apparmor.security.beta.kubernetes.io/") ||
          key.view().find("seccomp.security.alpha.kubernetes.io") != std::string_view::npos)
        out.emplace(key.view(), value.view());
    return out;
  };
  return profiles(now) != profiles(old);
}

Policy policy_of(Attributes& a) {
  auto ns = server_of(a).cached<core::Namespace>("", a.context.namespace_);
  return ns == nullptr ? Policy() : parse(ns->metadata.labels).policy;
}
void warn_of(Attributes& a, const Rule& rule, const api::meta_v1::ObjectMeta& meta,
             const core::PodSpec& spec) {
  std::string problem = pod_security::violations(rule, meta, spec, true);
  if (!problem.empty())
    a.context.warnings.push_back("would violate PodSecurity " + quoted(text_of(rule)) + ": " +
                                 problem);
}

Status check_pod(Attributes& a) {
  const auto* pod = object_as<core::Pod>(a);
  bool relevant = a.context.subresource.empty() || a.context.subresource == "ephemeralcontainers";
  if (pod == nullptr || !relevant ||
      (a.operation != Operation::kCreate && a.operation != Operation::kUpdate))
    return {};
  Policy policy = policy_of(a);
  if (policy.enforce.level == Level::kPrivileged && policy.warn.level == Level::kPrivileged)
    return {};
  const auto* old = old_as<core::Pod>(a);
  if (old != nullptr && !is_significant_update(*pod, *old)) return {};
  std::string problem = pod_security::violations(policy.enforce, pod->metadata, pod->spec, true);
  if (!problem.empty())
    return forbid(a, "violates PodSecurity " + quoted(text_of(policy.enforce)) + ": " + problem);
  warn_of(a, policy.warn, pod->metadata, pod->spec);
  return {};
}

// Templates are never refused, but their authors are warned.
void check_template(Attributes& a) {
  if (!a.context.subresource.empty() || a.object == nullptr) return;
  const core::PodTemplateSpec* made = nullptr;
  if (const auto* object = object_as<api::apps_v1::Deployment>(a)) made = &object->spec.template_;
  if (const auto* object = object_as<api::apps_v1::ReplicaSet>(a)) made = &object->spec.template_;
  if (const auto* object = object_as<api::apps_v1::DaemonSet>(a)) made = &object->spec.template_;
  if (const auto* object = object_as<api::apps_v1::StatefulSet>(a)) made = &object->spec.template_;
  if (const auto* object = object_as<api::batch_v1::Job>(a)) made = &object->spec.template_;
  if (const auto* object = object_as<api::batch_v1::CronJob>(a))
    made = &object->spec.job_template.spec.template_;
  if (const auto* object = object_as<core::PodTemplate>(a)) made = &object->template_;
  if (const auto* object = object_as<core::ReplicationController>(a))
    made = object->spec.template_.get();
  if (made == nullptr) return;
  Policy policy = policy_of(a);
  if (policy.warn.level != Level::kPrivileged) warn_of(a, policy.warn, made->metadata, made->spec);
}

Task<Status> validate(Attributes& a) {
  Status status = check_namespace(a);
  if (status.ok()) status = check_pod(a);
  if (status.ok()) check_template(a);
  co_return status;
}

}  // namespace

Plugin pod_security_standards() { return {"PodSecurity", true, nullptr, &validate}; }

}  // namespace knarr::apiserver::admission
