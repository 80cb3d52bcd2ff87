// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/workloads.h"

namespace knarr::apiserver {

std::string go_selector(const meta::LabelSelector& selector) {
  std::string out = "v1.LabelSelector{MatchLabels:" + go_map(selector.match_labels) +
                    ", MatchExpressions:[]v1.LabelSelectorRequirement";
  if (selector.match_expressions.is_null()) return out + "(nil)}";
  out += "{";
  for (size_t i = 0; i < selector.match_expressions.size(); ++i) {
    const auto& expression = selector.match_expressions[i];
    if (i > 0) out += ", ";
    out += "v1.LabelSelectorRequirement{Key:" + quoted(expression.key) +
           ", Operator:" + quoted(expression.operator_) + ", Values:" + go_list(expression.values) +
           "}";
  }
  return out + "}}";
}

std::string go_int_or_string(const schema::IntOrString& value) {
  return std::string("intstr.IntOrString{Type:") + (value.is_string ? "1" : "0") +
         ", IntVal:" + std::to_string(value.number) + ", StrVal:" + quoted(value.text) + "}";
}

void validate_workload_selector(const schema::Box<meta::LabelSelector>& selector,
                                std::string_view kind, const Path& path, FieldErrors& errors) {
  if (!selector) return errors.required(path);
  validate_label_selector(selector.get(), path, errors);
  if (selector->match_labels.empty() && selector->match_expressions.empty())
    errors.invalid(path, go_selector(*selector),
                   "empty selector is invalid for " + std::string(kind));
}

void validate_selected_template(const core::PodTemplateSpec& spec,
                                const schema::LabelSelector& selector, std::string_view kind,
                                const Path& path, const PodOptions& options, FieldErrors& errors) {
  if (!selector.matches_everything() && !selector.matches(spec.metadata.labels))
    errors.invalid(path / "metadata" / "labels", go_map(spec.metadata.labels),
                   "`selector` does not match template `labels`");
  validate_pod_template(spec, path, options, errors);
  if (!(spec.spec.restart_policy == "Always"))
    errors.not_supported(path / "spec" / "restartPolicy", quoted(spec.spec.restart_policy),
                         {"Always"});
  if (spec.spec.active_deadline_seconds)
    errors.forbidden(path / "spec" / "activeDeadlineSeconds",
                     "activeDeadlineSeconds in " + std::string(kind) + " is not Supported");
}

void validate_int_or_percent(const schema::IntOrString& value, const Path& path,
                             FieldErrors& errors) {
  if (!value.is_string) return validate_nonnegative(value.number, path, errors);
  for (const std::string& message : check_percent(value.text))
    errors.invalid(path, go_int_or_string(value), message);
}

int int_or_percent(const schema::IntOrString& value) {
  if (!value.is_string) return value.number;
  // More than six digits are above every limit anyway.
  std::string_view text = value.text.view().substr(0, 7);
  int number = 0;
  for (char c : text) {
    if (c < '0' || c > '9') break;
    number = number * 10 + (c - '0');
  }
  return number;
}

void validate_at_most_100_percent(const schema::IntOrString& value, const Path& path,
                                  FieldErrors& errors) {
  if (value.is_string && check_percent(value.text).empty() && int_or_percent(value) > 100)
    errors.invalid(path, go_int_or_string(value), "must not be greater than 100%");
}

void validate_not_above(int32_t value, int32_t most, const Path& path, std::string_view message,
                        FieldErrors& errors) {
  if (value > most) errors.invalid(path, std::to_string(value), message);
}

void validate_collision_count(const Opt<int32_t>& now, const Opt<int32_t>& before,
                              FieldErrors& errors) {
  if (now) validate_nonnegative(*now, Path("status") / "collisionCount", errors);
  if (before && now.value_or(INT32_MIN) < *before)
    errors.invalid(Path("status") / "collisionCount", std::to_string(now.value_or(0)),
                   "cannot be decremented");
}

void validate_selector_unchanged(const schema::Box<meta::LabelSelector>& now,
                                 const schema::Box<meta::LabelSelector>& before,
                                 FieldErrors& errors) {
  if (!(now == before))
    errors.invalid(Path("spec") / "selector", go_selector(now), kFieldImmutable);
}

void warn_of_name(WriteContext& context, const Str& name) {
  Messages problems = check_dns1123_label(name);
  if (!problems.empty())
    context.warnings.push_back(
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
        "behavior; a DNS label is "
        "recommended: [" +
        join(problems, " ") + "]");
}

}  // namespace knarr::apiserver
