// SPDX-License-Identifier: Apache-2.0
// horizontalpodautoscaler: sets the scale of a target by metrics, every 15 s. What to do is in hpa_replicas, what is known in hpa_metrics.
#include "api/autoscaling_v1.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/discovery.h"
#include "controller/hpa_metrics.h"
#include "controller/util.h"
#include "schema/codec.h"
#include "schema/quantity.h"
#include "schema/selector.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

using api::autoscaling_v1::Scale;
using api::autoscaling_v2::HorizontalPodAutoscaler;
using api::autoscaling_v2::MetricIdentifier;
using api::autoscaling_v2::MetricSpec;
using api::autoscaling_v2::MetricStatus;
using api::autoscaling_v2::MetricTarget;
using api::core_v1::Pod;
using HpaPtr = std::shared_ptr<const HorizontalPodAutoscaler>;

constexpr Duration kPeriod = std::chrono::seconds(15), kStabilization = std::chrono::minutes(5), kDiscoveryLife = std::chrono::seconds(30);

std::string key_of(const HorizontalPodAutoscaler& hpa) { return hpa.metadata.namespace_.str() + "/" + hpa.metadata.name.str(); }
schema::Quantity milli(int64_t value) { return schema::QuantityValue::from_milli(value).to_quantity(); }
int64_t milli_of(const schema::Opt<schema::Quantity>& quantity) { return schema::QuantityValue::of(*quantity).milli_value(); }

// As Go prints a pointer to one.
std::string go_text(const schema::Box<api::meta_v1::LabelSelector>& selector) {
  if (!selector) return "nil";
  std::string labels, expressions;
  for (const auto& label : selector->match_labels) labels += fmt::format("{}: {},", label.key.view(), label.value.view());
  for (const auto& one : selector->match_expressions) {
    std::string values;
    for (const auto& value : one.values) values += (values.empty() ? "" : " ") + value.str();
    expressions +=
        fmt::format("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},", one.key.view(), one.operator_.view(), values);
  }
  return fmt::format("&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}", labels,
                     expressions);
}

class HpaController : public std::enable_shared_from_this<HpaController> {
 public:
  explicit HpaController(ContextPtr context)
      : context_(std::move(context)),
        hpas_(context_->informers.get<HorizontalPodAutoscaler>()),
        pods_(context_->informers.get<Pod>()),
        queue_(context_->make_queue("horizontalpodautoscaler")),
        events_(context_->recorder("horizontal-pod-autoscaler")),
        metrics_(context_->client) {}

  void start() {
    auto self = shared_from_this();
    hpas_.add_handler([self](const HpaPtr& old, const HpaPtr& now) { self->changed(old, now); });
    context_->run_when_synced({hpas_.core_ptr(), pods_.core_ptr()}, queue_, "horizontalpodautoscaler", 5,
                              [self](std::string key) { return self->reconcile(std::move(key)); });
  }

 private:
  struct Round {
    std::string key;
    HorizontalPodAutoscaler hpa;
    HpaPtr cached;
    ServedResourcePtr target;
    Scale scale;
    std::vector<PodPtr> pods;  // by the selector of the scale
    WallTime now;
    int32_t current = 0;
  };
  using RoundPtr = std::shared_ptr<Round>;
  // What one metric asks for, or all of them together.
  struct Wish {
    int32_t replicas = 0;
    std::string metric;
    MetricStatus status;
  };

  void changed(const HpaPtr& old, const HpaPtr& now);
  Task<Status> reconcile(std::string key);
  Task<Status> autoscale(RoundPtr round);
  Task<Status> find_target(RoundPtr round);
  Task<Result<std::shared_ptr<const Discovery>>> discovery();
  Task<Status> decide(RoundPtr round, int32_t& desired, std::string& reason, Status& partial);
  Task<Result<Wish>> wish_of_all(RoundPtr round, Status& partial, std::vector<MetricStatus>& statuses);
  Status select_pods(Round& round);
  Task<Result<Wish>> wish_of(RoundPtr round, MetricSpec spec);
  Task<Result<Wish>> wish_of_resource(RoundPtr round, std::string resource, std::string container, MetricTarget target);
  Task<Result<Wish>> wish_of_pods(RoundPtr round, MetricSpec spec);
  Task<Result<Wish>> wish_of_object(RoundPtr round, MetricSpec spec);
  Task<Result<Wish>> wish_of_external(RoundPtr round, MetricSpec spec);
  int32_t normalize(Round& round, int32_t desired);
  Task<Status> rescale(RoundPtr round, int32_t desired, std::string reason);
  Task<Status> write_status(RoundPtr round);

