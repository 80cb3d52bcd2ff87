// SPDX-License-Identifier: Apache-2.0
#include "cmd/scheduler_configuration.h"

#include "base/files.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::cmd {
namespace {

void read_text(const json::Value& from, std::string_view name, std::string& to) {
  const std::string& text = from.at({name}).as_string();
  if (!text.empty()) to = text;
}

Status read_duration(const json::Value& from, std::string_view name, Duration& to) {
  const std::string& text = from.at({name}).as_string();
  if (text.empty()) return {};
  Result<int64_t> nanos = schema::parse_duration(text);
  if (!nanos.ok()) return nanos.status().with_context(name);
  if (*nanos > 0) to = Duration(*nanos);
  return {};
}

}  // namespace

Status apply_scheduler_configuration(const std::string& file, SchedulerSettings& settings) {
  TRY_ASSIGN(std::string yaml, read_file(file));
  Result<std::string> as_json = schema::yaml_to_json(yaml);
  if (!as_json.ok()) return as_json.status().with_context(file);
  TRY_ASSIGN(json::Value document, json::parse(*as_json));
  if (document.at({"kind"}).as_string() != "KubeSchedulerConfiguration") return Status::error(file + ": kind must be KubeSchedulerConfiguration");
  const std::string& version = document.at({"apiVersion"}).as_string();
  if (!version.starts_with("kubescheduler.config.k8s.io/")) return Status::error(file + ": no kind \"KubeSchedulerConfiguration\" is registered for version \"" + version + "\"");
  read_text(document.at({"clientConnection"}), "kubeconfig", settings.kubeconfig);
  const json::Value& election = document.at({"leaderElection"});
  if (const json::Value* elect = election.find("leaderElect"); elect != nullptr && elect->is_bool()) settings.leader_elect = elect->as_bool();
  read_text(election, "resourceName", settings.election.name);
  read_text(election, "resourceNamespace", settings.election.namespace_);
  TRY(read_duration(election, "leaseDuration", settings.election.lease));
  TRY(read_duration(election, "renewDeadline", settings.election.renew_deadline));
  TRY(read_duration(election, "retryPeriod", settings.election.retry));
  if (const json::Value* share = document.find("percentageOfNodesToScore"); share != nullptr && share->is_number())
    settings.scheduler.percentage_of_nodes_to_score = static_cast<int>(share->as_int());
  const auto& profiles = document.at({"profiles"}).items();
  if (profiles.size() > 1) return Status::error(file + ": more than one profile is not supported");
  if (!profiles.empty()) read_text(profiles[0], "schedulerName", settings.scheduler.name);
  return {};
}

}  // namespace knarr::cmd
