// SPDX-License-Identifier: Apache-2.0
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/write.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

using api::meta_v1::ObjectMeta;

// A collision of a generated name has a text of its own, and asks for another try.
Status name_taken(const Write& write, const ObjectMeta& meta, const CachedPtr& existing) {
  Status status = already_exists(write.asked.group, write.asked.plural, meta.name);
  StatusInfo info = *status.info();
  if (!meta.generate_name.empty()) {
    info.message += ", the server was not able to generate a unique name for the object";
    info.retry_after_seconds = 1;
  }
  if (existing != nullptr) {
    auto object = existing->object();
    if (metadata_of(*object).deletion_timestamp.has_value()) info.message = "object is being deleted: " + info.message;
  }
  return Status::from(std::move(info));
}

}  // namespace

// What upstream's BeforeCreate does.
Task<Status> prepare_create(Write& write, schema::Object& object) {
  const Strategy& strategy = write.strategy;
  ObjectMeta& meta = metadata_of(object);
  meta.creation_timestamp = schema::to_time(write.core.clock().now());
  meta.uid = new_uid();
  if (meta.name.empty() && !meta.generate_name.empty()) meta.name = generate_name(meta.generate_name);
  CO_TRY(settle_namespace(meta, write.cache.resource().namespaced ? write.context.namespace_ : std::string()));
  write.context.name = meta.name.str();
  if (strategy.has_generation) meta.generation = 1;
  if (strategy.has_status) set_member(object.type(), "status", object.data(), nullptr);
  if (strategy.prepare_create != nullptr) strategy.prepare_create(write.context, object.data());

  FieldErrors errors;
  NameProblems name_problems = strategy.name_problems != nullptr ? strategy.name_problems : dns_subdomain_problems;
  validate_metadata(meta, write.cache.resource().namespaced, name_problems, errors);
  if (strategy.validate != nullptr) strategy.validate(object.data(), errors);
  if (!errors.empty()) co_return invalid_status(write.asked.group, write.asked.kind, meta.name, errors);
  if (strategy.warnings != nullptr) strategy.warnings(write.context, object.data(), nullptr);
  Status status = co_await admit(write, AdmissionPhase::kValidate, admission::Operation::kCreate, &object, nullptr);
  co_return status;
}

Task<Result<WriteResult>> finish_create(Write& write, schema::Object object) {
  ObjectMeta& meta = metadata_of(object);
  // Zero is no version: kubeadm's DNS Service comes with it.
  if (!meta.resource_version.empty() && meta.resource_version.view() != "0")
    co_return Status::make(500, "", "resourceVersion should not be set on objects to be created");
  meta.resource_version = "";
  WriteResult result;
  result.created = true;
  write.cache.sync();
  CachedPtr existing = write.cache.get(meta.namespace_, meta.name);
  if (existing != nullptr) co_return name_taken(write, meta, existing);
  auto shared = std::make_shared<schema::Object>(std::move(object));
  const Strategy& strategy = write.strategy;
  if (strategy.before_write != nullptr) {
    Status status = co_await strategy.before_write(write.context, shared->data(), nullptr);
    if (!status.ok()) co_return status;
  }
  if (write.context.dry_run) {
    auto made = uncommitted(write, shared, 0, 0);
    if (strategy.after_failure != nullptr) strategy.after_failure(write.context, shared->data(), nullptr);
    if (!made.ok()) co_return made.status();
    result.object = std::move(*made);
    co_return result;
  }
  result.checked = write.core.clock().now();
  auto written = co_await commit(write, shared, 0);
  if (written.ok() && *written != nullptr) {
    result.object = std::move(*written);
    co_return result;
  }
  if (strategy.after_failure != nullptr) strategy.after_failure(write.context, shared->data(), nullptr);
  if (!written.ok()) co_return written.status();
  const ObjectMeta& taken = metadata_of(*shared);
  write.cache.sync();
  existing = write.cache.get(taken.namespace_, taken.name);
  co_return name_taken(write, taken, existing);
}

Task<Result<WriteResult>> create(Write& write, schema::Object object) {
  dedup_owner_references(metadata_of(object), write.context.warnings, false);
  Status status = co_await admit(write, AdmissionPhase::kMutate, admission::Operation::kCreate, &object, nullptr);
  if (!status.ok()) co_return status;
  dedup_owner_references(metadata_of(object), write.context.warnings, true);
  if (write.strategy.may_write != nullptr) {
    status = co_await write.strategy.may_write(write.context, object.data(), nullptr);
    if (!status.ok()) co_return status;
  }
  status = co_await prepare_create(write, object);
  if (!status.ok()) co_return status;
  auto result = co_await finish_create(write, std::move(object));
  co_return result;
}

}  // namespace knarr::apiserver