  static int32_t least(const Round& round) { return round.hpa.spec.min_replicas.value_or(1); }
  void set(Round& round, std::string_view type, std::string_view status, std::string_view reason, std::string_view message);
  void tell(const Round& round, std::string type, std::string reason, std::string_view message) {
    events_->event(client::reference_to(round.hpa), std::move(type), std::move(reason), std::string(message));
  }

  ContextPtr context_;
  client::Informer<HorizontalPodAutoscaler> hpas_;
  client::Informer<Pod> pods_;
  std::shared_ptr<client::WorkQueue> queue_;
  std::shared_ptr<client::EventRecorder> events_;
  MetricsClient metrics_;
  std::map<std::string, ScaleHistory> histories_;
  std::map<std::string, schema::LabelSelector> selectors_;  // of the scales, by autoscaler
  std::shared_ptr<const Discovery> discovery_;
  MonoTime discovered_{};
};

void HpaController::changed(const HpaPtr& old, const HpaPtr& now) {
  bool is_new = now != nullptr && (old == nullptr || !(old->spec == now->spec));
  // Its own writes of the status are no reason to look again before the time.
  if (is_new || now == nullptr) {
    queue_->add(key_of(now != nullptr ? *now : *old));
  } else {
    queue_->add_after(key_of(*now), kPeriod);
  }
}

void HpaController::set(Round& round, std::string_view type, std::string_view status, std::string_view reason, std::string_view message) {
  auto& conditions = round.hpa.status.conditions;
  auto at = std::find_if(conditions.begin(), conditions.end(), [&](const auto& one) { return one.type == type; });
  auto& condition = at != conditions.end() ? *at : conditions.emplace_back();
  condition.type = type;
  if (condition.status != status) condition.last_transition_time = schema::to_time(round.now);
  condition.status = status;
  condition.reason = reason;
  condition.message = message;
}

Task<Status> HpaController::reconcile(std::string key) {
  HpaPtr cached = hpas_.get(key);
  if (cached == nullptr) {
    histories_.erase(key);
    selectors_.erase(key);
    co_return Status();
  }
  auto round = std::make_shared<Round>();
  round->key = key;
  round->cached = cached;
  round->hpa = *cached;
  round->now = context_->clock.now();
  Status status = co_await autoscale(round);
  // Always at the same pace: what failed will be tried with newer metrics.
  if (!status.ok()) log_error("Autoscaling failed", {{"hpa", key}, {"err", status.message()}});
  queue_->add_after(key, kPeriod);
  co_return Status();
}

