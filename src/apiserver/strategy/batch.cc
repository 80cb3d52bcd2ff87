// SPDX-License-Identifier: Apache-2.0
// Strategies of jobs and cronjobs.
#include <set>

#include "api/batch_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/workloads.h"
#include "schema/cron_schedule.h"
#include "schema/time_zone.h"

namespace knarr::apiserver {

namespace {

namespace batch = api::batch_v1;

constexpr std::string_view kJobName = "batch.kubernetes.io/job-name", kOldJobName = "job-name";
constexpr std::string_view kControllerUid = "batch.kubernetes.io/controller-uid",
                           kOldControllerUid = "controller-uid";

// ---- Job
// ------------------------------------------------------------------------------------------------------------------------

void default_job(batch::Job& job) {
  batch::JobSpec& spec = job.spec;
  if (!spec.completions && !spec.parallelism) spec.completions = 1;
  if (!spec.parallelism) spec.parallelism = 1;
  if (!spec.backoff_limit) spec.backoff_limit = spec.backoff_limit_per_index ? INT32_MAX : 6;
  const Map<Str>& labels = spec.template_.metadata.labels;
  if (!labels.is_null() && job.metadata.labels.empty()) job.metadata.labels = labels;
  if (!spec.completion_mode) spec.completion_mode = "NonIndexed";
  if (!spec.suspend) spec.suspend = false;
  if (spec.pod_failure_policy)
    for (auto& rule : spec.pod_failure_policy->rules)
      for (auto& pattern : rule.on_pod_conditions)
        if (pattern.status.empty()) pattern.status = "True";
  apply_table_defaults(job);
  default_pod_spec(spec.template_.spec);
}

// Gates JobBackoffLimitPerIndex and JobPodReplacementPolicy are off.
void drop_disabled(batch::JobSpec& spec, const batch::JobSpec* old) {
  if (old == nullptr || !old->backoff_limit_per_index) spec.backoff_limit_per_index.reset();
  if (old == nullptr || !old->max_failed_indexes) spec.max_failed_indexes.reset();
  if (old == nullptr || !old->pod_replacement_policy) spec.pod_replacement_policy.reset();
  if (old == nullptr && spec.pod_failure_policy)
    spec.pod_failure_policy->rules.erase_if(
        [](const batch::PodFailurePolicyRule& rule) { return rule.action == "FailIndex"; });
  drop_disabled_pod_fields(spec.template_.spec, old == nullptr ? nullptr : &old->template_.spec);
}

// A job selects its pods by its own uid.
void generate_selector(batch::Job& job) {
  Map<Str>& labels = job.spec.template_.metadata.labels;
  auto add = [&](std::string_view key, const Str& value) {
    if (!labels.contains(key)) labels[key].assign(value, true);
  };
  add(kOldJobName, job.metadata.name);
  add(kJobName, job.metadata.name);
  add(kOldControllerUid, job.metadata.uid);
  add(kControllerUid, job.metadata.uid);
  Map<Str>& selected = job.spec.selector.ensure().match_labels;
  if (!selected.contains(kControllerUid)) selected[kControllerUid] = job.metadata.uid;
}
void prepare_job(WriteContext&, batch::Job& job) {
  drop_disabled(job.spec, nullptr);
  // Labels that were defaulted from the template stay its labels: upstream's share one map.
  bool shared =
      job.metadata.labels.empty() || job.metadata.labels == job.spec.template_.metadata.labels;
  if (!job.spec.manual_selector.value_or(false)) generate_selector(job);
  if (shared) job.metadata.labels = job.spec.template_.metadata.labels;
}
void prepare_job_update(WriteContext&, batch::Job& job, const batch::Job& old) {
  drop_disabled(job.spec, &old.spec);
}

void validate_exit_codes(const batch::PodFailurePolicyOnExitCodesRequirement& codes,
                         const std::set<std::string_view>& names, const Path& path,
                         FieldErrors& errors) {
  if (codes.operator_.empty()) {
    errors.required(path / "operator", "valid values: [\"In\" \"NotIn\"]");
  } else {
    validate_supported(codes.operator_, {"In", "NotIn"}, path / "operator", errors);
  }
  if (codes.container_name && !names.contains(codes.container_name->view()))
    errors.invalid(path / "containerName", quoted(*codes.container_name),
                   "must be one of the container or initContainer names in the pod template");
  Path values = path / "values";
  auto printed = [&] {
    std::string out = "[]int32{";
    for (size_t i = 0; i < codes.values.size(); ++i)
      out += (i > 0 ? ", " : "") + std::to_string(codes.values[i]);
    return out + "}";
  };
  if (codes.values.empty()) {
    errors.invalid(values, printed(), "at least one value is required");
  } else if (codes.values.size() > 255) {
    errors.too_many(values, static_cast<int>(codes.values.size()), 255);
  }
  std::set<int32_t> seen;
  bool ordered = true;
  for (size_t i = 0; i < codes.values.size(); ++i) {
    int32_t code = codes.values[i];
    if (codes.operator_ == "In" && code == 0)
      errors.invalid(values.index(i), "0", "must not be 0 for the In operator");
    if (!seen.insert(code).second) errors.duplicate(values.index(i), std::to_string(code));
    if (i > 0 && codes.values[i - 1] > code) ordered = false;
  }
  if (!ordered) errors.invalid(values, printed(), "must be ordered");
}

void validate_failure_policy(const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  Path rules = path / "rules";
  const auto& list = spec.pod_failure_policy->rules;
  if (list.size() > 20) errors.too_many(rules, static_cast<int>(list.size()), 20);
  std::set<std::string_view> names;
  for (const auto* containers :
       {&spec.template_.spec.containers, &spec.template_.spec.init_containers})
    for (const core::Container& container : *containers) names.insert(container.name.view());
  for (size_t i = 0; i < list.size(); ++i) {
    const batch::PodFailurePolicyRule& rule = list[i];
    Path at = rules.index(i);
    if (rule.action.empty()) {
      errors.required(at / "action",
                      "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
    } else if (rule.action == "FailIndex") {
      if (!spec.backoff_limit_per_index)
        errors.invalid(at / "action", quoted(rule.action),
                       "requires the backoffLimitPerIndex to be set");
    } else {
      validate_supported(rule.action, {"Count", "FailIndex", "FailJob", "Ignore"}, at / "action",
                         errors);
    }
    if (rule.on_exit_codes)
      validate_exit_codes(*rule.on_exit_codes, names, at / "onExitCodes", errors);
    Path conditions = at / "onPodConditions";
    if (rule.on_pod_conditions.size() > 20)
      errors.too_many(conditions, static_cast<int>(rule.on_pod_conditions.size()), 20);
    for (size_t j = 0; j < rule.on_pod_conditions.size(); ++j) {
      const auto& pattern = rule.on_pod_conditions[j];
      invalid_each(conditions.index(j) / "type", pattern.type, check_qualified_name(pattern.type),
                   errors);
      if (pattern.status.empty()) {
        errors.required(conditions.index(j) / "status",
                        "valid values: [\"False\" \"True\" \"Unknown\"]");
      } else {
        validate_supported(pattern.status, {"False", "True", "Unknown"},
                           conditions.index(j) / "status", errors);
      }
    }
    bool codes = rule.on_exit_codes.has_value(), patterns = !rule.on_pod_conditions.empty();
    if (codes && patterns)
      errors.invalid(at, "", "specifying both OnExitCodes and OnPodConditions is not supported");
    if (!codes && !patterns)
      errors.invalid(at, "", "specifying one of OnExitCodes and OnPodConditions is required");
  }
}

void validate_completion_mode(const batch::JobSpec& spec, const Path& path, FieldErrors& errors) {
  std::string_view mode = spec.completion_mode.value_or("NonIndexed");
  validate_supported(mode, {"NonIndexed", "Indexed"}, path / "completionMode", errors);
  auto too_high = [&](const Opt<int32_t>& value, std::string_view field, int32_t most,
                      std::string_view when) {
    if (value && *value > most)
      errors.invalid(path / field, std::to_string(*value),
                     "must be less than or equal to " + std::to_string(most) + std::string(when));
  };
  if (mode == "Indexed") {
    if (!spec.completions) errors.required(path / "completions", "when completion mode is Indexed");
    too_high(spec.parallelism, "parallelism", 100000, " when completion mode is Indexed");
    if (spec.completions && spec.max_failed_indexes && *spec.max_failed_indexes > *spec.completions)
      errors.invalid(path / "maxFailedIndexes", std::to_string(*spec.max_failed_indexes),
                     "must be less than or equal to completions");
    too_high(spec.max_failed_indexes, "maxFailedIndexes", 100000, "");
    if (spec.completions.value_or(0) > 100000 && spec.backoff_limit_per_index) {
      constexpr std::string_view kMany =
          " when completions are above 100000 and used with backoff limit per index";
      if (!spec.max_failed_indexes)
        errors.required(path / "maxFailedIndexes",
                        "must be specified when completions is above 100000");
      too_high(spec.parallelism, "parallelism", 10000, kMany);
      too_high(spec.max_failed_indexes, "maxFailedIndexes", 10000, kMany);
    }
  } else if (mode == "NonIndexed") {
    auto refuse = [&](const Opt<int32_t>& value, std::string_view field) {
      if (value)
        errors.invalid(path / field, std::to_string(*value), "requires indexed completion mode");
    };
    refuse(spec.backoff_limit_per_index, "backoffLimitPerIndex");
    refuse(spec.max_failed_indexes, "maxFailedIndexes");
  }
}

// What a job and the template of one have in common.
void validate_common(const batch::JobSpec& spec, const PodOptions& options, const Path& path,
                     FieldErrors& errors) {
  auto not_negative = [&](const auto& value, std::string_view field) {
    if (value) validate_nonnegative(*value, path / field, errors);
  };
  not_negative(spec.parallelism, "parallelism");
  not_negative(spec.completions, "completions");
  not_negative(spec.active_deadline_seconds, "activeDeadlineSeconds");
  not_negative(spec.backoff_limit, "backoffLimit");
  not_negative(spec.ttl_seconds_after_finished, "ttlSecondsAfterFinished");
  not_negative(spec.backoff_limit_per_index, "backoffLimitPerIndex");
  not_negative(spec.max_failed_indexes, "maxFailedIndexes");
  if (spec.max_failed_indexes && !spec.backoff_limit_per_index)
    errors.required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified");
  validate_completion_mode(spec, path, errors);
  if (spec.pod_failure_policy) validate_failure_policy(spec, path / "podFailurePolicy", errors);
  if (spec.pod_replacement_policy) {
    std::vector<std::string_view> valid = {"Failed"};
    if (!spec.pod_failure_policy) valid.push_back("TerminatingOrFailed");
    validate_supported(*spec.pod_replacement_policy, valid, path / "podReplacementPolicy", errors);
  }
  validate_pod_template(spec.template_, path / "template", options, errors);
  std::string_view restart = spec.template_.spec.restart_policy;
  Path at = path / "template" / "spec" / "restartPolicy";
  if (restart == "Always" || restart.empty()) {
    errors.required(at, "valid values: \"OnFailure\", \"Never\"");
  } else if (restart != "OnFailure" && restart != "Never") {
    errors.not_supported(at, quoted(restart), {"OnFailure", "Never"});
  } else if (spec.pod_failure_policy && restart != "Never") {
    errors.invalid(at, quoted(restart),
                   "only \"Never\" is supported when podFailurePolicy is specified");
  }
}

void validate_generated_selector(const batch::Job& job, bool prefixed, FieldErrors& errors) {
  if (job.spec.manual_selector.value_or(false) || !job.spec.selector) return;
  if (job.metadata.uid.empty()) errors.required(Path("metadata") / "uid");
  Path labels = Path("spec") / "template" / "metadata" / "labels";
  Map<Str> expected;
  auto need = [&](std::string_view key, const Str& value) {
    expected[key] = value;
    const Str* found = job.spec.template_.metadata.labels.find(key);
    std::string message = "must be '" + value.str() + "'";
    if (found == nullptr) {
      errors.required(labels.key(key), message);
    } else if (!(*found == value)) {
      errors.invalid(labels.key(key), go_map(job.spec.template_.metadata.labels), message);
    }
  };
  need(kOldControllerUid, job.metadata.uid);
  need(kOldJobName, job.metadata.name);
  if (prefixed) {
    need(kControllerUid, job.metadata.uid);
    need(kJobName, job.metadata.name);
  }
  auto selector = schema::LabelSelector::from(job.spec.selector.get());
  if (selector.ok() && !selector->matches(expected))
    errors.invalid(Path("spec") / "selector", go_selector(*job.spec.selector),
                   "`selector` not auto-generated");
}

void validate_whole(const batch::Job& job, const PodOptions& options, bool prefixed,
                    bool allow_invalid_values, FieldErrors& errors) {
  validate_generated_selector(job, prefixed, errors);
  Path spec("spec");
  validate_common(job.spec, options, spec, errors);
  if (!job.spec.selector) {
    errors.required(spec / "selector");
  } else {
    validate_label_selector(job.spec.selector.get(), spec / "selector", errors,
                            allow_invalid_values);
  }
  auto selector = schema::LabelSelector::from(job.spec.selector.get());
  if (selector.ok() && !selector->matches(job.spec.template_.metadata.labels))
    errors.invalid(spec / "template" / "metadata" / "labels",
                   go_map(job.spec.template_.metadata.labels),
                   "`selector` does not match template `labels`");
  if (job.spec.completion_mode.value_or("") == "Indexed" && job.spec.completions.value_or(0) > 0) {
    std::string hostname =
        job.metadata.name.str() + "-" + std::to_string(*job.spec.completions - 1);
    if (!check_dns1123_label(hostname).empty())
      errors.invalid(Path("metadata") / "name", quoted(job.metadata.name),
                     "will not able to create pod with invalid DNS label: " + hostname);
  }
}
void validate_job(const batch::Job& job, FieldErrors& errors) {
  validate_whole(job, PodOptions(), true, false, errors);
}

// While a job is suspended and was never started, what places its pods may change.
core::PodTemplateSpec comparable_template(const batch::Job& job, const batch::Job& old) {
  core::PodTemplateSpec before = old.spec.template_;
  bool mutable_placement = old.spec.suspend.value_or(false) && !old.status.start_time;
  if (!mutable_placement) return before;
  const core::PodTemplateSpec& now = job.spec.template_;
  if (now.spec.affinity) {
    before.spec.affinity.ensure().node_affinity = now.spec.affinity->node_affinity;
  } else if (before.spec.affinity) {
    before.spec.affinity->node_affinity.reset();
    if (!before.spec.affinity->pod_affinity && !before.spec.affinity->pod_anti_affinity)
      before.spec.affinity.reset();
  }
  before.spec.node_selector = now.spec.node_selector;
  before.spec.tolerations = now.spec.tolerations;
  before.metadata.annotations = now.metadata.annotations;
  before.metadata.labels = now.metadata.labels;
  before.spec.scheduling_gates = now.spec.scheduling_gates;
  return before;
}

void validate_job_update(const batch::Job& job, const batch::Job& old, FieldErrors& errors) {
  const Map<Str>& old_labels = old.spec.template_.metadata.labels;
  bool prefixed = old_labels.contains(kJobName) && old_labels.contains(kControllerUid);
  FieldErrors before;
  validate_label_selector(old.spec.selector.get(), Path(), before);
  validate_whole(job, pod_options(&old.spec.template_.spec, &old.spec.template_.metadata), prefixed,
                 !before.empty(), errors);
  Path spec("spec");
  auto number = [](const Opt<int32_t>& value) {
    return value ? std::to_string(*value) : std::string("null");
  };
  if (!(job.spec.completions == old.spec.completions)) {
    bool indexed = job.spec.completion_mode.value_or("") == "Indexed";
    if (!indexed) {
      errors.invalid(spec / "completions", number(job.spec.completions), kFieldImmutable);
    } else if (job.spec.completions && !(job.spec.completions == job.spec.parallelism)) {
      errors.invalid(spec / "completions", number(job.spec.completions),
                     "can only be modified in tandem with spec.parallelism");
    }
  }
  validate_selector_unchanged(job.spec.selector, old.spec.selector, errors);
  if (!(job.spec.template_ == comparable_template(job, old)))
    errors.invalid(spec / "template", "core.PodTemplateSpec", kFieldImmutable);
  if (!(job.spec.completion_mode == old.spec.completion_mode))
    errors.invalid(spec / "completionMode", go_pointer_text(job.spec.completion_mode),
                   kFieldImmutable);
  if (!(job.spec.pod_failure_policy == old.spec.pod_failure_policy))
    errors.invalid(spec / "podFailurePolicy",
                   job.spec.pod_failure_policy ? "batch.PodFailurePolicy" : "null",
                   kFieldImmutable);
  if (!(job.spec.backoff_limit_per_index == old.spec.backoff_limit_per_index))
    errors.invalid(spec / "backoffLimitPerIndex", number(job.spec.backoff_limit_per_index),
                   kFieldImmutable);
}

void validate_job_status(const batch::Job& job, const batch::Job&, FieldErrors& errors) {
  Path path("status");
  validate_nonnegative(job.status.active, path / "active", errors);
  validate_nonnegative(job.status.succeeded, path / "succeeded", errors);
  validate_nonnegative(job.status.failed, path / "failed", errors);
  validate_nonnegative(job.status.ready.value_or(0), path / "ready", errors);
  validate_nonnegative(job.status.terminating.value_or(0), path / "terminating", errors);
  if (!job.status.uncounted_terminated_pods) return;
  std::set<std::string_view> seen;
  auto check = [&](const List<Str>& uids, const Path& at) {
    for (size_t i = 0; i < uids.size(); ++i) {
      if (uids[i].empty()) {
        errors.invalid(at.index(i), "\"\"", "must not be empty");
      } else if (!seen.insert(uids[i].view()).second) {
        errors.duplicate(at.index(i), quoted(uids[i]));
      }
    }
  };
  Path uncounted = path / "uncountedTerminatedPods";
  check(job.status.uncounted_terminated_pods->succeeded, uncounted / "succeeded");
  check(job.status.uncounted_terminated_pods->failed, uncounted / "failed");
}
void warn_of_spec(WriteContext& context, const batch::JobSpec& spec, const Path& path) {
  if (spec.completion_mode && *spec.completion_mode == "Indexed" &&
      spec.completions.value_or(0) > 100000 && spec.parallelism.value_or(0) > 10000)
    context.warnings.push_back(
        path.text() +
        ": In Indexed Jobs with a number of completions higher than 10^5 and a parallelism "
        "higher than 10^4, Kubernetes "
        "might not be able to track completedIndexes when a big number of indexes fail");
  pod_warnings(spec.template_.spec, spec.template_.metadata, path / "template", context.warnings);
}
void warn_job(WriteContext& context, const batch::Job& job, const batch::Job* old) {
  if (old == nullptr) warn_of_name(context, job.metadata.name);
  if (old != nullptr && old->metadata.generation == job.metadata.generation) return;
  warn_of_spec(context, job.spec, Path("spec"));
}

// ---- CronJob
// --------------------------------------------------------------------------------------------------------------------

void default_cron_job(batch::CronJob& job) {
  apply_table_defaults(job);
  default_pod_spec(job.spec.job_template.spec.template_.spec);
}
void prepare_cron_job(WriteContext&, batch::CronJob& job) {
  drop_disabled_pod_fields(job.spec.job_template.spec.template_.spec, nullptr);
}
void prepare_cron_job_update(WriteContext&, batch::CronJob& job, const batch::CronJob& old) {
  drop_disabled_pod_fields(job.spec.job_template.spec.template_.spec,
                           &old.spec.job_template.spec.template_.spec);
}

// A part of a name of the time zone database: https://data.iana.org/time-zones/theory.html#naming
bool is_zone_name_part(std::string_view part) {
  if (part.empty() || part.size() > 14 || part == "." || part == ".." || part.starts_with('-')) return false;
  return std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '+';
  });
}

void validate_time_zone(const Opt<Str>& zone, const Path& path, FieldErrors& errors) {
  if (!zone) return;
  if (zone->empty())
    return errors.invalid(path, "\"\"", "timeZone must be nil or non-empty string");
  for (std::string_view part : split(*zone, '/'))
    if (!is_zone_name_part(part)) return errors.invalid(path, quoted(*zone), "unknown time zone " + zone->str());
  if (lower(*zone) == "local")
    errors.invalid(
        path, quoted(*zone),
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
  auto loaded = schema::TimeZone::load(*zone);
  if (!loaded.ok()) errors.invalid(path, quoted(*zone), std::string(loaded.status().message()));
}

void validate_cron_spec(const batch::CronJobSpec& spec, const batch::CronJobSpec* old,
                        const PodOptions& options, FieldErrors& errors) {
  Path path("spec");
  if (spec.schedule.empty()) {
    errors.required(path / "schedule");
  } else {
    auto schedule = schema::CronSchedule::parse(spec.schedule);
    if (!schedule.ok())
      errors.invalid(path / "schedule", quoted(spec.schedule), std::string(schedule.status().message()));
    if (spec.schedule.view().find("TZ") != std::string_view::npos && spec.time_zone)
      errors.invalid(path / "schedule", quoted(spec.schedule),
                     "cannot use both timeZone field and TZ or CRON_TZ in schedule");
  }
  validate_nonnegative(spec.starting_deadline_seconds.value_or(0), path / "startingDeadlineSeconds",
                       errors);
  if (old == nullptr || !(old->time_zone == spec.time_zone))
    validate_time_zone(spec.time_zone, path / "timeZone", errors);
  validate_choice(spec.concurrency_policy, {"Allow", "Forbid", "Replace"},
                  path / "concurrencyPolicy", errors);
  Path job = path / "jobTemplate" / "spec";
  validate_common(spec.job_template.spec, options, job, errors);
  if (spec.job_template.spec.selector)
    errors.invalid(job / "selector", go_selector(*spec.job_template.spec.selector),
                   "`selector` will be auto-generated");
  if (spec.job_template.spec.manual_selector.value_or(false))
    errors.not_supported(job / "manualSelector", "true", {"nil", "false"});
  validate_nonnegative(spec.successful_jobs_history_limit.value_or(0),
                       path / "successfulJobsHistoryLimit", errors);
  validate_nonnegative(spec.failed_jobs_history_limit.value_or(0), path / "failedJobsHistoryLimit",
                       errors);
}
void validate_cron_job(const batch::CronJob& job, FieldErrors& errors) {
  validate_cron_spec(job.spec, nullptr, PodOptions(), errors);
  // The controller adds a time to the name of each job.
  if (job.metadata.name.size() > 52)
    errors.invalid(Path("metadata") / "name", quoted(job.metadata.name),
                   "must be no more than 52 characters");
}
void validate_cron_job_update(const batch::CronJob& job, const batch::CronJob& old,
                              FieldErrors& errors) {
  const core::PodTemplateSpec& before = old.spec.job_template.spec.template_;
  validate_cron_spec(job.spec, &old.spec, pod_options(&before.spec, &before.metadata), errors);
}
void warn_cron_job(WriteContext& context, const batch::CronJob& job, const batch::CronJob* old) {
  if (old == nullptr) warn_of_name(context, job.metadata.name);
  if (old == nullptr || old->metadata.generation != job.metadata.generation)
    warn_of_spec(context, job.spec.job_template.spec, Path("spec") / "jobTemplate" / "spec");
  if (job.spec.schedule.view().find("TZ") != std::string_view::npos)
    context.warnings.push_back(
        "CRON_TZ or TZ used in spec.spec.schedule is not officially supported, see "
        "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
}

constexpr Strategy kStrategies[] = {
    {.group = "batch",
     .plural = "jobs",
     .defaults = erase_defaults<&default_job>,
     .prepare_create = erase_create<&prepare_job>,
     .prepare_update = erase_update<&prepare_job_update>,
     .validate = erase_validate<&validate_job>,
     .validate_update = erase_validate_update<&validate_job_update>,
     .warnings = erase_warnings<&warn_job>,
     .validate_status = erase_validate_update<&validate_job_status>,
     .has_generation = true,
     .has_status = true,
     .orphan_by_default = true},
    {.group = "batch",
     .plural = "cronjobs",
     .defaults = erase_defaults<&default_cron_job>,
     .prepare_create = erase_create<&prepare_cron_job>,
     .prepare_update = erase_update<&prepare_cron_job_update>,
     .validate = erase_validate<&validate_cron_job>,
     .validate_update = erase_validate_update<&validate_cron_job_update>,
     .warnings = erase_warnings<&warn_cron_job>,
     .has_generation = true,
     .has_status = true},
};

}  // namespace

std::span<const Strategy> batch_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
