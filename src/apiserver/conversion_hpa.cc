// SPDX-License-Identifier: Apache-2.0
#include "apiserver/conversion_hpa.h"

#include "api/autoscaling_v1.h"
#include "api/autoscaling_v2.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::apiserver {
namespace {

namespace v1 = api::autoscaling_v1;
namespace v2 = api::autoscaling_v2;
using Annotations = schema::Map<schema::Str>;

constexpr std::string_view kMetrics = "autoscaling.alpha.kubernetes.io/metrics";
constexpr std::string_view kStatuses = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr std::string_view kConditions = "autoscaling.alpha.kubernetes.io/conditions";
constexpr std::string_view kBehavior = "autoscaling.alpha.kubernetes.io/behavior";
// What v1 means without any target.
constexpr int32_t kDefaultUtilization = 80;

void drop_annotations(Annotations& annotations) {
  for (std::string_view name : {kMetrics, kStatuses, kConditions, kBehavior}) annotations.erase(name);
}

template <class T>
std::string json_array(const schema::List<T>& list) {
  std::string text = "[";
  for (const T& each : list) text += (text.size() > 1 ? "," : "") + schema::to_json(each);
  return text + "]";
}

// Malformed annotations are ignored, as upstream ignores them.
template <class T>
bool parse_array(const Annotations& annotations, std::string_view name, schema::List<T>& list) {
  const schema::Str* text = annotations.find(name);
  if (text == nullptr) return false;
  auto value = json::parse(*text);
  if (!value.ok() || !value->is_array()) return false;
  for (const json::Value& item : value->items()) {
    auto parsed = schema::from_json<T>(json::to_string(item));
    if (!parsed.ok()) return false;
    list.push_back(std::move(*parsed));
  }
  return true;
}

// Upstream writes the behaviour with Go's field names, so keys differ from the API's in their first letter.
json::Value with_case(const json::Value& value, bool upper) {
  if (value.is_array()) {
    json::Value out = json::Value::array();
    for (const json::Value& item : value.items()) out.push_back(with_case(item, upper));
    return out;
  }
  if (!value.is_object()) return value;
  json::Value out = json::Value::object();
  for (const auto& [key, member] : value.members()) {
    if (member.is_null()) continue;
    std::string name = key;
    if (!name.empty()) name[0] = static_cast<char>(upper ? std::toupper(name[0]) : std::tolower(name[0]));
    out[name] = with_case(member, upper);
  }
  return out;
}

template <class To, class From>
void copy_reference(const From& from, To& to) {
  to.kind = from.kind;
  to.name = from.name;
  to.api_version = from.api_version;
}

const schema::Quantity& or_zero(const schema::Opt<schema::Quantity>& quantity) {
  static const schema::Quantity zero("0");
  return quantity.has_value() ? *quantity : zero;
}

// ---- metric sources -----------------------------------------------------------------------------------------------------------

v1::MetricSpec spec_to_v1(const v2::MetricSpec& in) {
  v1::MetricSpec out;
  out.type = in.type;
  if (in.object) {
    auto& to = out.object.ensure();
    copy_reference(in.object->described_object, to.target);
    to.metric_name = in.object->metric.name;
    to.selector = in.object->metric.selector;
    to.target_value = or_zero(in.object->target.value);
    to.average_value = in.object->target.average_value;
  }
  if (in.pods) {
    auto& to = out.pods.ensure();
    to.metric_name = in.pods->metric.name;
    to.selector = in.pods->metric.selector;
    to.target_average_value = or_zero(in.pods->target.average_value);
  }
  if (in.resource) {
    auto& to = out.resource.ensure();
    to.name = in.resource->name;
    to.target_average_utilization = in.resource->target.average_utilization;
    to.target_average_value = in.resource->target.average_value;
  }
  if (in.container_resource) {
    auto& to = out.container_resource.ensure();
    to.name = in.container_resource->name;
    to.container = in.container_resource->container;
    to.target_average_utilization = in.container_resource->target.average_utilization;
    to.target_average_value = in.container_resource->target.average_value;
  }
  if (in.external) {
    auto& to = out.external.ensure();
    to.metric_name = in.external->metric.name;
    to.metric_selector = in.external->metric.selector;
    to.target_value = in.external->target.value;
    to.target_average_value = in.external->target.average_value;
  }
  return out;
}

void set_target(v2::MetricTarget& target, const schema::Opt<schema::Quantity>& value, const schema::Opt<schema::Quantity>& average,
                const schema::Opt<int32_t>& utilization) {
  target.value = value;
  target.average_value = average;
  target.average_utilization = utilization;
  target.type = utilization.has_value() ? "Utilization" : average.has_value() ? "AverageValue" : "Value";
}

v2::MetricSpec spec_to_v2(const v1::MetricSpec& in) {
  v2::MetricSpec out;
  out.type = in.type;
  if (in.object) {
    auto& to = out.object.ensure();
    copy_reference(in.object->target, to.described_object);
    to.metric.name = in.object->metric_name;
    to.metric.selector = in.object->selector;
    if (in.object->average_value.has_value()) {
      set_target(to.target, {}, in.object->average_value, {});
    } else {
      set_target(to.target, in.object->target_value, {}, {});
    }
  }
  if (in.pods) {
    auto& to = out.pods.ensure();
    to.metric.name = in.pods->metric_name;
    to.metric.selector = in.pods->selector;
    set_target(to.target, {}, in.pods->target_average_value, {});
  }
  if (in.resource) {
    auto& to = out.resource.ensure();
    to.name = in.resource->name;
    set_target(to.target, {}, in.resource->target_average_value, in.resource->target_average_utilization);
  }
  if (in.container_resource) {
    auto& to = out.container_resource.ensure();
    to.name = in.container_resource->name;
    to.container = in.container_resource->container;
    set_target(to.target, {}, in.container_resource->target_average_value, in.container_resource->target_average_utilization);
  }
  if (in.external) {
    auto& to = out.external.ensure();
    to.metric.name = in.external->metric_name;
    to.metric.selector = in.external->metric_selector;
    set_target(to.target, in.external->target_value, in.external->target_average_value, {});
  }
  return out;
}

// ---- metric statuses ----------------------------------------------------------------------------------------------------------

v1::MetricStatus status_to_v1(const v2::MetricStatus& in) {
  v1::MetricStatus out;
  out.type = in.type;
  if (in.object) {
    auto& to = out.object.ensure();
    copy_reference(in.object->described_object, to.target);
    to.metric_name = in.object->metric.name;
    to.selector = in.object->metric.selector;
    to.current_value = or_zero(in.object->current.value);
    to.average_value = in.object->current.average_value;
  }
  if (in.pods) {
    auto& to = out.pods.ensure();
    to.metric_name = in.pods->metric.name;
    to.selector = in.pods->metric.selector;
    to.current_average_value = or_zero(in.pods->current.average_value);
  }
  if (in.resource) {
    auto& to = out.resource.ensure();
    to.name = in.resource->name;
    to.current_average_utilization = in.resource->current.average_utilization;
    to.current_average_value = or_zero(in.resource->current.average_value);
  }
  if (in.container_resource) {
    auto& to = out.container_resource.ensure();
    to.name = in.container_resource->name;
    to.container = in.container_resource->container;
    to.current_average_utilization = in.container_resource->current.average_utilization;
    to.current_average_value = or_zero(in.container_resource->current.average_value);
  }
  if (in.external) {
    auto& to = out.external.ensure();
    to.metric_name = in.external->metric.name;
    to.metric_selector = in.external->metric.selector;
    to.current_value = or_zero(in.external->current.value);
    to.current_average_value = in.external->current.average_value;
  }
  return out;
}

v2::MetricStatus status_to_v2(const v1::MetricStatus& in) {
  v2::MetricStatus out;
  out.type = in.type;
  if (in.object) {
    auto& to = out.object.ensure();
    copy_reference(in.object->target, to.described_object);
    to.metric.name = in.object->metric_name;
    to.metric.selector = in.object->selector;
    to.current.value = in.object->current_value;
    to.current.average_value = in.object->average_value;
  }
  if (in.pods) {
    auto& to = out.pods.ensure();
    to.metric.name = in.pods->metric_name;
    to.metric.selector = in.pods->selector;
    to.current.average_value = in.pods->current_average_value;
  }
  if (in.resource) {
    auto& to = out.resource.ensure();
    to.name = in.resource->name;
    to.current.average_utilization = in.resource->current_average_utilization;
    to.current.average_value = in.resource->current_average_value;
  }
  if (in.container_resource) {
    auto& to = out.container_resource.ensure();
    to.name = in.container_resource->name;
    to.container = in.container_resource->container;
    to.current.average_utilization = in.container_resource->current_average_utilization;
    to.current.average_value = in.container_resource->current_average_value;
  }
  if (in.external) {
    auto& to = out.external.ensure();
    to.metric.name = in.external->metric_name;
    to.metric.selector = in.external->metric_selector;
    to.current.value = in.external->current_value;
    to.current.average_value = in.external->current_average_value;
  }
  return out;
}

bool is_cpu_utilization(const v2::MetricSpec& metric) {
  return metric.type == "Resource" && metric.resource && metric.resource->name == "cpu" && metric.resource->target.average_utilization.has_value();
}

v2::MetricSpec cpu_utilization(int32_t percent) {
  v2::MetricSpec metric;
  metric.type = "Resource";
  auto& resource = metric.resource.ensure();
  resource.name = "cpu";
  resource.target.type = "Utilization";
  resource.target.average_utilization = percent;
  return metric;
}

template <class From, class To>
void copy_common(const From& in, To& out) {
  out.metadata = in.metadata;
  copy_reference(in.spec.scale_target_ref, out.spec.scale_target_ref);
  out.spec.min_replicas = in.spec.min_replicas;
  out.spec.max_replicas = in.spec.max_replicas;
  out.status.observed_generation = in.status.observed_generation;
  out.status.last_scale_time = in.status.last_scale_time;
  out.status.current_replicas = in.status.current_replicas;
  out.status.desired_replicas = in.status.desired_replicas;
}

void to_v1(const v2::HorizontalPodAutoscaler& in, v1::HorizontalPodAutoscaler& out) {
  copy_common(in, out);
  Annotations& annotations = out.metadata.annotations;
  drop_annotations(annotations);
  schema::List<v1::MetricSpec> others;
  for (const v2::MetricSpec& metric : in.spec.metrics) {
    if (!is_cpu_utilization(metric)) {
      others.push_back(spec_to_v1(metric));
    } else if (!out.spec.target_cpu_utilization_percentage.has_value()) {
      out.spec.target_cpu_utilization_percentage = *metric.resource->target.average_utilization;
    }
  }
  if (!others.empty()) annotations[kMetrics] = json_array(others);
  schema::List<v1::MetricStatus> statuses;
  for (const v2::MetricStatus& metric : in.status.current_metrics) {
    statuses.push_back(status_to_v1(metric));
    if (metric.type == "Resource" && metric.resource && metric.resource->name == "cpu" && metric.resource->current.average_utilization.has_value())
      out.status.current_cpu_utilization_percentage = *metric.resource->current.average_utilization;
  }
  if (!statuses.empty()) annotations[kStatuses] = json_array(statuses);
  if (!in.status.conditions.empty()) annotations[kConditions] = json_array(in.status.conditions);
  if (in.spec.behavior) {
    auto value = json::parse(schema::to_json(*in.spec.behavior));
    if (value.ok()) annotations[kBehavior] = json::to_string(with_case(*value, true));
  }
}

void to_v2(const v1::HorizontalPodAutoscaler& in, v2::HorizontalPodAutoscaler& out) {
  copy_common(in, out);
  const Annotations& annotations = in.metadata.annotations;
  schema::List<v1::MetricSpec> others;
  if (parse_array(annotations, kMetrics, others))
    for (const v1::MetricSpec& metric : others) out.spec.metrics.push_back(spec_to_v2(metric));
  if (in.spec.target_cpu_utilization_percentage.has_value())
    out.spec.metrics.push_back(cpu_utilization(*in.spec.target_cpu_utilization_percentage));
  if (out.spec.metrics.empty()) out.spec.metrics.push_back(cpu_utilization(kDefaultUtilization));
  schema::List<v1::MetricStatus> statuses;
  if (parse_array(annotations, kStatuses, statuses)) {
    for (const v1::MetricStatus& metric : statuses) out.status.current_metrics.push_back(status_to_v2(metric));
  } else if (in.status.current_cpu_utilization_percentage.has_value()) {
    v2::MetricStatus& metric = out.status.current_metrics.emplace_back();
    metric.type = "Resource";
    metric.resource.ensure().name = "cpu";
    metric.resource->current.average_utilization = *in.status.current_cpu_utilization_percentage;
  }
  parse_array(annotations, kConditions, out.status.conditions);
  if (const schema::Str* text = annotations.find(kBehavior)) {
    auto value = json::parse(*text);
    if (value.ok()) {
      auto behavior = schema::from_json<v2::HorizontalPodAutoscalerBehavior>(json::to_string(with_case(*value, false)));
      if (behavior.ok()) out.spec.behavior = std::move(*behavior);
    }
  }
  drop_annotations(out.metadata.annotations);
}

}  // namespace

bool convert_autoscaler(const schema::Type& from, const void* object, schema::Object& to) {
  if (&from == &v2::HorizontalPodAutoscaler::table()) {
    auto* target = to.as<v1::HorizontalPodAutoscaler>();
    if (target != nullptr) to_v1(*static_cast<const v2::HorizontalPodAutoscaler*>(object), *target);
    return target != nullptr;
  }
  if (&from == &v1::HorizontalPodAutoscaler::table()) {
    auto* target = to.as<v2::HorizontalPodAutoscaler>();
    if (target != nullptr) to_v2(*static_cast<const v1::HorizontalPodAutoscaler*>(object), *target);
    return target != nullptr;
  }
  return false;
}

}  // namespace knarr::apiserver
