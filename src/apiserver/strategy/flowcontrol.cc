// SPDX-License-Identifier: Apache-2.0
// Strategies of flowschemas and prioritylevelconfigurations, which are stored as v1beta3.
#include <algorithm>

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

// ---- FlowSchema
// -----------------------------------------------------------------------------------------------------------------

void default_schema(flow::FlowSchema& object) { apply_table_defaults(object); }
void prepare_schema_status(WriteContext&, flow::FlowSchema& object, const flow::FlowSchema& old) {
  prepare_status_of(object, old);
}

bool has_wildcard(const schema::List<Str>& list) {
  for (const Str& each : list)
    if (each == "*") return true;
  return false;
}
// What a subject of one kind must not have beside it.
void forbid_other(bool there, std::string_view field, std::string_view kind, const Path& path,
                  FieldErrors& errors) {
  if (there)
    errors.forbidden(path / field, std::string(field) + " is forbidden when subject kind is not '" +
                                       std::string(kind) + "'");
}

void validate_account(const flow::Subject& subject, const Path& path, FieldErrors& errors) {
  if (!subject.service_account)
    return errors.required(path,
                           "serviceAccount is required when subject kind is 'ServiceAccount'");
  const flow::ServiceAccountSubject& account = *subject.service_account;
  if (account.name.empty())
    errors.required(path / "name");
  else if (!(account.name == "*"))
    invalid_each(path / "name", account.name, check_dns1123_subdomain(account.name), errors);
  if (account.namespace_.empty())
    errors.required(path / "namespace", "must specify namespace for service account");
  else
    invalid_each(path / "namespace", account.namespace_, check_dns1123_label(account.namespace_),
                 errors);
}

void validate_subject(const flow::Subject& subject, const Path& path, FieldErrors& errors) {
  bool account = subject.service_account.has_value(), user = subject.user.has_value(),
       group = subject.group.has_value();
  if (subject.kind == "ServiceAccount") {
    validate_account(subject, path / "serviceAccount", errors);
    forbid_other(user, "user", "User", path, errors);
    forbid_other(group, "group", "Group", path, errors);
  } else if (subject.kind == "User") {
    if (!user)
      errors.required(path / "user", "user is required when subject kind is 'User'");
    else if (subject.user->name.empty())
      errors.required(path / "user" / "name");
    forbid_other(account, "serviceAccount", "ServiceAccount", path, errors);
    forbid_other(group, "group", "Group", path, errors);
  } else if (subject.kind == "Group") {
    if (!group)
      errors.required(path / "group", "group is required when subject kind is 'Group'");
    else if (subject.group->name.empty())
      errors.required(path / "group" / "name");
    forbid_other(account, "serviceAccount", "ServiceAccount", path, errors);
    forbid_other(user, "user", "User", path, errors);
  } else {
    errors.not_supported(path / "kind", quoted(subject.kind), {"Group", "ServiceAccount", "User"});
  }
}

void validate_verbs(const schema::List<Str>& verbs, const Path& path, FieldErrors& errors) {
  static const std::vector<std::string_view> kVerbs = {
      "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"};
  if (verbs.empty()) return errors.required(path, "verbs must contain at least one value");
  if (has_wildcard(verbs)) {
    if (verbs.size() > 1)
      errors.invalid(path, go_list(verbs), "if '*' is present, must not specify other verbs");
    return;
  }
  for (const Str& verb : verbs)
    if (std::find(kVerbs.begin(), kVerbs.end(), verb.view()) == kVerbs.end())
      return errors.not_supported(path, go_list(verbs), kVerbs);
}

void validate_resource_rule(const flow::ResourcePolicyRule& rule, const Path& path,
                            FieldErrors& errors) {
  validate_verbs(rule.verbs, path / "verbs", errors);
  auto list = [&](const schema::List<Str>& values, std::string_view field, std::string_view one,
                  std::string_view many) {
    if (values.empty())
      errors.required(path / field, "resource rules must supply at least one " + std::string(one));
    else if (values.size() > 1 && has_wildcard(values))
      errors.invalid(path / field, go_list(values),
                     "if '*' is present, must not specify other " + std::string(many));
  };
  list(rule.api_groups, "apiGroups", "api group", "api groups");
  list(rule.resources, "resources", "resource", "resources");
  Path namespaces = path / "namespaces";
  if (rule.namespaces.empty() && !rule.cluster_scope) {
    errors.required(
        namespaces,
        "resource rules that are not cluster scoped must supply at least one namespace");
  } else if (has_wildcard(rule.namespaces)) {
    if (rule.namespaces.size() > 1)
      errors.invalid(namespaces, go_list(rule.namespaces),
                     "if '*' is present, must not specify other namespaces");
  } else {
    for (size_t i = 0; i < rule.namespaces.size(); ++i)
      for (const std::string& message : check_dns1123_label(rule.namespaces[i]))
        errors.invalid(namespaces.index(i), quoted(rule.namespaces[i]),
                       "each member of this list must be '*' or a DNS-1123 label; " + message);
  }
}