Task<Status> HpaController::autoscale(RoundPtr round) {
  auto& hpa = round->hpa;
  const auto& reference = hpa.spec.scale_target_ref;
  std::string shown = fmt::format("{}/{}/{}", reference.kind.view(), hpa.metadata.namespace_.view(), reference.name.view());
  Status found = co_await find_target(round);
  if (!found.ok()) {
    tell(*round, "Warning", "FailedGetScale", found.message());
    set(*round, "AbleToScale", "False", "FailedGetScale",
        fmt::format("the HPA controller was unable to get the target's current scale: {}", found.message()));
    Status ignored = co_await write_status(round);
    (void)ignored;
    co_return found.with_context("failed to query scale subresource for " + shown);
  }
  set(*round, "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
  round->current = round->scale.spec.replicas;
  histories_[round->key].begin(round->current, round->now);
  int32_t desired = round->current;
  std::string reason;
  Status partial;
  Status decided = co_await decide(round, desired, reason, partial);
  hpa.status.current_replicas = round->current;
  if (!decided.ok()) {
    Status ignored = co_await write_status(round);
    (void)ignored;
    tell(*round, "Warning", "FailedComputeMetricsReplicas", decided.message());
    co_return decided.with_context("failed to compute desired number of replicas based on listed metrics for " + shown);
  }
  if (desired != round->current) {
    Status scaled = co_await rescale(round, desired, reason);
    if (!scaled.ok()) co_return scaled.with_context("failed to rescale " + shown);
  }
  hpa.status.desired_replicas = desired;
  Status written = co_await write_status(round);
  co_return written.ok() ? partial : written;
}

// ---- the target ------------------------------------------------------------------------------------------------------------

Task<Result<std::shared_ptr<const Discovery>>> HpaController::discovery() {
  if (discovery_ == nullptr || context_->clock.mono() - discovered_ > kDiscoveryLife) {
    auto found = co_await discover(context_->client);
    if (!found.ok()) co_return found.status();
    discovery_ = std::make_shared<const Discovery>(std::move(*found));
    discovered_ = context_->clock.mono();
  }
  co_return discovery_;
}

// Any version of the kind that has a scale will do.
Task<Status> HpaController::find_target(RoundPtr round) {
  const auto& reference = round->hpa.spec.scale_target_ref;
  std::string_view api_version = reference.api_version;
  size_t slashes = static_cast<size_t>(std::count(api_version.begin(), api_version.end(), '/'));
  if (slashes > 1) co_return Status::error(fmt::format("unexpected GroupVersion string: {}", api_version));
  std::string group(slashes == 0 ? std::string_view() : api_version.substr(0, api_version.find('/')));
  auto served = co_await discovery();
  if (!served.ok()) co_return served.status();
  std::vector<ServedResourcePtr> candidates;
  for (const ServedResourcePtr& resource : (*served)->resources)
    if (resource->group == group && resource->kind == reference.kind) candidates.push_back(resource);
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a->preferred && !b->preferred; });
  Status first = Status::error(fmt::format("no matches for kind \"{}\" in group \"{}\"", reference.kind.view(), group));
  for (size_t i = 0; i < candidates.size(); ++i) {
    std::string method = "GET", body, what = fmt::format("get {}.{} {}", candidates[i]->plural, group, reference.name.view());
    std::string target = client::resource_path(candidates[i]->resource, round->hpa.metadata.namespace_, reference.name, "scale");
    auto answer = co_await fetch_json(context_->client, std::move(method), std::move(target), std::move(body), std::move(what));
    Status status = answer.status();
    if (answer.ok()) {
      auto scale = schema::from_json<Scale>(*answer);
      status = scale.status();
      if (scale.ok()) {
        round->scale = std::move(*scale);
        round->target = candidates[i];
        co_return Status();
      }
    }
    if (i == 0) first = status;
  }
  co_return first;
}

Task<Status> HpaController::rescale(RoundPtr round, int32_t desired, std::string reason) {
  Scale scale = round->scale;
  scale.spec.replicas = desired;
  std::string method = "PUT", body = schema::encode(schema::Encoding::kJson, Scale::kind_info(), &scale), what = "put scale";
  std::string target =
      client::resource_path(round->target->resource, round->hpa.metadata.namespace_, round->hpa.spec.scale_target_ref.name, "scale");
  auto answer = co_await fetch_json(context_->client, std::move(method), std::move(target), std::move(body), std::move(what));
  if (!answer.ok()) {
    tell(*round, "Warning", "FailedRescale",
         fmt::format("New size: {}; reason: {}; error: {}", desired, reason, answer.status().message()));
    set(*round, "AbleToScale", "False", "FailedUpdateScale",
        fmt::format("the HPA controller was unable to update the target scale: {}", answer.status().message()));
    Status ignored = co_await write_status(round);
    (void)ignored;
    co_return answer.status();
  }
  set(*round, "AbleToScale", "True", "SucceededRescale",
      fmt::format("the HPA controller was able to update the target scale to {}", desired));
  tell(*round, "Normal", "SuccessfulRescale", fmt::format("New size: {}; reason: {}", desired, reason));
  if (round->hpa.spec.behavior) histories_[round->key].scaled(round->current, desired, *round->hpa.spec.behavior, round->now);
  round->hpa.status.last_scale_time = schema::to_time(round->now);
  co_return Status();
}

