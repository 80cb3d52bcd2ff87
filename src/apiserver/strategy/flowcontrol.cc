// SPDX-License-Identifier: Apache-2.0
// Strategies of flowschemas and prioritylevelconfigurations, which are stored as v1beta3.
#include "api/flowcontrol_v1beta3.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace flow = api::flowcontrol_v1beta3;

constexpr std::string_view kGroup = "flowcontrol.apiserver.k8s.io";

// Metadata does not change by the status subresource.
template <class T>
void prepare_status_of(T& object, const T& old) {
  auto managed = std::move(object.metadata.managed_fields);
  Str version = object.metadata.resource_version;
  object.metadata = old.metadata;
  object.metadata.resource_version = version;
  object.metadata.managed_fields = std::move(managed);
  object.spec = old.spec;
}

// ---- FlowSchema -----------------------------------------------------------------------------------------------------------------

void default_schema(flow::FlowSchema& object) { apply_table_defaults(object); }
void prepare_schema_status(WriteContext&, flow::FlowSchema& object, const flow::FlowSchema& old) { prepare_status_of(object, old); }

void validate_subject(const flow::Subject& subject, const Path& path, FieldErrors& errors) {
  if (subject.kind == "ServiceAccount") {
    if (!subject.service_account) return errors.required(path / "serviceAccount", "serviceAccount is required when subject kind is 'ServiceAccount'");
    Path at = path / "serviceAccount";
    if (subject.service_account->name.empty()) errors.required(at / "name");
    if (subject.service_account->namespace_.empty()) errors.required(at / "namespace", "must specify namespace for service account");
  } else if (subject.kind == "User") {
    if (!subject.user) return errors.required(path / "user", "user is required when subject kind is 'User'");
    if (subject.user->name.empty()) errors.required(path / "user" / "name");
  } else if (subject.kind == "Group") {
    if (!subject.group) return errors.required(path / "group", "group is required when subject kind is 'Group'");
    if (subject.group->name.empty()) errors.required(path / "group" / "name");
  } else {
    errors.not_supported(path / "kind", quoted(subject.kind), {"Group", "ServiceAccount", "User"});
  }
}
void validate_schema(const flow::FlowSchema& object, FieldErrors& errors) {
  const flow::FlowSchemaSpec& spec = object.spec;
  Path path("spec");
  if (spec.matching_precedence <= 0)
    errors.invalid(path / "matchingPrecedence", std::to_string(spec.matching_precedence), "must be a positive value");
  if (spec.matching_precedence > 10000)
    errors.invalid(path / "matchingPrecedence", std::to_string(spec.matching_precedence), "must not be greater than 10000");
  if (spec.matching_precedence == 1 && !(object.metadata.name == "exempt"))
    errors.invalid(path / "matchingPrecedence", "1", "only the schema named 'exempt' may have matchingPrecedence 1");
  if (spec.distinguisher_method)
    if (!(spec.distinguisher_method->type == "ByNamespace") && !(spec.distinguisher_method->type == "ByUser"))
      errors.not_supported(path / "distinguisherMethod" / "type", "flowcontrol.FlowDistinguisherMethod{Type:" + quoted(spec.distinguisher_method->type) + "}",
                           {"ByNamespace", "ByUser"});
  if (spec.priority_level_configuration.name.empty()) errors.required(path / "priorityLevelConfiguration" / "name", "must reference a priority level");
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const flow::PolicyRulesWithSubjects& rule = spec.rules[i];
    Path at = (path / "rules").index(i);
    if (rule.subjects.empty()) errors.required(at / "subjects", "subjects must contain at least one value");
    for (size_t j = 0; j < rule.subjects.size(); ++j) validate_subject(rule.subjects[j], (at / "subjects").index(j), errors);
    if (rule.resource_rules.empty() && rule.non_resource_rules.empty())
      errors.required(at, "at least one of resourceRules and nonResourceRules has to be non-empty");
    for (size_t j = 0; j < rule.resource_rules.size(); ++j) {
      const flow::ResourcePolicyRule& policy = rule.resource_rules[j];
      Path where = (at / "resourceRules").index(j);
      if (policy.verbs.empty()) errors.required(where / "verbs", "verbs must contain at least one value");
      if (policy.api_groups.empty()) errors.required(where / "apiGroups", "resource rules must supply at least one api group");
      if (policy.resources.empty()) errors.required(where / "resources", "resource rules must supply at least one resource");
      if (policy.namespaces.empty() && !policy.cluster_scope)
        errors.required(where / "namespaces", "resource rules that are not cluster scoped must supply at least one namespace");
    }
    for (size_t j = 0; j < rule.non_resource_rules.size(); ++j) {
      const flow::NonResourcePolicyRule& policy = rule.non_resource_rules[j];
      Path where = (at / "nonResourceRules").index(j);
      if (policy.verbs.empty()) errors.required(where / "verbs", "verbs must contain at least one value");
      if (policy.non_resource_urls.empty()) errors.required(where / "nonResourceURLs", "nonResourceURLs must contain at least one value");
    }
  }
}
void validate_schema_update(const flow::FlowSchema& object, const flow::FlowSchema&, FieldErrors& errors) { validate_schema(object, errors); }

