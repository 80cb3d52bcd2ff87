// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/resources.h"

#include "apiserver/strategy/pod.h"

namespace knarr::apiserver {

using schema::QuantityValue;

namespace {

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  for (std::string_view known : names)
    if (known == name) return true;
  return false;
}
bool is_quota_huge_page(std::string_view name) {
  return name.starts_with("hugepages-") || name.starts_with("requests.hugepages-");
}
bool is_standard_resource(std::string_view name) {
  return is_standard_quota_resource(name) || name == "storage";
}

void validate_huge_pages(std::string_view name, const schema::Quantity& quantity,
                         const PodOptions& options, const Path& path, FieldErrors& errors) {
  if (options.allow_indivisible_huge_pages) return;
  auto size = QuantityValue::parse(name.substr(std::string_view("hugepages-").size()));
  bool divisible = size.ok() && size->sign() > 0 && size->milli_value() % 1000 == 0 &&
                   QuantityValue::of(quantity).value() % size->value() == 0;
  if (!divisible)
    errors.invalid(
        path, quoted(quantity.text),
        quantity.text.str() + " is not positive integer multiple of " + std::string(name));
}

}  // namespace

bool is_huge_page_resource(std::string_view name) { return name.starts_with("hugepages-"); }
bool is_native_resource(std::string_view name) {
  return name.find('/') == name.npos || name.find("kubernetes.io/") != name.npos;
}
bool is_extended_resource(std::string_view name) {
  if (is_native_resource(name) || name.starts_with("requests.")) return false;
  return check_qualified_name("requests." + std::string(name)).empty();
}
bool is_overcommit_allowed(std::string_view name) {
  return is_native_resource(name) && !is_huge_page_resource(name);
}
bool is_standard_container_resource(std::string_view name) {
  return one_of(name, {"cpu", "memory", "ephemeral-storage"}) || is_huge_page_resource(name);
}
bool is_standard_quota_resource(std::string_view name) {
  return one_of(name, {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory",
                       "requests.storage", "requests.ephemeral-storage", "limits.cpu",
                       "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas",
                       "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
                       "configmaps", "services.nodeports", "services.loadbalancers"}) ||
         is_quota_huge_page(name);
}
bool is_integer_resource(std::string_view name) {
  return one_of(name, {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
                       "configmaps", "persistentvolumeclaims", "services.nodeports",
                       "services.loadbalancers"}) ||
         is_extended_resource(name);
}

void validate_resource_name(std::string_view name, const Path& path, FieldErrors& errors) {
  Messages problems = check_qualified_name(name);
  if (!problems.empty()) {
    invalid_each(path, name, problems, errors);
  } else if (name.find('/') == name.npos && !is_standard_resource(name)) {
    errors.invalid(path, quoted(name), "must be a standard resource type or fully qualified");
  }
}
void validate_container_resource_name(std::string_view name, const Path& path,
                                      FieldErrors& errors) {
  validate_resource_name(name, path, errors);
  if (name.find('/') == name.npos) {
    if (!is_standard_container_resource(name))
      errors.invalid(path, quoted(name), "must be a standard resource for containers");
  } else if (!is_native_resource(name) && !is_extended_resource(name)) {
    errors.invalid(path, quoted(name), "doesn't follow extended resource name standard");
  }
}
void validate_quota_resource_name(std::string_view name, const Path& path, FieldErrors& errors) {
  validate_resource_name(name, path, errors);
  if (name.find('/') == name.npos && !is_standard_quota_resource(name))
    errors.invalid(path, quoted(name), "must be a standard resource for quota");
}

void validate_resource_quantity(std::string_view name, const schema::Quantity& quantity,
                                const Path& path, FieldErrors& errors) {
  QuantityValue value = QuantityValue::of(quantity);
  if (value.sign() < 0) errors.invalid(path, quoted(quantity.text), kIsNegative);
  if (is_integer_resource(name) && value.milli_value() % 1000 != 0)
    errors.invalid(path, quantity.text, "must be an integer");
}
void validate_positive_quantity(const schema::Quantity& quantity, const Path& path,
                                FieldErrors& errors) {
  if (QuantityValue::of(quantity).sign() <= 0)
    errors.invalid(path, quoted(quantity.text.empty() ? "0" : quantity.text.view()), kNotPositive);
}
void validate_basic_quantity(const schema::Quantity& quantity, const Path& path,
                             FieldErrors& errors) {
  int64_t value = QuantityValue::of(quantity).value();
  if (value < 0) errors.invalid(path, std::to_string(value), "must be a valid resource quantity");
}

void validate_resources(const core::ResourceRequirements& resources, const Path& path,
                        const PodOptions& options, FieldErrors& errors) {
  Path limits = path / "limits", requests = path / "requests";
  bool compute = false, huge = false;
  for (const auto& [name, quantity] : resources.limits) {
    Path at = limits.key(name);
    validate_container_resource_name(name, at, errors);
    validate_resource_quantity(name, quantity, at, errors);
    if (is_huge_page_resource(name)) {
      huge = true;
      validate_huge_pages(name, quantity, options, at, errors);
    }
    compute |= name == "cpu" || name == "memory";
  }
  for (const auto& [name, quantity] : resources.requests) {
    Path at = requests.key(name);
    validate_container_resource_name(name, at, errors);
    validate_resource_quantity(name, quantity, at, errors);
    if (const schema::Quantity* limit = resources.limits.find(name)) {
      auto order = QuantityValue::of(quantity) <=> QuantityValue::of(*limit);
      if (order != 0 && !is_overcommit_allowed(name)) {
        errors.invalid(requests, quoted(quantity.text),
                       "must be equal to " + name.str() + " limit of " + limit->text.str());
      } else if (order > 0) {
        errors.invalid(
            requests, quoted(quantity.text),
            "must be less than or equal to " + name.str() + " limit of " + limit->text.str());
      }
    } else if (!is_overcommit_allowed(name)) {
      errors.required(limits, "Limit must be set for non overcommitable resources");
    }
    if (is_huge_page_resource(name)) {
      huge = true;
      validate_huge_pages(name, quantity, options, at, errors);
    }
    compute |= name == "cpu" || name == "memory";
  }
  if (!compute && huge) errors.forbidden(path, "HugePages require cpu or memory");
}

}  // namespace knarr::apiserver