Task<Status> HpaController::write_status(RoundPtr round) {
  if (round->hpa.status == round->cached->status) co_return Status();
  HorizontalPodAutoscaler copy = round->hpa;
  auto updated = co_await context_->client.update_status(std::move(copy));
  if (updated.ok() || updated.status().code() == 404) co_return Status();
  tell(*round, "Warning", "FailedUpdateStatus", updated.status().message());
  co_return updated.status().with_context("failed to update status for " + round->hpa.metadata.name.str());
}

// ---- how many --------------------------------------------------------------------------------------------------------------

// Fails when no metric can be had, or some cannot and the others say fewer: `partial` is then what is amiss when scaling goes on.
Task<Status> HpaController::decide(RoundPtr round, int32_t& desired, std::string& reason, Status& partial) {
  auto& hpa = round->hpa;
  int32_t current = round->current, min = least(*round), max = hpa.spec.max_replicas;
  if (current == 0 && min != 0) {
    set(*round, "ScalingActive", "False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
    hpa.status.current_metrics.reset();
    co_return Status();
  }
  if (current > max || current < min) {
    desired = current > max ? max : min;
    reason = current > max ? "Current number of replicas above Spec.MaxReplicas" : "Current number of replicas below Spec.MinReplicas";
    hpa.status.current_metrics.reset();
    co_return Status();
  }
  std::vector<MetricStatus> statuses;
  auto wish = co_await wish_of_all(round, partial, statuses);
  if (!wish.ok()) co_return wish.status();
  hpa.status.current_metrics.reset();
  for (MetricStatus& status : statuses) hpa.status.current_metrics.push_back(std::move(status));
  if (wish->replicas > current) reason = wish->metric + " above target";
  if (wish->replicas < current) reason = "All metrics below target";
  desired = normalize(*round, wish->replicas);
  co_return Status();
}

int32_t HpaController::normalize(Round& round, int32_t desired) {
  ScaleHistory& history = histories_[round.key];
  const auto* behavior = round.hpa.spec.behavior.get();
  int32_t min = least(round), max = round.hpa.spec.max_replicas;
  Limited stable, limited;
  if (behavior != nullptr && behavior->scale_up && behavior->scale_down) {
    stable = history.stabilize(round.current, desired, *behavior, round.now);
    limited = history.limit_rate(round.current, stable.replicas, min, max, *behavior, round.now);
  } else {
    stable = {history.stabilize(desired, kStabilization, round.now), "ScaleDownStabilized",
              "recent recommendations were higher than current one, applying the highest recent recommendation"};
    limited = limit_without_behavior(round.current, stable.replicas, min, max);
  }
  if (stable.replicas != desired) {
    set(round, "AbleToScale", "True", stable.reason, stable.message);
  } else {
    set(round, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size");
  }
  set(round, "ScalingLimited", limited.replicas == stable.replicas ? "False" : "True", limited.reason, limited.message);
  return limited.replicas;
}

// The pods that the scale selects; nobody else may scale them.
Status HpaController::select_pods(Round& round) {
  const std::string text = round.scale.status.selector.str();
  auto refuse = [&](std::string event, std::string_view reason, const std::string& message, std::string_view shown) {
    tell(round, "Warning", std::move(event), message);
    set(round, "ScalingActive", "False", reason, shown);
    return Status::error(message);
  };
  if (text.empty())
    return refuse("SelectorRequired", "InvalidSelector", "selector is required", "the HPA target's scale is missing a selector");
  auto selector = schema::LabelSelector::parse(text);
  if (!selector.ok()) {
    std::string message =
        fmt::format("couldn't convert selector into a corresponding internal selector object: {}", selector.status().message());
    return refuse("InvalidSelector", "InvalidSelector", message, message);
  }
  selectors_[round.key] = *selector;
  pods_.for_each_in(round.hpa.metadata.namespace_, [&](const PodPtr& pod) {
    if (selector->matches(pod->metadata.labels)) round.pods.push_back(pod);
  });
  std::string ns = round.hpa.metadata.namespace_.str(), others;
  int count = 0;
  for (const auto& [key, other] : selectors_) {
    auto [other_ns, name] = split_key(key);
    auto matches = [&](const PodPtr& pod) { return other.matches(pod->metadata.labels); };
    if (other_ns != ns || !std::any_of(round.pods.begin(), round.pods.end(), matches)) continue;
    others += fmt::format("{}{{{} {}}}", count++ == 0 ? "" : " ", name, ns);
  }
  if (count <= 1) return {};
  std::string message = fmt::format("pods by selector {} are controlled by multiple HPAs: [{}]", text, others);
  return refuse("AmbiguousSelector", "AmbiguousSelector", message, message);
}

struct Words {
  std::string reason, failure;  // of the condition; before the error
};
Words words_of(const MetricSpec& spec) {
  if (spec.type == "Resource" && spec.resource)
    return {"FailedGetResourceMetric", fmt::format("failed to get {} resource metric value", spec.resource->name.view())};
  if (spec.type == "ContainerResource" && spec.container_resource)
    return {"FailedGetContainerResourceMetric",
            fmt::format("failed to get {} container metric value", spec.container_resource->container.view())};
  if (spec.type == "Pods") return {"FailedGetPodsMetric", "failed to get pods metric value"};
  if (spec.type == "Object") return {"FailedGetObjectMetric", "failed to get object metric value"};
  if (spec.type == "External" && spec.external)
    return {"FailedGetExternalMetric", fmt::format("failed to get {} external metric value", spec.external->metric.name.view())};
  return {"InvalidMetricSourceType", ""};
}

Task<Result<HpaController::Wish>> HpaController::wish_of_all(RoundPtr round, Status& partial, std::vector<MetricStatus>& statuses) {
  Status selected = select_pods(*round);
  if (!selected.ok()) co_return selected;
  Wish highest;
  size_t failed = 0;
  Status first;
  std::string first_reason, first_message;
  const auto metrics = round->hpa.spec.metrics;
  for (const MetricSpec& spec : metrics) {
    MetricSpec copy = spec;
    auto wish = co_await wish_of(round, std::move(copy));
    statuses.push_back(wish.ok() ? wish->status : MetricStatus());
    if (!wish.ok()) {
      Words words = words_of(spec);
      tell(*round, "Warning", words.reason, wish.status().message());
      if (failed++ > 0) continue;
      first = words.failure.empty() ? wish.status() : wish.status().with_context(words.failure);
      first_reason = words.reason;
      first_message = fmt::format("the HPA was unable to compute the replica count: {}", wish.status().message());
    } else if (highest.replicas == 0 || wish->replicas > highest.replicas) {
      highest = std::move(*wish);
    }
  }
  if (failed > 0)
    partial =
        Status::error(fmt::format("invalid metrics ({} invalid out of {}), first error is: {}", failed, metrics.size(), first.message()));
  if (failed >= metrics.size() || (failed > 0 && highest.replicas < round->current)) {
    set(*round, "ScalingActive", "False", first_reason, first_message);
    co_return partial.ok() ? Status::error("no metrics") : partial;
  }
  set(*round, "ScalingActive", "True", "ValidMetricFound",
      "the HPA was able to successfully calculate a replica count from " + highest.metric);
  co_return highest;
}

// ---- one metric ------------------------------------------------------------------------------------------------------------

Task<Result<HpaController::Wish>> HpaController::wish_of(RoundPtr round, MetricSpec spec) {
  Result<Wish> wish = Status::error(fmt::format("unknown metric source type \"{}\"", spec.type.view()));
  if (spec.type == "Resource" && spec.resource) {
    std::string resource = spec.resource->name.str(), container;
    MetricTarget target = spec.resource->target;
    wish = co_await wish_of_resource(round, resource, std::move(container), std::move(target));
    if (wish.ok()) wish->status.resource->name = resource;
  } else if (spec.type == "ContainerResource" && spec.container_resource) {
    std::string resource = spec.container_resource->name.str(), container = spec.container_resource->container.str();
    MetricTarget target = spec.container_resource->target;
    wish = co_await wish_of_resource(round, resource, container, std::move(target));
    if (wish.ok()) {
      auto& status = wish->status.container_resource.ensure();
      status.name = resource;
      status.container = container;
      status.current = wish->status.resource->current;
      wish->status.resource.reset();
    }
  } else if (spec.type == "Pods" && spec.pods) {
    wish = co_await wish_of_pods(round, spec);
  } else if (spec.type == "Object" && spec.object) {
    wish = co_await wish_of_object(round, spec);
  } else if (spec.type == "External" && spec.external) {
    wish = co_await wish_of_external(round, spec);
  }
  if (wish.ok()) wish->status.type = spec.type;
  co_return wish;
}

// Puts what it measured into status.resource; the caller names it.
Task<Result<HpaController::Wish>> HpaController::wish_of_resource(RoundPtr round, std::string resource, std::string container,
                                                                  MetricTarget target) {
  if (!target.average_value && !target.average_utilization)
    co_return Status::error(
        "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set");
  std::string context = fmt::format("failed to get {} {}", resource, target.average_value ? "usage" : "utilization");
  std::string ns = round->hpa.metadata.namespace_.str(), selector = round->scale.status.selector.str(), name = resource, whom = container;
  auto metrics = co_await metrics_.of_resource(std::move(ns), std::move(selector), std::move(name), std::move(whom));
  if (!metrics.ok()) co_return metrics.status().with_context("unable to get metrics for resource " + resource).with_context(context);
  Result<Proposal> proposal = target.average_value ? replicas_by_average(round->pods, std::move(*metrics), resource, round->current,
                                                                         milli_of(target.average_value), round->now)
                                                   : replicas_by_utilization(round->pods, std::move(*metrics), resource, container,
                                                                             round->current, *target.average_utilization, round->now);
  if (!proposal.ok()) co_return proposal.status().with_context(context);
  Wish wish;
  wish.replicas = proposal->replicas;
  auto& current = wish.status.resource.ensure().current;
  current.average_value = milli(proposal->usage);
  wish.metric = resource + " resource";
  if (!target.average_value) {
    current.average_utilization = proposal->utilization;
    wish.metric = fmt::format("{} {}resource utilization (percentage of request)", resource, container.empty() ? "" : "container ");
  }
  co_return wish;
}

Result<std::string> selector_text(const MetricIdentifier& metric) {
  if (!metric.selector) return std::string();
  TRY_ASSIGN(auto selector, schema::LabelSelector::from(metric.selector.get()));
  return selector.to_string();
}

Task<Result<HpaController::Wish>> HpaController::wish_of_pods(RoundPtr round, MetricSpec spec) {
  const MetricIdentifier& metric = spec.pods->metric;
  auto selected = selector_text(metric);
  if (!selected.ok()) co_return selected.status();
  std::string ns = round->hpa.metadata.namespace_.str(), selector = round->scale.status.selector.str(), name = metric.name.str();
  auto metrics = co_await metrics_.of_pods(std::move(ns), std::move(selector), std::move(name), std::move(*selected));
  if (!metrics.ok()) co_return metrics.status().with_context("unable to get metric " + metric.name.str());
  std::string none;
  auto proposal =
      replicas_by_average(round->pods, std::move(*metrics), none, round->current, milli_of(spec.pods->target.average_value), round->now);
  if (!proposal.ok()) co_return proposal.status();
  Wish wish;
  wish.replicas = proposal->replicas;
  wish.metric = "pods metric " + metric.name.str();
  auto& status = wish.status.pods.ensure();
  status.metric = metric;
  status.current.average_value = milli(proposal->usage);
  co_return wish;
}

Task<Result<HpaController::Wish>> HpaController::wish_of_object(RoundPtr round, MetricSpec spec) {
  const auto& source = *spec.object;
  auto selected = selector_text(source.metric);
  if (!selected.ok()) co_return selected.status();
  bool by_value = source.target.type == "Value" && source.target.value,
       by_average = source.target.type == "AverageValue" && source.target.average_value;
  if (!by_value && !by_average)
    co_return Status::error("invalid object metric source: neither a value target nor an average value target was set");
  auto served = co_await discovery();
  if (!served.ok()) co_return served.status();
  ServedResourcePtr described = (*served)->find(source.described_object.api_version, source.described_object.kind);
  std::string kind = source.described_object.kind.str(), name = source.described_object.name.str(),
              ns = round->hpa.metadata.namespace_.str();
  Status failure = Status::error(fmt::format("no matches for kind \"{}\"", kind));
  Result<int64_t> value = failure;
  if (described != nullptr) {
    std::string resource = described->group.empty() ? described->plural : described->plural + "." + described->group;
    std::string where = ns, metric = source.metric.name.str(), whom = name;
    value = co_await metrics_.of_object(std::move(where), std::move(resource), std::move(whom), std::move(metric), std::move(*selected));
  }
  if (!value.ok())
    co_return Status::error(
        fmt::format("unable to get metric {}: {} on {} {}/{}", source.metric.name.view(), value.status().message(), kind, ns, name));
  Wish wish;
  auto& status = wish.status.object.ensure();
  status.metric = source.metric;
  if (by_average) {
    Proposal proposal = replicas_by_value_per_pod(round->scale.status.replicas, *value, milli_of(source.target.average_value));
    status.current.average_value = milli(proposal.usage);
    wish.replicas = proposal.replicas;
    wish.metric = fmt::format("external metric {}({})", source.metric.name.view(), go_text(source.metric.selector));
    co_return wish;
  }
  auto proposal = replicas_by_value(round->pods, round->current, *value, milli_of(source.target.value));
  if (!proposal.ok()) co_return proposal.status();
  status.described_object = source.described_object;
  status.current.value = milli(proposal->usage);
  wish.replicas = proposal->replicas;
  wish.metric = fmt::format("{} metric {}", kind, source.metric.name.view());
  co_return wish;
}

Task<Result<HpaController::Wish>> HpaController::wish_of_external(RoundPtr round, MetricSpec spec) {
  const auto& source = *spec.external;
  if (!source.target.average_value && !source.target.value)
    co_return Status::error("invalid external metric source: neither a value target nor an average value target was set");
  auto selected = selector_text(source.metric);
  if (!selected.ok()) co_return selected.status();
  std::string ns = round->hpa.metadata.namespace_.str(), name = source.metric.name.str();
  std::string where = ns, metric = name;
  auto value = co_await metrics_.of_external(std::move(where), std::move(metric), std::move(*selected));
  if (!value.ok())
    co_return Status::error(
        fmt::format("unable to get external metric {}/{}/{}: {}", ns, name, go_text(source.metric.selector), value.status().message()));
  Wish wish;
  wish.metric = fmt::format("external metric {}({})", name, go_text(source.metric.selector));
  auto& status = wish.status.external.ensure();
  status.metric = source.metric;
  if (source.target.average_value) {
    Proposal proposal = replicas_by_value_per_pod(round->scale.status.replicas, *value, milli_of(source.target.average_value));
    status.current.average_value = milli(proposal.usage);
    wish.replicas = proposal.replicas;
    co_return wish;
  }
  auto proposal = replicas_by_value(round->pods, round->current, *value, milli_of(source.target.value));
  if (!proposal.ok()) co_return proposal.status();
  status.current.value = milli(proposal->usage);
  wish.replicas = proposal->replicas;
  co_return wish;
}

}  // namespace

void start_horizontalpodautoscaler(const ContextPtr& context) { std::make_shared<HpaController>(context)->start(); }

}  // namespace knarr::controller
