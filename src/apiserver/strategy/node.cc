// SPDX-License-Identifier: Apache-2.0
// Strategy of nodes.
#include <set>

#include "apiserver/strategy/pod.h"
#include "apiserver/strategy/resources.h"
#include "apiserver/strategy/strategies.h"

namespace knarr::apiserver {

namespace {

void defaults(core::Node& node) {
  if (node.status.allocatable.is_null() && !node.status.capacity.is_null())
    node.status.allocatable = node.status.capacity;
  core::NodeSpec& spec = node.spec;
  // podCIDR is the first of podCIDRs; the singular wins where they differ.
  if (!spec.pod_cidr.empty() && (spec.pod_cidrs.empty() || !(spec.pod_cidrs[0] == spec.pod_cidr))) {
    spec.pod_cidrs.reset();
    spec.pod_cidrs.push_back(spec.pod_cidr);
  } else if (spec.pod_cidr.empty() && !spec.pod_cidrs.empty()) {
    spec.pod_cidr = spec.pod_cidrs[0];
  }
}

// A kubelet registers its node with a status: POST keeps it.
void prepare_create(WriteContext&, core::Node& node) {
  node.spec.config_source.reset();
  node.status.config.reset();
}
void prepare_update(WriteContext&, core::Node& node, const core::Node& old) {
  node.status = old.status;
  if (!old.spec.config_source) node.spec.config_source.reset();
}
void prepare_status(WriteContext&, core::Node& node, const core::Node& old) {
  node.spec = old.spec;
  if (!old.status.config) node.status.config.reset();
}

void validate_taints(const List<core::Taint>& taints, const Path& path, FieldErrors& errors) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (size_t i = 0; i < taints.size(); ++i) {
    const core::Taint& taint = taints[i];
    Path at = path.index(i);
    invalid_each(at / "key", taint.key, check_qualified_name(taint.key), errors);
    Messages problems = check_label_value(taint.value);
    if (!problems.empty()) errors.invalid(at / "value", quoted(taint.value), join(problems, ";"));
    validate_taint_effect(taint.effect, false, at / "effect", errors);
    if (!seen.emplace(taint.effect.view(), taint.key.view()).second)
      errors.duplicate(at, "core.Taint{Key:" + quoted(taint.key) + ", Value:" +
                               quoted(taint.value) + ", Effect:" + quoted(taint.effect) +
                               ", TimeAdded:<nil>}: taints must be unique by key and effect pair");
  }
}

void validate_quantities(const core::Node& node, FieldErrors& errors) {
  Path status("status");
  for (const auto& [name, quantity] : node.status.capacity)
    validate_resource_quantity(name, quantity, status / "capacity" / name.view(), errors);
  for (const auto& [name, quantity] : node.status.allocatable)
    validate_resource_quantity(name, quantity, status / "allocatable" / name.view(), errors);
}

void validate(const core::Node& node, FieldErrors& errors) {
  validate_taints(node.spec.taints, Path("metadata") / "taints", errors);
  validate_quantities(node, errors);
  Path path = Path("spec") / "podCIDRs";
  std::vector<IpAddress> addresses;
  for (size_t i = 0; i < node.spec.pod_cidrs.size(); ++i) {
    auto cidr = parse_cidr(node.spec.pod_cidrs[i]);
    if (!cidr) {
      errors.invalid(path.index(i), go_list(node.spec.pod_cidrs), "must be valid CIDR");
    } else {
      addresses.push_back(cidr->address);
    }
  }
  if (node.spec.pod_cidrs.size() < 2) return;
  if (!is_dual_stack(addresses) || node.spec.pod_cidrs.size() > 2)
    errors.invalid(path, go_list(node.spec.pod_cidrs),
                   "may specify no more than one CIDR for each IP family");
  std::set<std::string_view> seen;
  for (size_t i = 0; i < node.spec.pod_cidrs.size(); ++i)
    if (!seen.insert(node.spec.pod_cidrs[i].view()).second)
      errors.duplicate(path.index(i), quoted(node.spec.pod_cidrs[i]));
}

void validate_changes(const core::Node& node, const core::Node& old, FieldErrors& errors) {
  validate_quantities(node, errors);
  for (size_t i = 1; i < node.status.addresses.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!(node.status.addresses[i] == node.status.addresses[j])) continue;
      const core::NodeAddress& address = node.status.addresses[i];
      errors.duplicate((Path("status") / "addresses").index(i),
                       "core.NodeAddress{Type:" + quoted(address.type) +
                           ", Address:" + quoted(address.address) + "}");
      break;
    }
  }
  Path spec("spec");
  if (!old.spec.pod_cidrs.empty() && !(old.spec.pod_cidrs == node.spec.pod_cidrs))
    errors.forbidden(spec / "podCIDRs",
                     "node updates may not change podCIDR except from \"\" to valid");
  if (!old.spec.provider_id.empty() && !(old.spec.provider_id == node.spec.provider_id))
    errors.forbidden(spec / "providerID",
                     "node updates may not change providerID except from \"\" to valid");
  validate_taints(node.spec.taints, Path("metadata") / "taints", errors);
  if (!(node.spec.external_id == old.spec.external_id))
    errors.forbidden(spec / "externalID", "may not be updated");
}
void validate_update(const core::Node& node, const core::Node& old, FieldErrors& errors) {
  validate(node, errors);
  validate_changes(node, old, errors);
}

void warn(WriteContext& context, const core::Node& node, const core::Node*) {
  if (node.spec.config_source)
    context.warnings.push_back("spec.configSource: the feature is removed");
  if (!node.spec.external_id.empty())
    context.warnings.push_back(
        "spec.externalID: this field is deprecated, and is unused by Kubernetes");
}

constexpr Strategy kStrategies[] = {
    {.group = "",
     .plural = "nodes",
     .defaults = erase_defaults<&defaults>,
     .prepare_create = erase_create<&prepare_create>,
     .prepare_update = erase_update<&prepare_update>,
     .validate = erase_validate<&validate>,
     .validate_update = erase_validate_update<&validate_update>,
     .warnings = erase_warnings<&warn>,
     .prepare_status = erase_update<&prepare_status>,
     .validate_status = erase_validate_update<&validate_changes>},
};

}  // namespace

std::span<const Strategy> node_strategies() { return kStrategies; }

}  // namespace knarr::apiserver
