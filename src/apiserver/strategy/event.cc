// SPDX-License-Identifier: Apache-2.0
// Strategy of events, in both groups: they are one resource, stored as core/v1.
#include "api/core_v1.h"
#include "apiserver/strategy/strategies.h"
#include "apiserver/strategy/validators.h"

namespace knarr::apiserver {

namespace {

namespace core = api::core_v1;

void limit(const Str& text, size_t most, std::string_view field, FieldErrors& errors) {
  if (text.size() > most)
    errors.invalid(Path(field), "\"\"", "can have at most " + std::to_string(most) + " characters");
}

void validate(const core::Event& event, FieldErrors& errors) {
  std::string_view ns = event.metadata.namespace_, involved = event.involved_object.namespace_;
  Path involved_path = Path("involvedObject") / "namespace";
  if (event.event_time.is_zero()) {
    bool matches = involved.empty() ? ns.empty() || ns == "default" : ns == involved;
    if (!matches) errors.invalid(involved_path, quoted(involved), "does not match event.namespace");
  } else {
    if (involved.empty() && ns != "default" && ns != "kube-system")
      errors.invalid(involved_path, quoted(involved), "does not match event.namespace");
    Path controller("reportingComponent");
    if (event.reporting_component.empty()) errors.required(controller);
    invalid_each(controller, event.reporting_component,
                 check_qualified_name(event.reporting_component), errors);
    if (event.reporting_instance.empty()) errors.required(Path("reportingInstance"));
    limit(event.reporting_instance, 128, "reportingInstance", errors);
    if (event.action.empty()) errors.required(Path("action"));
    limit(event.action, 128, "action", errors);
    if (event.reason.empty()) errors.required(Path("reason"));
    limit(event.reason, 128, "reason", errors);
    limit(event.message, 1024, "message", errors);
  }
  invalid_each(Path("namespace"), ns, check_dns1123_subdomain(ns), errors);
}
void validate_update(const core::Event& event, const core::Event&, FieldErrors& errors) {
  validate(event, errors);
}

constexpr Strategy make(std::string_view group) {
  return {.group = group,
          .plural = "events",
          .validate = erase_validate<&validate>,
          .validate_update = erase_validate_update<&validate_update>,
          .allow_create_on_update = true};
}
constexpr Strategy kStrategies[] = {make(""), make("events.k8s.io")};

}  // namespace

std::span<const Strategy> event_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
