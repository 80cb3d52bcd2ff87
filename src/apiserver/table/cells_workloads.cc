// SPDX-License-Identifier: Apache-2.0
#include "api/apps_v1.h"
#include "api/batch_v1.h"
#include "api/policy_v1.h"
#include "apiserver/table/cells.h"

namespace knarr::apiserver::table {
namespace {

using namespace api::apps_v1;
using api::batch_v1::CronJob;
using api::batch_v1::Job;
using api::policy_v1::PodDisruptionBudget;

void revision_row(const ControllerRevision& object, WallTime now, Row& row) {
  std::string controller = "<none>";
  for (const auto& owner : object.metadata.owner_references) {
    if (!owner.controller.value_or(false)) continue;
    // Kind.group/name, as a resource is named.
    std::string kind = owner.kind.str();
    for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    size_t slash = owner.api_version.view().find('/');
    if (slash != std::string_view::npos) kind += "." + std::string(owner.api_version.view().substr(0, slash));
    controller = kind + "/" + owner.name.str();
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(controller);
  row.emplace_back(object.revision);
  row.emplace_back(age_of(object.metadata, now));
}

void daemon_set_row(const DaemonSet& object, WallTime now, Row& row) {
  const DaemonSetStatus& status = object.status;
  row.emplace_back(object.metadata.name.view());
  for (int64_t count : {status.desired_number_scheduled, status.current_number_scheduled, status.number_ready, status.updated_number_scheduled,
                        status.number_available})
    row.emplace_back(count);
  row.emplace_back(format_labels(object.spec.template_.spec.node_selector));
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.template_.spec.containers, row);
  row.emplace_back(format_selector(object.spec.selector));
}

std::string of_desired(int64_t ready, int64_t desired) { return std::to_string(ready) + "/" + std::to_string(desired); }

void deployment_row(const Deployment& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(of_desired(object.status.ready_replicas, object.spec.replicas.value_or(0)));
  row.emplace_back(object.status.updated_replicas);
  row.emplace_back(object.status.available_replicas);
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.template_.spec.containers, row);
  row.emplace_back(format_selector(object.spec.selector));
}

void replica_set_row(const ReplicaSet& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.replicas.value_or(0));
  row.emplace_back(object.status.replicas);
  row.emplace_back(object.status.ready_replicas);
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.template_.spec.containers, row);
  row.emplace_back(format_selector(object.spec.selector));
}

void stateful_set_row(const StatefulSet& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(of_desired(object.status.ready_replicas, object.spec.replicas.value_or(0)));
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.template_.spec.containers, row);
}

std::string completions(const Job& job) {
  std::string succeeded = std::to_string(job.status.succeeded);
  if (job.spec.completions) return succeeded + "/" + std::to_string(*job.spec.completions);
  int32_t parallelism = job.spec.parallelism.value_or(0);
  return parallelism > 1 ? succeeded + "/1 of " + std::to_string(parallelism) : succeeded + "/1";
}

void job_row(const Job& object, WallTime now, Row& row) {
  std::string duration;
  if (object.status.start_time) {
    duration = object.status.completion_time
                   ? human_duration(object.status.completion_time->unix_seconds() - object.status.start_time->unix_seconds())
                   : age(*object.status.start_time, now);
  }
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(completions(object));
  row.emplace_back(duration);
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.template_.spec.containers, row);
  row.emplace_back(format_selector(object.spec.selector));
}

void cron_job_row(const CronJob& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(object.spec.schedule.view());
  row.emplace_back(!object.spec.suspend ? "<unset>" : *object.spec.suspend ? "True" : "False");
  row.emplace_back(static_cast<int64_t>(object.status.active.size()));
  row.emplace_back(object.status.last_schedule_time ? age(*object.status.last_schedule_time, now) : std::string("<none>"));
  row.emplace_back(age_of(object.metadata, now));
  add_containers(object.spec.job_template.spec.template_.spec.containers, row);
  row.emplace_back(format_selector(object.spec.job_template.spec.selector));
}

std::string int_or_na(const schema::Opt<schema::IntOrString>& value) {
  if (!value) return "N/A";
  return value->is_string ? value->text.str() : std::to_string(value->number);
}

void budget_row(const PodDisruptionBudget& object, WallTime now, Row& row) {
  row.emplace_back(object.metadata.name.view());
  row.emplace_back(int_or_na(object.spec.min_available));
  row.emplace_back(int_or_na(object.spec.max_unavailable));
  row.emplace_back(object.status.disruptions_allowed);
  row.emplace_back(age_of(object.metadata, now));
}

}  // namespace

std::span<const CellsEntry> workload_cells() {
  static const CellsEntry cells[] = {
      entry<ControllerRevision, revision_row>(), entry<DaemonSet, daemon_set_row>(), entry<Deployment, deployment_row>(),
      entry<ReplicaSet, replica_set_row>(),      entry<StatefulSet, stateful_set_row>(), entry<Job, job_row>(),
      entry<CronJob, cron_job_row>(),            entry<PodDisruptionBudget, budget_row>(),
  };
  return cells;
}

}  // namespace knarr::apiserver::table
