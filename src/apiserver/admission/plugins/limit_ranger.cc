// SPDX-License-Identifier: Apache-2.0
// LimitRanger: fills in and checks the resources of containers, pods and claims by the LimitRanges
// of their namespace.
#include <cstdio>
#include <set>

#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/strategy/validators.h"
#include "schema/quantity.h"

namespace knarr::apiserver::admission {

namespace {

using Amounts = schema::Map<schema::Quantity>;
using schema::Quantity;
using schema::QuantityValue;

// Pods are limited when they are made; claims also when they change. Nothing is asked of what is
// being deleted.
bool concerns(const Attributes& a) {
  if (a.operation != Operation::kCreate && a.operation != Operation::kUpdate) return false;
  if (is_for(a, "", "pods")) return a.operation == Operation::kCreate;
  if (!is_for(a, "", "persistentvolumeclaims")) return false;
  const auto* old = old_as<core::PersistentVolumeClaim>(a);
  return old == nullptr || !old->metadata.deletion_timestamp.has_value();
}

void for_each_range(const Attributes& a,
                    const std::function<void(const core::LimitRange&)>& visit) {
  server_of(a).for_each_cached("", "limitranges", a.context.namespace_,
                               [&visit](const schema::Object& object) {
                                 if (const auto* range = object.as<core::LimitRange>())
                                   visit(*range);
                               });
}

// ---- defaults
// -------------------------------------------------------------------------------------------------------------------

void merge(core::Container& container, const core::LimitRangeItem& defaults, std::string_view kind,
           std::vector<std::string>& notes) {
  auto fill = [&](Amounts& to, const Amounts& from, std::string_view what) {
    to.ensure();
    std::string names;
    for (const auto& [name, quantity] : from) {
      if (to.contains(name)) continue;
      to[name] = quantity;
      names += (names.empty() ? "" : ", ") + name.str();
    }
    if (!names.empty())
      notes.push_back(names + " " + std::string(what) + " for " + std::string(kind) + " " +
                      container.name.str());
  };
  fill(container.resources.requests, defaults.default_request, "request");
  fill(container.resources.limits, defaults.default_, "limit");
}

void set_defaults(core::Pod& pod, const core::LimitRange& range) {
  core::LimitRangeItem defaults;
  for (const core::LimitRangeItem& item : range.spec.limits) {
    if (!(item.type == "Container")) continue;
    for (const auto& [name, quantity] : item.default_request)
      defaults.default_request[name] = quantity;
    for (const auto& [name, quantity] : item.default_) defaults.default_[name] = quantity;
  }
  std::vector<std::string> notes;
  for (core::Container& container : pod.spec.containers)
    merge(container, defaults, "container", notes);
  for (core::Container& container : pod.spec.init_containers)
    merge(container, defaults, "init container", notes);
  if (!notes.empty())
    pod.metadata.annotations["kubernetes.io/limit-ranger"] =
        "LimitRanger plugin set: " + join(notes, "; ");
}

// ---- checks
// -----------------------------------------------------------------------------------------------------------------------

std::string text_of(const Quantity& quantity) {
  return quantity.text.empty() ? "0" : quantity.text.str();
}

struct Check {
  std::string_view type;  // "Container", "Pod", "PersistentVolumeClaim"
  const Amounts& requests;
  const Amounts& limits;
  std::vector<std::string>& problems;

