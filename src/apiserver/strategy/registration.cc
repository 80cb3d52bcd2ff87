// SPDX-License-Identifier: Apache-2.0
// Strategies of webhook configurations and apiservices.
#include <set>

#include "api/admissionregistration_v1.h"
#include "api/apiregistration_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/table_defaults.h"
#include "apiserver/strategy/validators.h"
#include "schema/time.h"

namespace knarr::apiserver {

namespace {

namespace webhooks = api::admissionregistration_v1;
namespace registration = api::apiregistration_v1;

// ---- webhook configurations
// -----------------------------------------------------------------------------------------------------

template <class T>
void default_configuration(T& object) {
  apply_table_defaults(object);
}

// "pods", "pods/status", "*", "*/scale" ...; an entry that another covers is refused.
void validate_resources_of(const List<Str>& resources, const Path& path, FieldErrors& errors) {
  if (resources.empty()) errors.required(path);
  std::set<std::string_view> wild_resources, wild_subresources;
  std::set<std::string> seen;
  bool every = false, every_with_subresources = false;
  for (size_t i = 0; i < resources.size(); ++i) {
    std::string_view text = resources[i];
    if (text.empty()) errors.required(path.index(i));
    if (text == "*/*") every_with_subresources = true;
    if (text == "*") every = true;
    size_t slash = text.find('/');
    if (slash == text.npos) continue;
    std::string_view resource = text.substr(0, slash), subresource = text.substr(slash + 1);
    if (subresource == "*") wild_resources.insert(resource);
    if (resource == "*") wild_subresources.insert(subresource);
    if (wild_resources.contains(resource) && subresource != "*")
      errors.invalid(
          path.index(i), quoted(text),
          "if '" + std::string(resource) + "/*' is present, must not specify " + std::string(text));
    if (wild_subresources.contains(subresource) && resource != "*")
      errors.invalid(path.index(i), quoted(text),
                     "if '*/" + std::string(subresource) + "' is present, must not specify " +
                         std::string(text));
  }
  if (resources.size() > 1 && every_with_subresources)
    errors.invalid(path, go_list(resources),
                   "if '*/*' is present, must not specify other resources");
  if (every)
    for (const Str& resource : resources)
      if (resource.view().find('/') == std::string_view::npos && !(resource == "*")) {
        errors.invalid(path, go_list(resources),
                       "if '*' is present, must not specify other resources without subresources");
        break;
      }
}
void validate_wild_list(const List<Str>& list, std::string_view what, const Path& path,
                        FieldErrors& errors) {
  if (list.empty()) errors.required(path);
  if (list.size() > 1 && contains(list, "*"))
    errors.invalid(path, go_list(list),
                   "if '*' is present, must not specify other " + std::string(what));
}
void validate_rule(const webhooks::RuleWithOperations& rule, const Path& path,
                   FieldErrors& errors) {
  if (rule.operations.empty()) errors.required(path / "operations");
  if (rule.operations.size() > 1 && contains(rule.operations, "*"))
    errors.invalid(path / "operations", go_list(rule.operations),
                   "if '*' is present, must not specify other operations");
  for (size_t i = 0; i < rule.operations.size(); ++i)
    validate_supported(rule.operations[i], {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"},
                       (path / "operations").index(i), errors);
  validate_wild_list(rule.rule.api_groups, "API groups", path / "apiGroups", errors);
  validate_wild_list(rule.rule.api_versions, "API versions", path / "apiVersions", errors);
  for (size_t i = 0; i < rule.rule.api_versions.size(); ++i)
    if (rule.rule.api_versions[i].empty()) errors.required((path / "apiVersions").index(i));
  validate_resources_of(rule.rule.resources, path / "resources", errors);
  if (rule.rule.scope)
    validate_supported(*rule.rule.scope, {"*", "Cluster", "Namespaced"}, path / "scope", errors);
}

void validate_client(const webhooks::WebhookClientConfig& config, const Path& path,
                     FieldErrors& errors) {
  if (config.url.has_value() == config.service.has_value()) {
    errors.required(path, "exactly one of url or service is required");
  } else if (config.url) {
    std::string_view url = *config.url,
                     rest = url.starts_with("https://") ? url.substr(8) : std::string_view();
    Path at = path / "url";
    constexpr std::string_view kForm = "; desired format: https://host[/path]";
    if (!url.starts_with("https://"))
      errors.invalid(at, quoted(url),
                     "'https' is the only allowed URL scheme" + std::string(kForm));
    if (rest.substr(0, rest.find_first_of("/?#")).empty())
      errors.invalid(at, quoted(url), "host must be specified" + std::string(kForm));
    if (rest.substr(0, rest.find('/')).find('@') != rest.npos)
      errors.invalid(at, quoted(url),
                     "user information is not permitted in the URL" + std::string(kForm));
    if (url.find('#') != url.npos)
      errors.invalid(at, quoted(url),
                     "fragments are not permitted in the URL" + std::string(kForm));
    if (url.find('?') != url.npos)
      errors.invalid(at, quoted(url),
                     "query parameters are not permitted in the URL" + std::string(kForm));
  } else {
    const webhooks::ServiceReference& service = *config.service;
    Path at = path / "service";
    if (service.name.empty()) errors.required(at / "name", "service name is required");
    if (service.namespace_.empty())
      errors.required(at / "namespace", "service namespace is required");
    for (const std::string& message : check_port_number(service.port.value_or(443)))
      errors.invalid(at / "port", std::to_string(*service.port), "port is not valid: " + message);
    if (service.path && !service.path->view().starts_with('/'))
      errors.invalid(at / "path", quoted(*service.path), "must start with a '/'");
  }
}

template <class Webhook>
void validate_webhook(const Webhook& webhook, const Path& path, FieldErrors& errors) {
  Messages problems = check_dns1123_subdomain(webhook.name);
  if (webhook.name.empty()) {
    errors.required(path / "name");
  } else if (!problems.empty()) {
    errors.invalid(path / "name", quoted(webhook.name), join(problems, ","));
  } else if (split(webhook.name, '.').size() < 3) {
    errors.invalid(path / "name", quoted(webhook.name),
                   "should be a domain with at least three segments separated by dots");
  }
  for (size_t i = 0; i < webhook.rules.size(); ++i)
    validate_rule(webhook.rules[i], (path / "rules").index(i), errors);
  if (webhook.failure_policy)
    validate_supported(*webhook.failure_policy, {"Fail", "Ignore"}, path / "failurePolicy", errors);
  if (webhook.match_policy)
    validate_supported(*webhook.match_policy, {"Equivalent", "Exact"}, path / "matchPolicy",
                       errors);
  if (!webhook.side_effects) {
    errors.required(path / "sideEffects", "must specify one of None, NoneOnDryRun");
  } else {
    validate_supported(*webhook.side_effects, {"None", "NoneOnDryRun"}, path / "sideEffects",
                       errors);
  }
  if (webhook.timeout_seconds && (*webhook.timeout_seconds > 30 || *webhook.timeout_seconds < 1))
    errors.invalid(path / "timeoutSeconds", std::to_string(*webhook.timeout_seconds),
                   "the timeout value must be between 1 and 30 seconds");
  validate_label_selector(webhook.namespace_selector.get(), path / "namespaceSelector", errors);
  validate_label_selector(webhook.object_selector.get(), path / "objectSelector", errors);
  validate_client(webhook.client_config, path / "clientConfig", errors);
  Path versions = path / "admissionReviewVersions";
  if (webhook.admission_review_versions.empty()) {
    errors.required(versions, "must specify one of v1, v1beta1");
  } else {
    bool known = false;
    std::set<std::string_view> seen;
    for (size_t i = 0; i < webhook.admission_review_versions.size(); ++i) {
      const Str& version = webhook.admission_review_versions[i];
      if (!seen.insert(version.view()).second)
        errors.invalid(versions.index(i), quoted(version), "duplicate version");
      invalid_each(versions.index(i), version, check_dns1035_label(version), errors);
      known |= version == "v1" || version == "v1beta1";
    }
    if (!known)
      errors.invalid(versions, go_list(webhook.admission_review_versions),
                     "must include at least one of v1, v1beta1");
  }
  std::set<std::string_view> names;
  if (webhook.match_conditions.size() > 64)
    errors.too_many(path / "matchConditions", static_cast<int>(webhook.match_conditions.size()),
                    64);
  for (size_t i = 0; i < webhook.match_conditions.size(); ++i) {
    const webhooks::MatchCondition& condition = webhook.match_conditions[i];
    Path at = (path / "matchConditions").index(i);
    if (trim(condition.expression).empty()) errors.required(at / "expression");
    if (condition.name.empty()) {
      errors.required(at / "name");
    } else {
      invalid_each(at / "name", condition.name, check_qualified_name(condition.name), errors);
      if (!names.insert(condition.name.view()).second)
        errors.duplicate(at / "name", quoted(condition.name));
    }
  }
}
template <class Configuration>
void validate_configuration(const Configuration& object, FieldErrors& errors) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < object.webhooks.size(); ++i) {
    Path path = Path("webhooks").index(i);
    validate_webhook(object.webhooks[i], path, errors);
    if constexpr (requires { object.webhooks[i].reinvocation_policy; })
      if (object.webhooks[i].reinvocation_policy)
        validate_supported(*object.webhooks[i].reinvocation_policy, {"IfNeeded", "Never"},
                           path / "reinvocationPolicy", errors);
    if (!object.webhooks[i].name.empty() && !names.insert(object.webhooks[i].name.view()).second)
      errors.duplicate(path / "name", quoted(object.webhooks[i].name));
  }
}
template <class Configuration>
void validate_configuration_update(const Configuration& object, const Configuration&,
                                   FieldErrors& errors) {
  validate_configuration(object, errors);
}

// ---- APIService
// -----------------------------------------------------------------------------------------------------------------

void default_service(registration::APIService& object) { apply_table_defaults(object); }

// What this server serves itself is available at once.
void prepare_service(WriteContext& context, registration::APIService& object) {
  if (object.spec.service) return;
  registration::APIServiceCondition& condition = object.status.conditions.emplace_back();
  condition.type = "Available";
  condition.status = "True";
  condition.last_transition_time = schema::to_time(context.clock.now());
  condition.reason = "Local";
  condition.message = "Local APIServices are always available";
}
void prepare_service_status(WriteContext&, registration::APIService& object,
                            const registration::APIService& old) {
  object.spec = old.spec;
  object.metadata.labels = old.metadata.labels;
  object.metadata.annotations = old.metadata.annotations;
  object.metadata.finalizers = old.metadata.finalizers;
  object.metadata.owner_references = old.metadata.owner_references;
}
void validate_service(const registration::APIService& object, FieldErrors& errors) {
  const registration::APIServiceSpec& spec = object.spec;
  std::string required_name = spec.version.str() + "." + spec.group.str();
  if (!(object.metadata.name == required_name))
    errors.invalid(Path("metadata") / "name", quoted(object.metadata.name),
                   "must be `spec.version+\".\"+spec.group`: " + quoted(required_name));
  Path path("spec");
  if (spec.group.empty()) {
    if (!(spec.version == "v1"))
      errors.required(path / "group",
                      "only v1 may have an empty group and it better be legacy kube");
  } else {
    Messages problems = check_dns1123_subdomain(spec.group);
    if (!problems.empty()) errors.invalid(path / "group", quoted(spec.group), join(problems, ","));
  }
  Messages problems = check_dns1035_label(spec.version);
  if (!problems.empty())
    errors.invalid(path / "version", quoted(spec.version), join(problems, ","));
  if (spec.group_priority_minimum <= 0 || spec.group_priority_minimum > 20000)
    errors.invalid(path / "groupPriorityMinimum", std::to_string(spec.group_priority_minimum),
                   "must be positive and less than 20000");
  if (spec.version_priority <= 0 || spec.version_priority > 1000)
    errors.invalid(path / "versionPriority", std::to_string(spec.version_priority),
                   "must be positive and less than 1000");
  if (!spec.service) {
    if (!spec.ca_bundle.empty())
      errors.invalid(path / "caBundle", std::to_string(spec.ca_bundle.size()) + " bytes",
                     "local APIServices may not have a caBundle");
    if (spec.insecure_skip_tls_verify)
      errors.invalid(path / "insecureSkipTLSVerify", "true",
                     "local APIServices may not have insecureSkipTLSVerify");
    return;
  }
  Path service = path / "service";
  if (spec.service->namespace_.empty()) errors.required(service / "namespace");
  if (spec.service->name.empty()) errors.required(service / "name");
  for (const std::string& message : check_port_number(spec.service->port.value_or(443)))
    errors.invalid(service / "port", std::to_string(*spec.service->port),
                   "port is not valid: " + message);
  if (spec.insecure_skip_tls_verify && !spec.ca_bundle.empty())
    errors.invalid(path / "insecureSkipTLSVerify", "true",
                   "may not be true if caBundle is present");
}
void validate_service_update(const registration::APIService& object,
                             const registration::APIService&, FieldErrors& errors) {
  validate_service(object, errors);
}
void validate_service_status(const registration::APIService& object,
                             const registration::APIService&, FieldErrors& errors) {
  Path path = Path("status") / "conditions";
  for (size_t i = 0; i < object.status.conditions.size(); ++i)
    validate_supported(object.status.conditions[i].status, {"True", "False", "Unknown"},
                       path.index(i) / "status", errors);
}
// Its name is VERSION.GROUP; nothing else is a rule of names.
Messages service_name(std::string_view name, bool prefix) {
  return check_path_segment(name, prefix);
}

template <class Configuration>
constexpr Strategy webhook_strategy(std::string_view plural) {
  return {.group = "admissionregistration.k8s.io",
          .plural = plural,
          .defaults = erase_defaults<&default_configuration<Configuration>>,
          .validate = erase_validate<&validate_configuration<Configuration>>,
          .validate_update = erase_validate_update<&validate_configuration_update<Configuration>>,
          .has_generation = true,
          .allow_unconditional_update = false};
}
constexpr Strategy kStrategies[] = {
    webhook_strategy<webhooks::ValidatingWebhookConfiguration>("validatingwebhookconfigurations"),
    webhook_strategy<webhooks::MutatingWebhookConfiguration>("mutatingwebhookconfigurations"),
    {.group = "apiregistration.k8s.io",
     .plural = "apiservices",
     .defaults = erase_defaults<&default_service>,
     .prepare_create = erase_create<&prepare_service>,
     .validate = erase_validate<&validate_service>,
     .validate_update = erase_validate_update<&validate_service_update>,
     .prepare_status = erase_update<&prepare_service_status>,
     .validate_status = erase_validate_update<&validate_service_status>,
     .name_problems = &service_name,
     .has_status = true,
     .allow_unconditional_update = false},
};

}  // namespace

std::span<const Strategy> registration_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
