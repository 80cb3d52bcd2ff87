// SPDX-License-Identifier: Apache-2.0
// ResourceQuota: refuses what would exceed a quota of its namespace, and charges what it lets pass
// to status.used. Charges of concurrent requests do not get lost: status is written with the
// resourceVersion that was read, and read again when another writer was faster.
#include <algorithm>

#include "apiserver/admission/plugins/plugins.h"
#include "base/log.h"
#include "quota/quota.h"
#include "schema/time.h"

namespace knarr::apiserver::admission {

namespace {

using core::ResourceQuota;
using Usage = quota::Amounts;
using schema::QuantityValue;

// Every failed attempt means that another request got through.
constexpr int kMaxAttempts = 200;

bool is_counted(const Attributes& a) {
  const schema::Resource& resource = a.context.resource;
  if (!resource.namespaced || a.context.namespace_.empty() || !a.context.subresource.empty() ||
      a.object == nullptr)
    return false;
  if (resource.plural == "events") return false;
  bool on_update = resource.group.empty() &&
                   (resource.plural == "services" || resource.plural == "persistentvolumeclaims");
  return a.operation == Operation::kCreate || (a.operation == Operation::kUpdate && on_update);
}

quota::GroupResource group_resource(const schema::Resource& resource) { return {std::string(resource.group), std::string(resource.plural)}; }

std::string text_of(const Usage& usage) {
  std::string out;
  for (const auto& [name, value] : usage)
    out += (out.empty() ? "" : ",") + name + "=" + value.to_string();
  return out;
}
std::string text_of(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

// What the request adds.
Result<Usage> delta_of(Attributes& a) {
  schema::Time now = schema::to_time(a.context.clock.now());
  quota::GroupResource counted = group_resource(a.context.resource);
  Usage delta = quota::usage_of(counted, schema::Object(*a.type, a.object), now);
  std::vector<std::string> negative;
  for (const auto& [name, value] : delta)
    if (value.sign() < 0) negative.push_back(name);
  if (!negative.empty())
    return forbid(a, "quota usage is negative for resource(s): " + text_of(negative));
  if (a.operation == Operation::kUpdate && a.old_object != nullptr) {
    for (const auto& [name, value] : quota::usage_of(counted, schema::Object(*a.type, a.old_object), now))
      if (auto at = delta.find(name); at != delta.end()) at->second -= value;
  }
  std::erase_if(delta, [](const auto& entry) { return entry.second.sign() <= 0; });
  return delta;
}

// Checks one quota and adds to its status.used; true when that changed something.
Result<bool> charge(Attributes& a, ResourceQuota& target, const Usage& delta) {
  quota::GroupResource counted = group_resource(a.context.resource);
  const auto* pod = object_as<core::Pod>(a);
  std::vector<std::string> names;
  for (const auto& [name, quantity] : target.status.hard)
    if (quota::counted_resource(name) == counted) names.push_back(name.str());
  if (names.empty() || !quota::matches_scopes(target, counted, schema::Object(*a.type, a.object))) return false;
  std::string who = target.metadata.name.str();
  if (pod != nullptr) {
    Status open = quota::check_pod_constraints(names, *pod);
    if (!open.ok()) return forbid(a, "failed quota: " + who + ": " + std::string(open.message()));
  }
  for (const std::string& name : names)
    if (!target.status.used.contains(name))
      return forbid(a, "status unknown for quota: " + who + ", resources: " + text_of(names));
  Usage requested, used, limited;
  bool changed = false;
  for (const std::string& name : names) {
    auto at = delta.find(name);
    if (at == delta.end()) continue;
    QuantityValue before = QuantityValue::of(*target.status.used.find(name)),
                  limit = QuantityValue::of(*target.status.hard.find(name));
    QuantityValue after = before;
    after += at->second;
    if (after > limit) {
      requested.emplace(name, at->second);
      used.emplace(name, before);
      limited.emplace(name, limit);
    }
    target.status.used[name] = after.to_quantity();
    changed = true;
  }
  if (!requested.empty())
    return forbid(a, "exceeded quota: " + who + ", requested: " + text_of(requested) +
                         ", used: " + text_of(used) + ", limited: " + text_of(limited));
  return changed;
}

std::vector<ResourceQuota> quotas_of(Attributes& a) {
  std::vector<ResourceQuota> found;
  server_of(a).for_each_cached("", "resourcequotas", a.context.namespace_,
                               [&found](const schema::Object& object) {
                                 if (const auto* each = object.as<ResourceQuota>())
                                   found.push_back(*each);
                               });
  return found;
}

// Writes a charged quota. Beaten by another writer: reads, checks and charges anew.
Task<Status> write_charge(Attributes& a, ResourceQuota target, Usage delta) {
  client::Client& api = server_of(a).loopback();
  std::string ns = target.metadata.namespace_.str(), name = target.metadata.name.str();
  Status last;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    std::string subresource = "status";
    auto written = co_await api.update(std::move(target), std::move(subresource));
    if (written.ok()) co_return Status();
    last = written.status();
    if (last.reason() == "NotFound") co_return Status();
    if (last.reason() != "Conflict") co_return last;
    auto fresh = co_await api.get<ResourceQuota>(ns, name);
    if (!fresh.ok()) {
      if (fresh.status().reason() == "NotFound") co_return Status();
      co_return fresh.status();
    }
    target = std::move(*fresh);
    auto changed = charge(a, target, delta);
    if (!changed.ok()) co_return changed.status();
    if (!*changed) co_return Status();
  }
  co_return last;
}

Task<Status> validate(Attributes& a) {
  if (!is_counted(a)) co_return Status();
  std::vector<ResourceQuota> quotas = quotas_of(a);
  if (quotas.empty()) co_return Status();
  auto delta = delta_of(a);
  if (!delta.ok()) co_return delta.status();
  // All have to take it before any is charged.
  std::vector<ResourceQuota> charged;
  for (ResourceQuota& each : quotas) {
    auto changed = charge(a, each, *delta);
    if (!changed.ok()) co_return changed.status();
    if (*changed) charged.push_back(std::move(each));
  }
  if (a.context.dry_run) co_return Status();
  for (ResourceQuota& each : charged) {
    ResourceQuota target = std::move(each);
    Usage cost = *delta;
    Status status = co_await write_charge(a, std::move(target), std::move(cost));
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

}  // namespace

Plugin resource_quota() { return {"ResourceQuota", true, nullptr, &validate}; }

}  // namespace knarr::apiserver::admission
