// SPDX-License-Identifier: Apache-2.0
#include "controller/volume_match.h"

#include <algorithm>

#include "client/events.h"
#include "schema/quantity.h"
#include "schema/selector.h"

namespace knarr::controller {

using api::core_v1::Node;
using schema::QuantityValue;
using schema::Str;

namespace {

constexpr std::string_view kBetaClass = "volume.beta.kubernetes.io/storage-class", kStorage = "storage";

QuantityValue storage_of(const schema::Map<schema::Quantity>& amounts) {
  const schema::Quantity* amount = amounts.find(kStorage);
  return amount == nullptr ? QuantityValue() : QuantityValue::of(*amount);
}

bool has_mode(const schema::List<Str>& modes, const Str& wanted) {
  return std::any_of(modes.begin(), modes.end(), [&](const Str& one) { return one == wanted; });
}
bool has_all_modes(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  const auto& wanted = claim.spec.access_modes;
  return std::all_of(wanted.begin(), wanted.end(), [&](const Str& one) { return has_mode(volume.spec.access_modes, one); });
}
// Each mode once, as volumes are sorted by how many they have.
size_t count_modes(const PersistentVolume& volume) {
  size_t count = 0;
  for (const char* mode : {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"})
    if (has_mode(volume.spec.access_modes, Str(mode))) ++count;
  return count;
}

bool matches_expressions(const api::core_v1::NodeSelectorTerm& term, const Node& node) {
  using Op = schema::LabelSelector::Op;
  static constexpr std::pair<std::string_view, Op> kOps[] = {{"In", Op::kIn},          {"NotIn", Op::kNotIn},
                                                             {"Exists", Op::kExists},  {"DoesNotExist", Op::kDoesNotExist},
                                                             {"Gt", Op::kGreaterThan}, {"Lt", Op::kLessThan}};
  for (const auto& expression : term.match_expressions) {
    auto op = std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& one) { return expression.operator_ == one.first; });
    if (op == std::end(kOps)) return false;
    schema::LabelSelector::Requirement requirement{expression.key.str(), op->second, {}};
    for (const Str& value : expression.values) requirement.values.push_back(value.str());
    std::sort(requirement.values.begin(), requirement.values.end());
    if (!requirement.matches(node.metadata.labels)) return false;
  }
  for (const auto& field : term.match_fields) {
    bool listed = std::any_of(field.values.begin(), field.values.end(), [&](const Str& one) { return one == node.metadata.name; });
    if (field.key != "metadata.name" || listed != (field.operator_ == "In")) return false;
  }
  return !term.match_expressions.empty() || !term.match_fields.empty();
}

std::string_view text_or(const schema::Opt<Str>& text, std::string_view fallback) { return text.value_or(fallback); }

}  // namespace

std::string_view class_of(const PersistentVolumeClaim& claim) {
  const Str* beta = claim.metadata.annotations.find(kBetaClass);
  return beta != nullptr ? beta->view() : text_or(claim.spec.storage_class_name, "");
}
std::string_view class_of(const PersistentVolume& volume) {
  const Str* beta = volume.metadata.annotations.find(kBetaClass);
  return beta != nullptr ? beta->view() : volume.spec.storage_class_name.view();
}

bool is_for_claim(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  const auto* reference = volume.spec.claim_ref.get();
  if (reference == nullptr || reference->name != claim.metadata.name || reference->namespace_ != claim.metadata.namespace_) return false;
  return reference->uid.empty() || reference->uid == claim.metadata.uid;
}

bool modes_differ(const PersistentVolumeClaim& claim, const PersistentVolume& volume) {
  return text_or(claim.spec.volume_mode, "Filesystem") != text_or(volume.spec.volume_mode, "Filesystem");
}

bool fits_node(const PersistentVolume& volume, const Node& node) {
  if (!volume.spec.node_affinity || !volume.spec.node_affinity->required) return true;
  const auto& terms = volume.spec.node_affinity->required->node_selector_terms;
  return std::any_of(terms.begin(), terms.end(), [&](const auto& term) { return matches_expressions(term, node); });
}

Result<VolumePtr> find_volume(const PersistentVolumeClaim& claim, const std::vector<VolumePtr>& volumes, bool delayed, const Node* node) {
  schema::LabelSelector selector;
  if (claim.spec.selector) {
    TRY_ASSIGN(selector, schema::LabelSelector::from(claim.spec.selector.get()));
  }
  QuantityValue wanted = storage_of(claim.spec.resources.requests);
  VolumePtr best;
  auto is_better = [&](const PersistentVolume& one) {
    size_t modes = count_modes(one), best_modes = count_modes(*best);
    if (modes != best_modes) return modes < best_modes;
    QuantityValue size = storage_of(one.spec.capacity), best_size = storage_of(best->spec.capacity);
    return size != best_size ? size < best_size : one.metadata.name < best->metadata.name;
  };
  for (const VolumePtr& volume : volumes) {
    bool reserved = is_for_claim(*volume, claim);
    if (volume->spec.claim_ref && !reserved) continue;
    if (!has_all_modes(*volume, claim) || storage_of(volume->spec.capacity) < wanted || modes_differ(claim, *volume)) continue;
    if (volume->metadata.deletion_timestamp) continue;
    if (reserved) return volume;
    if (delayed && node == nullptr) continue;
    if (node != nullptr && !fits_node(*volume, *node)) continue;
    if (volume->status.phase != "Available" || !selector.matches(volume->metadata.labels) || class_of(*volume) != class_of(claim)) continue;
    if (best == nullptr || is_better(*volume)) best = volume;
  }
  return best;
}

Status check_satisfies(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  if (volume.metadata.deletion_timestamp)
    return Status::error(fmt::format("the volume is marked for deletion \"{}\"", volume.metadata.name.view()));
  if (storage_of(volume.spec.capacity) < storage_of(claim.spec.resources.requests)) return Status::error("requested PV is too small");
  if (class_of(volume) != class_of(claim)) return Status::error("storageClassName does not match");
  if (modes_differ(claim, volume)) return Status::error("incompatible volumeMode");
  if (!has_all_modes(volume, claim)) return Status::error("incompatible accessMode");
  return {};
}

bool bind_volume(PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  bool by_us = !is_for_claim(volume, claim), changed = false;
  if (by_us || volume.spec.claim_ref->uid != claim.metadata.uid) {
    volume.spec.claim_ref = client::reference_to(claim);
    changed = true;
  }
  if (by_us && !volume.metadata.annotations.contains(kBoundByController)) {
    volume.metadata.annotations[kBoundByController] = "yes";
    changed = true;
  }
  return changed;
}

bool bind_claim(PersistentVolumeClaim& claim, const PersistentVolume& volume) {
  bool changed = false;
  if (claim.spec.volume_name != volume.metadata.name) {
    claim.spec.volume_name = volume.metadata.name;
    if (!claim.metadata.annotations.contains(kBoundByController)) claim.metadata.annotations[kBoundByController] = "yes";
    changed = true;
  }
  if (!claim.metadata.annotations.contains(kBindCompleted)) {
    claim.metadata.annotations[kBindCompleted] = "yes";
    changed = true;
  }
  return changed;
}

void unbind_volume(PersistentVolume& volume) {
  if (volume.metadata.annotations.erase(kBoundByController)) {
    volume.spec.claim_ref.reset();
  } else if (volume.spec.claim_ref) {
    volume.spec.claim_ref->uid = "";  // the user's reservation stays
  }
}

Result<bool> set_claim_status(PersistentVolumeClaim& claim, std::string_view phase, const PersistentVolume* volume) {
  auto& status = claim.status;
  auto before = status;
  bool enters = status.phase != phase;
  status.phase = phase;
  if (volume == nullptr) {
    status.access_modes.reset();
    status.capacity.reset();
    return !(status == before);
  }
  status.access_modes = volume->spec.access_modes;
  if (enters) {
    // Later the two may differ: the file system of a volume that has grown has not yet.
    const schema::Quantity* capacity = volume->spec.capacity.find(kStorage);
    if (capacity == nullptr)
      return Status::error(fmt::format("PersistentVolume \"{}\" is without a storage capacity", volume->metadata.name.view()));
    const Str* before_resize = volume->metadata.annotations.find("volume.alpha.kubernetes.io/pre-resize-capacity");
    if (before_resize != nullptr && QuantityValue::parse(*before_resize).ok()) {
      status.capacity[kStorage] = schema::Quantity(before_resize->view());
    } else if (const schema::Quantity* known = status.capacity.find(kStorage);
               known == nullptr || QuantityValue::of(*known) != QuantityValue::of(*capacity)) {
      status.capacity = volume->spec.capacity;
    }
  }
  return !(status == before);
}

}  // namespace knarr::controller
