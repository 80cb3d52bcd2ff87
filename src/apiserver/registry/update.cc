// SPDX-License-Identifier: Apache-2.0
#include "apiserver/conversion.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/write.h"
#include "api/core_v1.h"

namespace knarr::apiserver {
namespace {

using api::meta_v1::ObjectMeta;

// A write that loses against another one this often gives up with a conflict.
constexpr int kMaxAttempts = 200;

Status uid_conflict(const Write& write, std::string_view wanted, std::string_view found) {
  std::string key = write.cache.store_key(write.context.namespace_, write.context.name);
  return conflict(write.asked.group, write.asked.plural, write.context.name,
                  "StorageError: invalid object, Code: 4, Key: " + key + ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: " +
                      std::string(wanted) + ", UID in object meta: " + std::string(found));
}

// Optimistic locking: the version the client has seen must be the present one, where it names one.
Status check_version(const Write& write, ObjectMeta& meta, const CachedObject& existing) {
  std::string current = std::to_string(existing.revision());
  if (meta.resource_version.empty() || meta.resource_version == "0") {
    if (!write.strategy.allow_unconditional_update) {
      FieldErrors errors;
      errors.invalid(Path("metadata").child("resourceVersion"), "0x0", "must be specified for an update");
      return invalid_status(write.asked.group, write.asked.plural, write.context.name, errors);
    }
    meta.resource_version = current;
    return {};
  }
  if (meta.resource_version != current) return conflict(write.asked.group, write.asked.plural, write.context.name, kOptimisticLock);
  return {};
}

void prepare(Write& write, const Door& door, schema::Object& object, const schema::Object& old) {
  const Strategy& strategy = write.strategy;
  ObjectMeta& meta = metadata_of(object);
  const ObjectMeta& old_meta = metadata_of(old);
  meta.generation = old_meta.generation;
  switch (door.kind) {
    case Door::kMain:
      if (strategy.has_status) set_member(object.type(), "status", object.data(), old.data());
      if (strategy.prepare_update != nullptr) strategy.prepare_update(write.context, object.data(), old.data());
      // A strategy that counts by its own rule has moved the generation already.
      if (strategy.has_generation && meta.generation == old_meta.generation &&
          !same_but(object.type(), object.data(), old.data(), {"metadata", "status"}))
        ++meta.generation;
      break;
    case Door::kStatus: {
      // Everything but metadata and status stays.
      for (const schema::Field& field : object.type().fields()) {
        std::string_view name = schema::field_name(object.type(), field);
        if (name != "metadata" && name != "status") set_member(object.type(), name, object.data(), old.data());
      }
      if (strategy.prepare_status != nullptr) strategy.prepare_status(write.context, object.data(), old.data());
      break;
    }
    case Door::kSubresource:
      if (door.handler->prepare != nullptr) door.handler->prepare(write.context, object.data(), old.data());
      break;
    case Door::kRaw: break;
  }
  if (meta.uid.empty()) meta.uid = old_meta.uid;
  if (!old_meta.creation_timestamp.is_zero()) meta.creation_timestamp = old_meta.creation_timestamp;
  // An update can neither set nor remove a deletion.
  if (old_meta.deletion_timestamp.has_value()) meta.deletion_timestamp = old_meta.deletion_timestamp;
  if (old_meta.deletion_grace_period_seconds.has_value() && !meta.deletion_grace_period_seconds.has_value())
    meta.deletion_grace_period_seconds = old_meta.deletion_grace_period_seconds;
  meta.self_link.reset();
}

Status validate(Write& write, const Door& door, const schema::Object& object, const schema::Object& old) {
  if (door.kind == Door::kRaw) return {};
  const Strategy& strategy = write.strategy;
  const ObjectMeta& meta = metadata_of(object);
  FieldErrors errors;
  validate_metadata(meta, write.cache.resource().namespaced, path_segment_problems, errors);
  if (errors.empty()) validate_metadata_update(meta, metadata_of(old), errors);
  switch (door.kind) {
    case Door::kMain:
      if (strategy.validate_update != nullptr) strategy.validate_update(object.data(), old.data(), errors);
      break;
    case Door::kStatus:
      if (strategy.validate_status != nullptr) strategy.validate_status(object.data(), old.data(), errors);
      break;
    case Door::kSubresource:
      if (door.handler->validate != nullptr) door.handler->validate(object.data(), old.data(), errors);
      break;
    case Door::kRaw: break;
  }
  if (!errors.empty()) return invalid_status(write.asked.group, write.asked.kind, meta.name, errors);
  if (strategy.warnings != nullptr && door.kind == Door::kMain) strategy.warnings(write.context, object.data(), old.data());
  return {};
}

// The last finalizer of an object that is being deleted has gone: the update becomes the deletion.
bool deletes(const schema::Object& object, const schema::Object& old) {
  const ObjectMeta& old_meta = metadata_of(old);
  if (!metadata_of(object).finalizers.empty() || !old_meta.deletion_timestamp.has_value()) return false;
  if (old_meta.deletion_grace_period_seconds.value_or(0) != 0) return false;
  // A namespace has finalizers of its own in its spec.
  if (const auto* ns = object.as<api::core_v1::Namespace>()) return ns->spec.finalizers.empty();
  return true;
}

Task<Result<WriteResult>> delete_now(Write& write, std::shared_ptr<schema::Object> object, CachedPtr existing) {
  WriteResult result;
  result.deleted = true;
  auto answer = uncommitted(write, object, existing->revision(), existing->create_revision());
  if (!answer.ok()) co_return answer.status();
  result.object = std::move(*answer);
  if (write.context.dry_run) co_return result;
  store::WriteRequest request;
  request.key = write.cache.store_key(existing->namespace_(), existing->name());
  request.expected_revision = existing->revision();
  request.remove = true;
  auto removed = co_await write.core.store().write(std::move(request));
  if (!removed.ok()) co_return removed.status();
  // Removed by another one meanwhile is as good; changed is not.
  if (!removed->succeeded && removed->current.mod_revision != 0) co_return WriteResult();
  write.cache.sync();
  if (write.strategy.after_delete != nullptr) write.strategy.after_delete(write.context, object->data());
  co_return result;
}

// Creating by PUT, where the strategy allows it.
Task<Result<WriteResult>> create_by_update(Write& write, Update& change) {
  if (!(write.strategy.allow_create_on_update || change.may_create) || change.door.kind != Door::kMain)
    co_return not_found(write.asked.group, write.asked.plural, write.context.name);
  auto made = change.make(nullptr);
  if (!made.ok()) co_return made.status();
  metadata_of(*made).uid.reset();
  auto result = co_await create(write, std::move(*made));
  co_return result;
}

// One round: null object in the result when another writer was faster.
Task<Result<WriteResult>> attempt(Write& write, Update& change, CachedPtr existing) {
  auto old = existing->object();
  if (!change.uid.empty() && metadata_of(*old).uid != change.uid) co_return uid_conflict(write, change.uid, metadata_of(*old).uid);
  auto made = change.make(old.get());
  if (!made.ok()) co_return made.status();
  auto object = std::make_shared<schema::Object>(std::move(*made));
  if (change.admission) {
    Status status = co_await admit(write, AdmissionPhase::kMutate, admission::Operation::kUpdate, object.get(), old.get());
    if (!status.ok()) co_return status;
  }
  dedup_owner_references(metadata_of(*object), write.context.warnings, true);
  if (change.door.kind == Door::kMain && write.strategy.may_write != nullptr) {
    Status status = co_await write.strategy.may_write(write.context, object->data(), old->data());
    if (!status.ok()) co_return status;
  }
  CO_TRY(check_version(write, metadata_of(*object), *existing));
  CO_TRY(settle_namespace(metadata_of(*object), write.cache.resource().namespaced ? write.context.namespace_ : std::string()));
  prepare(write, change.door, *object, *old);
  CO_TRY(validate(write, change.door, *object, *old));
  if (change.admission) {
    Status status = co_await admit(write, AdmissionPhase::kValidate, admission::Operation::kUpdate, object.get(), old.get());
    if (!status.ok()) co_return status;
  }
  if (deletes(*object, *old)) {
    auto result = co_await delete_now(write, object, existing);
    co_return result;
  }
  WriteResult result;
  if (schema::equal(object->type(), object->data(), old->data())) {
    result.object = existing;
    co_return result;
  }
  const Strategy& strategy = write.strategy;
  bool hooks = change.door.kind == Door::kMain;
  if (hooks && strategy.before_write != nullptr) {
    Status status = co_await strategy.before_write(write.context, object->data(), old->data());
    if (!status.ok()) co_return status;
  }
  if (write.context.dry_run) {
    auto answer = uncommitted(write, object, existing->revision(), existing->create_revision());
    if (hooks && strategy.after_failure != nullptr) strategy.after_failure(write.context, object->data(), old->data());
    if (!answer.ok()) co_return answer.status();
    result.object = std::move(*answer);
    co_return result;
  }
  auto written = co_await commit(write, object, existing->revision());
  if ((!written.ok() || *written == nullptr) && hooks && strategy.after_failure != nullptr)
    strategy.after_failure(write.context, object->data(), old->data());
  if (!written.ok()) co_return written.status();
  result.object = std::move(*written);
  co_return result;
}

}  // namespace

Task<Result<WriteResult>> update(Write& write, Update change) {
  size_t warnings = write.context.warnings.size();
  for (int i = 0; i < kMaxAttempts; ++i) {
    write.context.warnings.resize(warnings);  // each round says its own
    write.cache.sync();
    CachedPtr existing = write.cache.get(write.context.namespace_, write.context.name);
    if (existing == nullptr) {
      auto created = co_await create_by_update(write, change);
      co_return created;
    }
    auto result = co_await attempt(write, change, existing);
    if (!result.ok() || result->object != nullptr) co_return result;
    co_await yield_now();
  }
  co_return conflict(write.asked.group, write.asked.plural, write.context.name, kOptimisticLock);
}

}  // namespace knarr::apiserver