// ---- PriorityLevelConfiguration -------------------------------------------------------------------------------------------------

void default_level(flow::PriorityLevelConfiguration& object) { apply_table_defaults(object); }
void prepare_level_status(WriteContext&, flow::PriorityLevelConfiguration& object, const flow::PriorityLevelConfiguration& old) {
  prepare_status_of(object, old);
}

void validate_percent(const Opt<int32_t>& percent, int32_t most, const Path& path, FieldErrors& errors) {
  if (percent && (*percent < 0 || *percent > most)) errors.invalid(path, std::to_string(*percent), range_message(0, most));
}
void validate_level(const flow::PriorityLevelConfiguration& object, FieldErrors& errors) {
  const flow::PriorityLevelConfigurationSpec& spec = object.spec;
  Path path("spec");
  bool mandatory_exempt = object.metadata.name == "exempt";
  if (mandatory_exempt != (spec.type == "Exempt"))
    errors.invalid(path / "type", quoted(spec.type), "must be 'Exempt' if and only if the name is 'exempt'");
  if (spec.type == "Exempt") {
    if (spec.limited) errors.forbidden(path / "limited", "must be nil if the type is not Limited");
    if (!spec.exempt) return;
    if (spec.exempt->nominal_concurrency_shares.value_or(0) < 0)
      errors.invalid(path / "exempt" / "nominalConcurrencyShares", std::to_string(*spec.exempt->nominal_concurrency_shares), "must be a non-negative integer");
    validate_percent(spec.exempt->lendable_percent, 100, path / "exempt" / "lendablePercent", errors);
  } else if (spec.type == "Limited") {
    if (spec.exempt) errors.forbidden(path / "exempt", "must be nil if the type is Limited");
    if (!spec.limited) return errors.required(path / "limited", "must not be empty when type is Limited");
    const flow::LimitedPriorityLevelConfiguration& limited = *spec.limited;
    Path at = path / "limited";
    if (limited.nominal_concurrency_shares <= 0)
      errors.invalid(at / "nominalConcurrencyShares", std::to_string(limited.nominal_concurrency_shares), "must be positive");
    validate_percent(limited.lendable_percent, 100, at / "lendablePercent", errors);
    if (limited.borrowing_limit_percent.value_or(0) < 0)
      errors.invalid(at / "borrowingLimitPercent", std::to_string(*limited.borrowing_limit_percent), "if specified, must be a non-negative integer");
    const flow::LimitResponse& response = limited.limit_response;
    Path queuing = at / "limitResponse" / "queuing";
    if (response.type == "Reject") {
      if (response.queuing) errors.forbidden(queuing, "must be nil if limited.limitResponse.type is not Limited");
    } else if (response.type == "Queue") {
      if (!response.queuing) return errors.required(queuing, "must not be empty if limited.limitResponse.type is Limited");
      const flow::QueuingConfiguration& queue = *response.queuing;
      if (queue.queue_length_limit <= 0) errors.invalid(queuing / "queueLengthLimit", std::to_string(queue.queue_length_limit), "must be positive");
      if (queue.queues <= 0) {
        errors.invalid(queuing / "queues", std::to_string(queue.queues), "must be positive");
      } else if (queue.queues > 10000000) {
        errors.invalid(queuing / "queues", std::to_string(queue.queues), "must not be greater than 10000000");
      }
      if (queue.hand_size <= 0) {
        errors.invalid(queuing / "handSize", std::to_string(queue.hand_size), "must be positive");
      } else if (queue.hand_size > queue.queues) {
        errors.invalid(queuing / "handSize", std::to_string(queue.hand_size), "should not be greater than queues (" + std::to_string(queue.queues) + ")");
      }
    } else {
      errors.not_supported(at / "limitResponse" / "type", quoted(response.type), {"Queue", "Reject"});
    }
  } else {
    errors.not_supported(path / "type", quoted(spec.type), {"Exempt", "Limited"});
  }
}
void validate_level_update(const flow::PriorityLevelConfiguration& object, const flow::PriorityLevelConfiguration&, FieldErrors& errors) {
  validate_level(object, errors);
}

constexpr Strategy kStrategies[] = {
    {.group = kGroup,
     .plural = "flowschemas",
     .defaults = erase_defaults<&default_schema>,
     .validate = erase_validate<&validate_schema>,
     .validate_update = erase_validate_update<&validate_schema_update>,
     .prepare_status = erase_update<&prepare_schema_status>,
     .has_generation = true,
     .has_status = true},
    {.group = kGroup,
     .plural = "prioritylevelconfigurations",
     .defaults = erase_defaults<&default_level>,
     .validate = erase_validate<&validate_level>,
     .validate_update = erase_validate_update<&validate_level_update>,
     .prepare_status = erase_update<&prepare_level_status>,
     .has_generation = true,
     .has_status = true},
};

}  // namespace

std::span<const Strategy> flowcontrol_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
