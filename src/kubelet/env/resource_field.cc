// SPDX-License-Identifier: Apache-2.0
// resourceFieldRef of the downward API.
#include <cmath>

#include "kubelet/env/container_env.h"
#include "schema/quantity.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
using schema::Quantity;
using schema::QuantityValue;

namespace {

// The container's own limit, or what the node has to give: a container without a limit can use that
// much. Huge pages are never overcommitted, so they have no such default.
QuantityValue limit_of(const core::Container& container, std::string_view name,
                       const schema::Map<Quantity>& allocatable) {
  const Quantity* own = container.resources.limits.find(name);
  if (own != nullptr) {
    QuantityValue value = QuantityValue::of(*own);
    if (!value.is_zero()) return value;
  }
  bool defaulted = name == "cpu" || name == "memory" || name == "ephemeral-storage";
  const Quantity* node = defaulted ? allocatable.find(name) : nullptr;
  return node == nullptr ? QuantityValue() : QuantityValue::of(*node);
}

std::string divide_up(int64_t value, int64_t divisor) {
  if (divisor <= 0) divisor = 1;  // validation admits only 1m, 1, 1k... here
  // As upstream, in floating point.
  auto quotient =
      static_cast<int64_t>(std::ceil(static_cast<double>(value) / static_cast<double>(divisor)));
  return std::to_string(quotient);
}

const core::Container* find_container(const core::Pod& pod, std::string_view name) {
  for (const core::Container& container : pod.spec.containers)
    if (container.name == name) return &container;
  for (const core::Container& container : pod.spec.init_containers)
    if (container.name == name) return &container;
  return nullptr;
}

}  // namespace

Result<std::string> resource_field_value(const core::ResourceFieldSelector& selector,
                                         const core::Pod& pod, const core::Container* container,
                                         const schema::Map<Quantity>& allocatable) {
  if (!selector.container_name.empty() || container == nullptr) {
    container = find_container(pod, selector.container_name);
    if (container == nullptr)
      return Status::error("container " + selector.container_name.str() + " not found");
  }
  QuantityValue divisor = QuantityValue::of(selector.divisor);
  if (divisor.is_zero()) divisor = QuantityValue::from_int(1);
  std::string_view resource = selector.resource;
  bool limits = resource.starts_with("limits.");
  size_t dot = resource.find('.');
  std::string_view name =
      dot == std::string_view::npos ? std::string_view() : resource.substr(dot + 1);
  bool known = name == "cpu" || name == "memory" || name == "ephemeral-storage" ||
               name.starts_with("hugepages-");
  if ((!limits && !resource.starts_with("requests.")) || !known)
    return Status::error("unsupported container resource : " + std::string(resource));
  QuantityValue value;
  if (limits) {
    value = limit_of(*container, name, allocatable);
  } else if (const Quantity* request = container->resources.requests.find(name)) {
    value = QuantityValue::of(*request);
  }
  if (name == "cpu") return divide_up(value.milli_value(), divisor.milli_value());
  return divide_up(value.value(), divisor.value());
}

}  // namespace knarr::kubelet