  void minimum(std::string_view name, const Quantity& least) const {
    const Quantity *request = requests.find(name), *limit = limits.find(name);
    std::string head = "minimum " + std::string(name) + " usage per " + std::string(type) + " is " +
                       text_of(least);
    if (request == nullptr) {
      problems.push_back(head + ".  No request is specified");
    } else if (QuantityValue::of(*request) < QuantityValue::of(least)) {
      problems.push_back(head + ", but request is " + text_of(*request));
    } else if (limit != nullptr && QuantityValue::of(*limit) < QuantityValue::of(least)) {
      problems.push_back(head + ", but limit is " + text_of(*limit));
    }
  }
  void maximum(std::string_view name, const Quantity& most) const {
    const Quantity *request = requests.find(name), *limit = limits.find(name);
    std::string head =
        "maximum " + std::string(name) + " usage per " + std::string(type) + " is " + text_of(most);
    if (type == "PersistentVolumeClaim") {
      if (request == nullptr) {
        problems.push_back(head + ".  No request is specified");
      } else if (QuantityValue::of(*request) > QuantityValue::of(most)) {
        problems.push_back(head + ", but request is " + text_of(*request));
      }
    } else if (limit == nullptr) {
      problems.push_back(head + ".  No limit is specified");
    } else if (QuantityValue::of(*limit) > QuantityValue::of(most)) {
      problems.push_back(head + ", but limit is " + text_of(*limit));
    } else if (request != nullptr && QuantityValue::of(*request) > QuantityValue::of(most)) {
      problems.push_back(head + ", but request is " + text_of(*request));
    }
  }
  void ratio(std::string_view name, const Quantity& most) const {
    const Quantity *request = requests.find(name), *limit = limits.find(name);
    std::string head = std::string(name) + " max limit to request ratio per " + std::string(type) +
                       " is " + text_of(most);
    if (request == nullptr || QuantityValue::of(*request).is_zero()) {
      problems.push_back(head + ", but no request is specified or request is 0");
    } else if (limit == nullptr || QuantityValue::of(*limit).is_zero()) {
      problems.push_back(head + ", but no limit is specified or limit is 0");
    } else {
      double found = static_cast<double>(QuantityValue::of(*limit).milli_value()) /
                     static_cast<double>(QuantityValue::of(*request).milli_value());
      char printed[64];
      std::snprintf(printed, sizeof printed, "%f", found);
      if (found * 1000 > static_cast<double>(QuantityValue::of(most).milli_value()))
        problems.push_back(head + ", but provided ratio is " + printed);
    }
  }
  void all(const core::LimitRangeItem& item) const {
    for (const auto& [name, quantity] : item.min) minimum(name, quantity);
    for (const auto& [name, quantity] : item.max) maximum(name, quantity);
    if (type == "PersistentVolumeClaim") return;
    for (const auto& [name, quantity] : item.max_limit_request_ratio) ratio(name, quantity);
  }
};

// The sum over the containers, or what an init container needs alone, where that is more.
Amounts pod_total(const core::Pod& pod, Amounts core::ResourceRequirements::*amounts) {
  std::map<std::string_view, QuantityValue> total;
  for (const core::Container& container : pod.spec.containers)
    for (const auto& [name, quantity] : container.resources.*amounts) {
      auto [at, fresh] = total.emplace(name.view(), QuantityValue::of(quantity));
      if (!fresh) at->second += QuantityValue::of(quantity);
    }
  for (const core::Container& container : pod.spec.init_containers)
    for (const auto& [name, quantity] : container.resources.*amounts) {
      QuantityValue value = QuantityValue::of(quantity);
      auto [at, fresh] = total.emplace(name.view(), value);
      if (!fresh && value > at->second) at->second = value;
    }
  Amounts out;
  for (const auto& [name, value] : total) out[name] = value.to_quantity();
  return out;
}

void check_pod(const core::Pod& pod, const core::LimitRange& range,
               std::vector<std::string>& problems) {
  for (const core::LimitRangeItem& item : range.spec.limits) {
    if (item.type == "Container") {
      for (const auto* containers : {&pod.spec.containers, &pod.spec.init_containers})
        for (const core::Container& container : *containers)
          Check{item.type, container.resources.requests, container.resources.limits, problems}.all(
              item);
    } else if (item.type == "Pod") {
      Amounts requests = pod_total(pod, &core::ResourceRequirements::requests),
              limits = pod_total(pod, &core::ResourceRequirements::limits);
      Check{item.type, requests, limits, problems}.all(item);
    }
  }
}
void check_claim(const core::PersistentVolumeClaim& claim, const core::LimitRange& range,
                 std::vector<std::string>& problems) {
  for (const core::LimitRangeItem& item : range.spec.limits)
    if (item.type == "PersistentVolumeClaim")
      Check{item.type, claim.spec.resources.requests, Amounts(), problems}.all(item);
}

// An aggregate of errors prints each once, in brackets when there are several.
std::string aggregate(const std::vector<std::string>& problems) {
  std::vector<std::string> once;
  for (const std::string& problem : problems)
    if (std::find(once.begin(), once.end(), problem) == once.end()) once.push_back(problem);
  return once.size() == 1 ? once[0] : "[" + join(once, ", ") + "]";
}

Task<Status> mutate(Attributes& a) {
  auto* pod = object_as<core::Pod>(a);
  if (pod == nullptr || !concerns(a)) co_return Status();
  auto visit = [pod](const core::LimitRange& range) { set_defaults(*pod, range); };
  for_each_range(a, visit);
  co_return Status();
}

Task<Status> validate(Attributes& a) {
  if (!concerns(a) || a.object == nullptr) co_return Status();
  Status refusal;
  const auto* pod = object_as<core::Pod>(a);
  const auto* claim = object_as<core::PersistentVolumeClaim>(a);
  auto visit = [&](const core::LimitRange& range) {
    if (!refusal.ok()) return;
    std::vector<std::string> problems;
    if (pod != nullptr) check_pod(*pod, range, problems);
    if (claim != nullptr) check_claim(*claim, range, problems);
    if (!problems.empty()) refusal = forbid(a, aggregate(problems));
  };
  for_each_range(a, visit);
  co_return refusal;
}

}  // namespace

Plugin limit_ranger() { return {"LimitRanger", true, &mutate, &validate}; }

}  // namespace knarr::apiserver::admission
