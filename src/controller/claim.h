// SPDX-License-Identifier: Apache-2.0
// Ownership by selector: an owner adopts what matches and has no controller, and lets go of what it owns and no longer matches.
// Upstream's ControllerRefManager.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/client.h"
#include "controller/pod_util.h"
#include "controller/util.h"
#include "schema/selector.h"

namespace knarr::controller {

enum class Claim { kIgnore, kKeep, kAdopt, kRelease };

// What an owner does about an object. An owner that is being deleted changes nothing any more.
Claim claim_verdict(const api::meta_v1::ObjectMeta& object, std::string_view owner_uid, bool owner_deleting, bool matches);

// Adoption needs a fresh look: the cache may not know yet that the owner is being deleted.
template <class Owner>
Task<Status> may_adopt(client::Client& client, std::shared_ptr<const Owner> owner) {
  std::string ns = owner->metadata.namespace_.str(), name = owner->metadata.name.str(), key = ns + "/" + name;
  auto fresh = co_await client.get<Owner>(std::move(ns), std::move(name));
  if (!fresh.ok()) co_return fresh.status();
  if (fresh->metadata.uid != owner->metadata.uid)
    co_return Status::error(fmt::format("original {} {} is gone: got uid {}, wanted {}", Owner::kind_info().kind, key,
                                        fresh->metadata.uid.view(), owner->metadata.uid.view()));
  if (fresh->metadata.deletion_timestamp) co_return Status::error(key + " has just been deleted");
  co_return Status();
}

template <class T>
Task<Status> patch_owner(client::Client& client, std::shared_ptr<const T> object, std::string patch) {
  std::string ns = object->metadata.namespace_.str(), name = object->metadata.name.str();
  auto patched = co_await client.patch<T>(std::move(ns), std::move(name), client::PatchType::kStrategic, std::move(patch));
  co_return patched.status();
}

// Those of `candidates` that are the owner's by the end, in their order. What vanished meanwhile is left out; other failures are gathered.
template <class T, class Owner>
Task<Result<std::vector<std::shared_ptr<const T>>>> claim_all(client::Client& client, std::shared_ptr<const Owner> owner,
                                                             std::vector<std::shared_ptr<const T>> candidates,
                                                             std::function<bool(const T&)> matches) {
  std::vector<std::shared_ptr<const T>> claimed;
  std::vector<Status> failures;
  bool deleting = owner->metadata.deletion_timestamp.has_value(), asked = false;
  Status allowed;
  for (const std::shared_ptr<const T>& object : candidates) {
    Claim verdict = claim_verdict(object->metadata, owner->metadata.uid, deleting, matches(*object));
    if (verdict == Claim::kKeep) claimed.push_back(object);
    if (verdict == Claim::kRelease) {
      std::string patch = release_patch(owner->metadata.uid, object->metadata.uid);
      Status status = co_await patch_owner<T>(client, object, std::move(patch));
      // 404: gone; 422: another object of the name, or not ours any more.
      if (!status.ok() && status.code() != 404 && status.code() != 422) failures.push_back(status);
    }
    if (verdict != Claim::kAdopt) continue;
    if (!asked) allowed = co_await may_adopt<Owner>(client, owner);
    asked = true;
    Status status = allowed;
    if (allowed.ok()) {
      std::string patch = adopt_patch(controller_ref(*owner), object->metadata.uid);
      status = co_await patch_owner<T>(client, object, std::move(patch));
    }
    if (status.ok()) {
      claimed.push_back(object);
    } else if (status.code() != 404) {
      failures.push_back(status);
    }
  }
  if (Status status = aggregate(failures); !status.ok()) co_return status;
  co_return claimed;
}

// Objects by the UID of their controller, and those without one by namespace: what an owner has, and what it might take in.
inline constexpr const char* kByController = "controller";
inline std::string orphan_value(std::string_view ns) { return "orphan/" + std::string(ns); }
template <class T>
void index_by_controller_of(const client::Informer<T>& informer) {
  informer.add_index(kByController, [](const T& object, std::vector<std::string>& values) {
    const auto* owner = controller_of(object.metadata);
    values.push_back(owner != nullptr ? owner->uid.str() : orphan_value(object.metadata.namespace_));
  });
}
template <class T>
std::vector<std::shared_ptr<const T>> claimable(const client::Informer<T>& informer, const api::meta_v1::ObjectMeta& owner) {
  std::vector<std::shared_ptr<const T>> found;
  auto collect = [&found](const std::shared_ptr<const T>& object) { found.push_back(object); };
  informer.for_each_indexed(kByController, owner.uid, collect);
  informer.for_each_indexed(kByController, orphan_value(owner.namespace_), collect);
  return found;
}

}  // namespace knarr::controller
