// SPDX-License-Identifier: Apache-2.0
// Strategy of horizontalpodautoscalers, which are stored as autoscaling/v2.
#include "api/autoscaling_v2.h"
#include "apiserver/strategy/resources.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"

namespace knarr::apiserver {

namespace {

namespace scaling = api::autoscaling_v2;
using Autoscaler = scaling::HorizontalPodAutoscaler;

// ---- defaults
// -------------------------------------------------------------------------------------------------------------------

void add_policy(scaling::HPAScalingRules& rules, std::string_view type, int32_t value) {
  scaling::HPAScalingPolicy& policy = rules.policies.emplace_back();
  policy.type = type;
  policy.value = value;
  policy.period_seconds = 15;
}
void default_rules(schema::Box<scaling::HPAScalingRules>& box, bool up) {
  scaling::HPAScalingRules& rules = box.ensure();
  if (!rules.select_policy) rules.select_policy = "Max";
  if (up && !rules.stabilization_window_seconds) rules.stabilization_window_seconds = 0;
  if (!rules.policies.is_null()) return;
  if (up) add_policy(rules, "Pods", 4);
  add_policy(rules, "Percent", 100);
}
void defaults(Autoscaler& object) {
  // v1 keeps what it has no fields for in annotations; nobody else may set them.
  for (std::string_view key :
       {"autoscaling.alpha.kubernetes.io/metrics", "autoscaling.alpha.kubernetes.io/behavior",
        "autoscaling.alpha.kubernetes.io/current-metrics",
        "autoscaling.alpha.kubernetes.io/conditions"})
    object.metadata.annotations.erase(key);
  apply_table_defaults(object);
  if (object.spec.metrics.empty()) {
    scaling::MetricSpec& metric = object.spec.metrics.emplace_back();
    metric.type = "Resource";
    scaling::ResourceMetricSource& resource = metric.resource.ensure();
    resource.name = "cpu";
    resource.target.type = "Utilization";
    resource.target.average_utilization = 80;
  }
  if (!object.spec.behavior) return;
  default_rules(object.spec.behavior->scale_up, true);
  default_rules(object.spec.behavior->scale_down, false);
}

// ---- validation
// -----------------------------------------------------------------------------------------------------------------

void validate_reference(const scaling::CrossVersionObjectReference& reference, const Path& path,
                        FieldErrors& errors) {
  auto check = [&](const Str& text, std::string_view field) {
    if (text.empty()) {
      errors.required(path / field);
    } else {
      invalid_each(path / field, text, check_path_segment(text, false), errors);
    }
  };
  check(reference.kind, "kind");
  check(reference.name, "name");
}

void validate_target(const scaling::MetricTarget& target, const Path& path, FieldErrors& errors) {
  if (target.type.empty()) errors.required(path / "type", "must specify a metric target type");
  if (!(target.type == "Utilization") && !(target.type == "Value") &&
      !(target.type == "AverageValue"))
    errors.invalid(path / "type", quoted(target.type),
                   "must be either Utilization, Value, or AverageValue");
  auto positive = [&](const Opt<schema::Quantity>& value, std::string_view field) {
    if (value && schema::QuantityValue::of(*value).sign() != 1)
      errors.invalid(path / field, go_quantity(*value), "must be positive");
  };
  positive(target.value, "value");
  positive(target.average_value, "averageValue");
  if (target.average_utilization && *target.average_utilization < 1)
    errors.invalid(path / "averageUtilization", std::to_string(*target.average_utilization),
                   "must be greater than 0");
}
void validate_identifier(const scaling::MetricIdentifier& metric, const Path& path,
                         FieldErrors& errors) {
  if (metric.name.empty()) {
    errors.required(path / "name", "must specify a metric name");
  } else {
    invalid_each(path / "name", metric.name, check_path_segment(metric.name, false), errors);
  }
}
// A resource's target is a utilization or a raw value.
void validate_resource_target(const scaling::MetricTarget& target, const Path& path,
                              FieldErrors& errors) {
  validate_target(target, path, errors);
  if (!target.average_utilization && !target.average_value)
    errors.required(path / "averageUtilization",
                    "must set either a target raw value or a target utilization");
  if (target.average_utilization && target.average_value)
    errors.forbidden(path / "averageValue",
                     "may not set both a target raw value and a target utilization");
}

void validate_metric(const scaling::MetricSpec& metric, const Path& path, FieldErrors& errors) {
  std::vector<std::string_view> present;
  auto first = [&](bool set, std::string_view name) {
    if (set) present.push_back(name);
    return set && present.size() == 1;
  };
  const std::vector<std::string_view> kTypes = {"ContainerResource", "External", "Object", "Pods",
                                                "Resource"};
  if (metric.type.empty()) errors.required(path / "type", "must specify a metric source type");
  validate_supported(metric.type, kTypes, path / "type", errors);
  if (first(metric.object.has_value(), "object")) {
    Path at = path / "object";
    validate_reference(metric.object->described_object, at / "describedObject", errors);
    validate_identifier(metric.object->metric, at / "metric", errors);
    validate_target(metric.object->target, at / "target", errors);
    if (!metric.object->target.value && !metric.object->target.average_value)
      errors.required(at / "target" / "averageValue",
                      "must set either a target value or averageValue");
  }
  if (first(metric.external.has_value(), "external")) {
    Path at = path / "external";
    validate_identifier(metric.external->metric, at / "metric", errors);
    validate_target(metric.external->target, at / "target", errors);
    bool value = metric.external->target.value.has_value(),
         average = metric.external->target.average_value.has_value();
    if (!value && !average)
      errors.required(at / "target" / "averageValue",
                      "must set either a target value for metric or a per-pod target");
    if (value && average)
      errors.forbidden(at / "target" / "value",
                       "may not set both a target value for metric and a per-pod target");
  }
  if (first(metric.pods.has_value(), "pods")) {
    Path at = path / "pods";
    validate_identifier(metric.pods->metric, at / "metric", errors);
    validate_target(metric.pods->target, at / "target", errors);
    if (!metric.pods->target.average_value)
      errors.required(at / "target" / "averageValue",
                      "must specify a positive target averageValue");
  }
  if (first(metric.resource.has_value(), "resource")) {
    Path at = path / "resource";
    if (metric.resource->name.empty()) errors.required(at / "name", "must specify a resource name");
    validate_resource_target(metric.resource->target, at / "target", errors);
  }
  if (first(metric.container_resource.has_value(), "containerResource")) {
    Path at = path / "containerResource";
    const scaling::ContainerResourceMetricSource& source = *metric.container_resource;
    if (source.name.empty()) {
      errors.required(at / "name", "must specify a resource name");
    } else {
      validate_container_resource_name(source.name, at / "name", errors);
    }
    if (source.container.empty()) {
      errors.required(at / "container", "must specify a container");
    } else {
      invalid_each(at / "container", source.container, check_dns1123_label(source.container),
                   errors);
    }
    validate_resource_target(source.target, at / "target", errors);
  }
  std::string expected(metric.type);
  if (!expected.empty()) expected[0] = static_cast<char>(expected[0] | 0x20);
  bool known = std::find(kTypes.begin(), kTypes.end(), metric.type.view()) != kTypes.end();
  bool found = std::find(present.begin(), present.end(), expected) != present.end();
  if (known && !found)
    errors.required(path / expected, "must populate information for the given metric source");
  if (present.size() == 1) return;
  for (std::string_view name : present)
    if (name != expected)
      errors.forbidden(path / name, "must populate the given metric source only");
}

void validate_rules(const schema::Box<scaling::HPAScalingRules>& rules, const Path& path,
                    FieldErrors& errors) {
  if (!rules) return;
  if (const auto& window = rules->stabilization_window_seconds) {
    if (*window < 0)
      errors.invalid(path / "stabilizationWindowSeconds", std::to_string(*window),
                     "must be greater than or equal to zero");
    if (*window > 3600)
      errors.invalid(path / "stabilizationWindowSeconds", std::to_string(*window),
                     "must be less than or equal to 3600");
  }
  if (rules->select_policy)
    validate_supported(*rules->select_policy, {"Disabled", "Max", "Min"}, path / "selectPolicy",
                       errors);
  if (rules->policies.empty())
    errors.required(path / "policies", "must specify at least one Policy");
  for (size_t i = 0; i < rules->policies.size(); ++i) {
    const scaling::HPAScalingPolicy& policy = rules->policies[i];
    Path at = (path / "policies").index(i);
    validate_supported(policy.type, {"Percent", "Pods"}, at / "type", errors);
    if (policy.value <= 0) errors.invalid(at / "value", std::to_string(policy.value), kNotPositive);
    if (policy.period_seconds <= 0)
      errors.invalid(at / "periodSeconds", std::to_string(policy.period_seconds), kNotPositive);
    if (policy.period_seconds > 1800)
      errors.invalid(at / "periodSeconds", std::to_string(policy.period_seconds),
                     "must be less than or equal to 1800");
  }
}

void validate_spec(const scaling::HorizontalPodAutoscalerSpec& spec, int32_t lowest,
                   FieldErrors& errors) {
  Path path("spec");
  if (spec.min_replicas && *spec.min_replicas < lowest)
    errors.invalid(path / "minReplicas", std::to_string(*spec.min_replicas),
                   "must be greater than or equal to " + std::to_string(lowest));
  std::string most = std::to_string(spec.max_replicas);
  if (spec.max_replicas < 1) errors.invalid(path / "maxReplicas", most, "must be greater than 0");
  if (spec.min_replicas && spec.max_replicas < *spec.min_replicas)
    errors.invalid(path / "maxReplicas", most, "must be greater than or equal to `minReplicas`");
  validate_reference(spec.scale_target_ref, path / "scaleTargetRef", errors);
  bool outside = false;
  for (size_t i = 0; i < spec.metrics.size(); ++i) {
    validate_metric(spec.metrics[i], (path / "metrics").index(i), errors);
    outside |= spec.metrics[i].type == "Object" || spec.metrics[i].type == "External";
  }
  if (spec.min_replicas && *spec.min_replicas == 0 && !outside)
    errors.forbidden(
        path / "metrics",
        "must specify at least one Object or External metric to support scaling to zero replicas");
  if (!spec.behavior) return;
  validate_rules(spec.behavior->scale_up, path / "behavior" / "scaleUp", errors);
  validate_rules(spec.behavior->scale_down, path / "behavior" / "scaleDown", errors);
}
// Gate HPAScaleToZero is off.
void validate(const Autoscaler& object, FieldErrors& errors) {
  validate_spec(object.spec, 1, errors);
}
void validate_update(const Autoscaler& object, const Autoscaler& old, FieldErrors& errors) {
  bool was_zero = old.spec.min_replicas && *old.spec.min_replicas == 0;
  validate_spec(object.spec, was_zero ? 0 : 1, errors);
}
void validate_status(const Autoscaler& object, const Autoscaler&, FieldErrors& errors) {
  validate_nonnegative(object.status.current_replicas, Path("status") / "currentReplicas", errors);
  validate_nonnegative(object.status.desired_replicas, Path("status") / "desiredReplicas", errors);
}

constexpr Strategy kStrategies[] = {
    {.group = "autoscaling",
     .plural = "horizontalpodautoscalers",
     .defaults = erase_defaults<&defaults>,
     .validate = erase_validate<&validate>,
     .validate_update = erase_validate_update<&validate_update>,
     .validate_status = erase_validate_update<&validate_status>,
     .has_status = true},
};

}  // namespace

std::span<const Strategy> autoscaling_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
