// SPDX-License-Identifier: Apache-2.0
// Strategies of resourcequotas and limitranges.
#include <cstdio>
#include <set>

#include "api/core_v1.h"
#include "apiserver/strategy/resources.h"
#include "apiserver/strategy/strategies.h"

namespace knarr::apiserver {

namespace {

namespace core = api::core_v1;
using schema::Quantity;
using schema::QuantityValue;

// ---- ResourceQuota
// ------------------------------------------------------------------------------------------------------------

bool is_scope(std::string_view scope) {
  return scope == "Terminating" || scope == "NotTerminating" || scope == "BestEffort" ||
         scope == "NotBestEffort" || scope == "PriorityClass" ||
         scope == "CrossNamespacePodAffinity";
}
bool scope_fits(std::string_view scope, std::string_view resource) {
  if (resource == "pods" || !is_scope(scope)) return true;
  if (scope == "BestEffort") return false;
  for (std::string_view known :
       {"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
    if (known == resource) return true;
  return false;
}

std::string go_scopes(const List<Str>& scopes) {
  std::string out = "[]core.ResourceQuotaScope{";
  for (size_t i = 0; i < scopes.size(); ++i) out += (i > 0 ? ", " : "") + quoted(scopes[i]);
  return out + "}";
}

void validate_scope_pairs(const std::set<std::string_view>& scopes,
                          const core::ResourceQuotaSpec& spec, const Path& path,
                          FieldErrors& errors) {
  for (auto [a, b] :
       {std::pair{"BestEffort", "NotBestEffort"}, std::pair{"NotTerminating", "Terminating"}})
    if (scopes.contains(a) && scopes.contains(b))
      errors.invalid(path, go_scopes(spec.scopes), "conflicting scopes");
}

void validate_scopes(const core::ResourceQuotaSpec& spec, const Path& path, FieldErrors& errors) {
  std::set<std::string_view> seen;
  for (const Str& scope : spec.scopes) {
    if (!is_scope(scope)) errors.invalid(path, go_scopes(spec.scopes), "unsupported scope");
    for (const auto& [resource, quantity] : spec.hard)
      if (is_standard_quota_resource(resource) && !scope_fits(scope, resource))
        errors.invalid(path, go_scopes(spec.scopes), "unsupported scope applied to resource");
    seen.insert(scope.view());
  }
  validate_scope_pairs(seen, spec, path, errors);
}

void validate_scope_selector(const core::ResourceQuotaSpec& spec, const Path& path,
                             FieldErrors& errors) {
  if (!spec.scope_selector) return;
  std::set<std::string_view> seen;
  for (const auto& requirement : spec.scope_selector->match_expressions) {
    std::string_view scope = requirement.scope_name, op = requirement.operator_;
    if (!is_scope(scope)) errors.invalid(path / "scopeName", quoted(scope), "unsupported scope");
    for (const auto& [resource, quantity] : spec.hard)
      if (is_standard_quota_resource(resource) && !scope_fits(scope, resource))
        errors.invalid(path, "core.ScopeSelector", "unsupported scope applied to resource");
    if (is_scope(scope) && scope != "PriorityClass" && op != "Exists")
      errors.invalid(path / "operator", quoted(op),
                     "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                     "ResourceQuotaScopeNotTerminating, "
                     "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                     "ResourceQuotaScopeCrossNamespacePodAffinity");
    if (op == "In" || op == "NotIn") {
      if (requirement.values.empty())
        errors.required(
            path / "values",
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!requirement.values.empty())
        errors.invalid(
            path / "values", go_list(requirement.values),
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    } else {
      errors.invalid(path / "operator", quoted(op), "not a valid selector operator");
    }
    seen.insert(scope);
  }
  validate_scope_pairs(seen, spec, path, errors);
}

void validate_amounts(const Map<Quantity>& amounts, const Path& path, FieldErrors& errors) {
  for (const auto& [name, quantity] : amounts) {
    validate_quota_resource_name(name, path.key(name), errors);
    validate_resource_quantity(name, quantity, path.key(name), errors);
  }
}
void validate_quota_spec(const core::ResourceQuotaSpec& spec, FieldErrors& errors) {
  Path path("spec");
  validate_amounts(spec.hard, path / "hard", errors);
  validate_scopes(spec, path / "scopes", errors);
  validate_scope_selector(spec, path / "scopeSelector" / "matchExpressions", errors);
}
void validate_quota_status(const core::ResourceQuotaStatus& status, FieldErrors& errors) {
  validate_amounts(status.hard, Path("status") / "hard", errors);
  validate_amounts(status.used, Path("status") / "used", errors);
}

void validate_quota(const core::ResourceQuota& quota, FieldErrors& errors) {
  validate_quota_spec(quota.spec, errors);
  validate_quota_status(quota.status, errors);
}
void validate_quota_update(const core::ResourceQuota& quota, const core::ResourceQuota& old,
                           FieldErrors& errors) {
  validate_quota_spec(quota.spec, errors);
  std::set<std::string_view> now, before;
  for (const Str& scope : quota.spec.scopes) now.insert(scope.view());
  for (const Str& scope : old.spec.scopes) before.insert(scope.view());
  if (now != before)
    errors.invalid(Path("spec") / "scopes", go_scopes(quota.spec.scopes), kFieldImmutable);
}
void validate_quota_status_update(const core::ResourceQuota& quota, const core::ResourceQuota&,
                                  FieldErrors& errors) {
  validate_quota_status(quota.status, errors);
}

// ---- LimitRange
// ---------------------------------------------------------------------------------------------------------------

void default_range(core::LimitRange& range) {
  for (core::LimitRangeItem& item : range.spec.limits) {
    if (!(item.type == "Container")) continue;
    item.default_.ensure();
    item.default_request.ensure();
    auto fill = [](Map<Quantity>& to, const Map<Quantity>& from) {
      for (const auto& [name, quantity] : from)
        if (!to.contains(name)) to[name] = quantity;
    };
    fill(item.default_, item.max);
    fill(item.default_request, item.default_);
    fill(item.default_request, item.min);
  }
}

void validate_range_resource(std::string_view type, std::string_view name, const Path& path,
                             FieldErrors& errors) {
  if (type == "Pod" || type == "Container") {
    validate_container_resource_name(name, path, errors);
  } else {
    validate_resource_name(name, path, errors);
  }
}

// The relations between the bounds of one resource.
void validate_bounds(const core::LimitRangeItem& item, std::string_view name, const Path& path,
                     FieldErrors& errors) {
  bool pod = item.type == "Pod";
  const Quantity *min = item.min.find(name), *max = item.max.find(name),
                 *ratio = item.max_limit_request_ratio.find(name);
  const Quantity* standard = pod ? nullptr : item.default_.find(name);
  const Quantity* request = pod ? nullptr : item.default_request.find(name);
  auto above = [](const Quantity* a, const Quantity* b) {
    return a != nullptr && b != nullptr && QuantityValue::of(*a) > QuantityValue::of(*b);
  };
  auto refuse = [&](std::string_view field, const Quantity* value, const std::string& why) {
    errors.invalid((path / field).key(name), go_quantity(*value), why);
  };
  auto text = [](const Quantity* q) { return q->text.empty() ? std::string("0") : q->text.str(); };
  if (above(min, max))
    refuse("min", min, "min value " + text(min) + " is greater than max value " + text(max));
  if (above(min, request))
    refuse("defaultRequest", request,
           "min value " + text(min) + " is greater than default request value " + text(request));
  if (above(request, max))
    refuse("defaultRequest", request,
           "default request value " + text(request) + " is greater than max value " + text(max));
  if (above(request, standard))
    refuse("defaultRequest", request,
           "default request value " + text(request) + " is greater than default limit value " +
               text(standard));
  if (above(min, standard))
    refuse("default", min,
           "min value " + text(min) + " is greater than default value " + text(standard));
  if (above(standard, max))
    refuse("default", max,
           "default value " + text(standard) + " is greater than max value " + text(max));
  if (ratio != nullptr) {
    QuantityValue value = QuantityValue::of(*ratio);
    if (value < QuantityValue::from_int(1))
      refuse("maxLimitRequestRatio", ratio, "ratio " + text(ratio) + " is less than 1");
    if (min != nullptr && max != nullptr) {
      double limit = static_cast<double>(QuantityValue::of(*max).milli_value()) /
                     static_cast<double>(QuantityValue::of(*min).milli_value());
      char printed[64];
      std::snprintf(printed, sizeof printed, "%f", limit);
      if (static_cast<double>(value.milli_value()) / 1000 > limit)
        refuse("maxLimitRequestRatio", ratio,
               "ratio " + text(ratio) + " is greater than max/min = " + printed);
    }
  }
  if (!is_overcommit_allowed(name) && standard != nullptr && request != nullptr &&
      QuantityValue::of(*standard) != QuantityValue::of(*request))
    refuse("defaultRequest", request,
           "default value " + text(standard) + " must equal to defaultRequest value " +
               text(request) + " in " + std::string(name));
}

void validate_range(const core::LimitRange& range, FieldErrors& errors) {
  std::set<std::string_view> types;
  for (size_t i = 0; i < range.spec.limits.size(); ++i) {
    const core::LimitRangeItem& item = range.spec.limits[i];
    Path path = (Path("spec") / "limits").index(i);
    std::string_view type = item.type;
    Messages problems = check_qualified_name(type);
    invalid_each(path / "type", type, problems, errors);
    if (problems.empty() && type.find('/') == type.npos && type != "Pod" && type != "Container" &&
        type != "PersistentVolumeClaim")
      errors.invalid(path / "type", quoted(type),
                     "must be a standard limit type or fully qualified");
    if (!types.insert(type).second) errors.duplicate(path / "type", quoted(type));
    std::set<std::string_view> names;
    auto collect = [&](const Map<Quantity>& amounts, std::string_view field) {
      for (const auto& [name, quantity] : amounts) {
        validate_range_resource(type, name, (path / field).key(name), errors);
        names.insert(name.view());
      }
    };
    collect(item.max, "max");
    collect(item.min, "min");
    if (type == "Pod") {
      if (!item.default_.empty())
        errors.forbidden(path / "default", "may not be specified when `type` is 'Pod'");
      if (!item.default_request.empty())
        errors.forbidden(path / "defaultRequest", "may not be specified when `type` is 'Pod'");
    } else {
      collect(item.default_, "default");
      collect(item.default_request, "defaultRequest");
    }
    if (type == "PersistentVolumeClaim" && !item.min.contains("storage") &&
        !item.max.contains("storage"))
      errors.required(
          path / "limits",
          "either minimum or maximum storage value is required, but neither was provided");
    collect(item.max_limit_request_ratio, "maxLimitRequestRatio");
    for (std::string_view name : names) validate_bounds(item, name, path, errors);
  }
}
void validate_range_update(const core::LimitRange& range, const core::LimitRange&,
                           FieldErrors& errors) {
  validate_range(range, errors);
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "resourcequotas",
     .validate = erase_validate<&validate_quota>,
     .validate_update = erase_validate_update<&validate_quota_update>,
     .validate_status = erase_validate_update<&validate_quota_status_update>,
     .has_status = true,
     .returns_deleted_object = true},
    {.group = "",
     .plural = "limitranges",
     .defaults = erase_defaults<&default_range>,
     .validate = erase_validate<&validate_range>,
     .validate_update = erase_validate_update<&validate_range_update>,
     .allow_create_on_update = true},
};

}  // namespace

std::span<const Strategy> quota_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