std::string path_problem(std::string_view path) {
  if (path.empty()) return "must not be empty";
  if (path == "/") return {};
  if (path[0] != '/') return "must start with slash";
  if (path.find(' ') != path.npos) return "must not contain white-space";
  if (path.find("//") != path.npos) return "must not contain double slash";
  size_t stars = static_cast<size_t>(std::count(path.begin(), path.end(), '*'));
  if (stars > 1 || (stars == 1 && !path.ends_with("/*")))
    return "wildcard can only do suffix matching";
  return {};
}
void validate_path_rule(const flow::NonResourcePolicyRule& rule, const Path& path,
                        FieldErrors& errors) {
  validate_verbs(rule.verbs, path / "verbs", errors);
  Path urls = path / "nonResourceURLs";
  const schema::List<Str>& list = rule.non_resource_urls;
  if (list.empty()) return errors.required(urls, "nonResourceURLs must contain at least one value");
  if (has_wildcard(list)) {
    if (list.size() > 1)
      errors.invalid(urls, go_list(list),
                     "if '*' is present, must not specify other non-resource URLs");
    return;
  }
  for (size_t i = 0; i < list.size(); ++i)
    if (std::string problem = path_problem(list[i]); !problem.empty())
      errors.invalid(urls.index(i), quoted(list[i]), problem);
}

void validate_schema(const flow::FlowSchema& object, FieldErrors& errors) {
  const flow::FlowSchemaSpec& spec = object.spec;
  Path path("spec");
  std::string precedence = std::to_string(spec.matching_precedence);
  if (spec.matching_precedence <= 0)
    errors.invalid(path / "matchingPrecedence", precedence, "must be a positive value");
  if (spec.matching_precedence > 10000)
    errors.invalid(path / "matchingPrecedence", precedence, "must not be greater than 10000");
  if (spec.matching_precedence == 1 && !(object.metadata.name == "exempt"))
    errors.invalid(path / "matchingPrecedence", "1",
                   "only the schema named 'exempt' may have matchingPrecedence 1");
  if (spec.distinguisher_method && !(spec.distinguisher_method->type == "ByNamespace") &&
      !(spec.distinguisher_method->type == "ByUser"))
    errors.not_supported(
        path / "distinguisherMethod" / "type",
        "flowcontrol.FlowDistinguisherMethod{Type:" + quoted(spec.distinguisher_method->type) + "}",
        {"ByNamespace", "ByUser"});
  const Str& level = spec.priority_level_configuration.name;
  Path level_path = path / "priorityLevelConfiguration" / "name";
  if (level.empty())
    errors.required(level_path, "must reference a priority level");
  else
    invalid_each(level_path, level, check_dns1123_subdomain(level), errors);
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const flow::PolicyRulesWithSubjects& rule = spec.rules[i];
    Path at = (path / "rules").index(i);
    if (rule.subjects.empty())
      errors.required(at / "subjects", "subjects must contain at least one value");
    for (size_t j = 0; j < rule.subjects.size(); ++j)
      validate_subject(rule.subjects[j], (at / "subjects").index(j), errors);
    if (rule.resource_rules.empty() && rule.non_resource_rules.empty())
      errors.required(at, "at least one of resourceRules and nonResourceRules has to be non-empty");
    for (size_t j = 0; j < rule.resource_rules.size(); ++j)
      validate_resource_rule(rule.resource_rules[j], (at / "resourceRules").index(j), errors);
    for (size_t j = 0; j < rule.non_resource_rules.size(); ++j)
      validate_path_rule(rule.non_resource_rules[j], (at / "nonResourceRules").index(j), errors);
  }
}
void validate_schema_update(const flow::FlowSchema& object, const flow::FlowSchema&,
                            FieldErrors& errors) {
  validate_schema(object, errors);
}

// ---- PriorityLevelConfiguration
// -------------------------------------------------------------------------------------------------

void default_level(flow::PriorityLevelConfiguration& object) { apply_table_defaults(object); }
void prepare_level_status(WriteContext&, flow::PriorityLevelConfiguration& object,
                          const flow::PriorityLevelConfiguration& old) {
  prepare_status_of(object, old);
}

void validate_percent(const Opt<int32_t>& percent, int32_t most, const Path& path,
                      FieldErrors& errors) {
  if (percent && (*percent < 0 || *percent > most))
    errors.invalid(path, std::to_string(*percent), range_message(0, most));
}
void validate_level(const flow::PriorityLevelConfiguration& object, FieldErrors& errors) {
  const flow::PriorityLevelConfigurationSpec& spec = object.spec;
  Path path("spec");
  bool mandatory_exempt = object.metadata.name == "exempt";
  if (mandatory_exempt != (spec.type == "Exempt"))
    errors.invalid(path / "type", quoted(spec.type),
                   "must be 'Exempt' if and only if the name is 'exempt'");
  if (spec.type == "Exempt") {
    if (spec.limited) errors.forbidden(path / "limited", "must be nil if the type is not Limited");
    if (!spec.exempt) return;
    if (spec.exempt->nominal_concurrency_shares.value_or(0) < 0)
      errors.invalid(path / "exempt" / "nominalConcurrencyShares",
                     std::to_string(*spec.exempt->nominal_concurrency_shares),
                     "must be a non-negative integer");
    validate_percent(spec.exempt->lendable_percent, 100, path / "exempt" / "lendablePercent",
                     errors);
  } else if (spec.type == "Limited") {
    if (spec.exempt) errors.forbidden(path / "exempt", "must be nil if the type is Limited");
    if (!spec.limited)
      return errors.required(path / "limited", "must not be empty when type is Limited");
    const flow::LimitedPriorityLevelConfiguration& limited = *spec.limited;
    Path at = path / "limited";
    if (limited.nominal_concurrency_shares <= 0)
      errors.invalid(at / "nominalConcurrencyShares",
                     std::to_string(limited.nominal_concurrency_shares), "must be positive");
    validate_percent(limited.lendable_percent, 100, at / "lendablePercent", errors);
    if (limited.borrowing_limit_percent.value_or(0) < 0)
      errors.invalid(at / "borrowingLimitPercent", std::to_string(*limited.borrowing_limit_percent),
                     "if specified, must be a non-negative integer");
    const flow::LimitResponse& response = limited.limit_response;
    Path queuing = at / "limitResponse" / "queuing";
    if (response.type == "Reject") {
      if (response.queuing)
        errors.forbidden(queuing, "must be nil if limited.limitResponse.type is not Limited");
    } else if (response.type == "Queue") {
      if (!response.queuing)
        return errors.required(queuing,
                               "must not be empty if limited.limitResponse.type is Limited");
      const flow::QueuingConfiguration& queue = *response.queuing;
      if (queue.queue_length_limit <= 0)
        errors.invalid(queuing / "queueLengthLimit", std::to_string(queue.queue_length_limit),
                       "must be positive");
      if (queue.queues <= 0) {
        errors.invalid(queuing / "queues", std::to_string(queue.queues), "must be positive");
      } else if (queue.queues > 10000000) {
        errors.invalid(queuing / "queues", std::to_string(queue.queues),
                       "must not be greater than 10000000");
      }
      if (queue.hand_size <= 0) {
        errors.invalid(queuing / "handSize", std::to_string(queue.hand_size), "must be positive");
      } else if (queue.hand_size > queue.queues) {
        errors.invalid(queuing / "handSize", std::to_string(queue.hand_size),
                       "should not be greater than queues (" + std::to_string(queue.queues) + ")");
      }
    } else {
      errors.not_supported(at / "limitResponse" / "type", quoted(response.type),
                           {"Queue", "Reject"});
    }
  } else {
    errors.not_supported(path / "type", quoted(spec.type), {"Exempt", "Limited"});
  }
}
void validate_level_update(const flow::PriorityLevelConfiguration& object,
                           const flow::PriorityLevelConfiguration&, FieldErrors& errors) {
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
