// SPDX-License-Identifier: Apache-2.0
#include "api/core_v1.h"
#include "apiserver/errors.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/write.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

using api::meta_v1::DeleteOptions;
using api::meta_v1::ObjectMeta;

constexpr int kMaxAttempts = 200;
constexpr std::string_view kOrphan = "orphan", kForeground = "foregroundDeletion";

bool is_event(const Write& write) { return write.cache.resource().plural == "events" && write.cache.resource().group.empty(); }

bool has(const schema::List<schema::Str>& list, std::string_view value) {
  for (const schema::Str& each : list)
    if (each == value) return true;
  return false;
}

// Whether the garbage collector is to orphan the dependents: by the options, else by the finalizers that are there, else by the kind.
bool should_orphan(const Write& write, const ObjectMeta& meta, const DeleteOptions& options) {
  if (is_event(write)) return false;
  if (options.orphan_dependents.has_value()) return *options.orphan_dependents;
  if (options.propagation_policy.has_value()) return *options.propagation_policy == "Orphan";
  for (const schema::Str& finalizer : meta.finalizers) {
    if (finalizer == kOrphan) return true;
    if (finalizer == kForeground) return false;
  }
  return write.strategy.orphan_by_default;
}

bool should_wait_for_dependents(const Write& write, const ObjectMeta& meta, const DeleteOptions& options) {
  if (is_event(write)) return false;
  if (options.orphan_dependents.has_value()) return false;
  if (options.propagation_policy.has_value()) return *options.propagation_policy == "Foreground";
  for (const schema::Str& finalizer : meta.finalizers) {
    if (finalizer == kForeground) return true;
    if (finalizer == kOrphan) return false;
  }
  return false;
}

// Sets the garbage collector's finalizers as the options want them; true when that changed anything.
bool settle_finalizers(const Write& write, ObjectMeta& meta, const DeleteOptions& options) {
  bool orphan = should_orphan(write, meta, options), foreground = should_wait_for_dependents(write, meta, options);
  if (has(meta.finalizers, kOrphan) == orphan && has(meta.finalizers, kForeground) == foreground) return false;
  meta.finalizers.erase_if([](const schema::Str& f) { return f == kOrphan || f == kForeground; });
  if (orphan) meta.finalizers.push_back(kOrphan);
  if (foreground) meta.finalizers.push_back(kForeground);
  return true;
}

Status check_preconditions(const Write& write, const ObjectMeta& meta, const DeleteOptions& options) {
  if (!options.preconditions) return {};
  const auto& wanted = *options.preconditions;
  std::string_view kind = write.asked.kind;
  if (wanted.uid.has_value() && *wanted.uid != meta.uid)
    return conflict(write.asked.group, kind, meta.name,
                    "the UID in the precondition (" + wanted.uid->str() + ") does not match the UID in record (" + meta.uid.str() +
                        "). The object might have been deleted and then recreated");
  if (wanted.resource_version.has_value() && *wanted.resource_version != meta.resource_version)
    return conflict(write.asked.group, kind, meta.name,
                    "the ResourceVersion in the precondition (" + wanted.resource_version->str() + ") does not match the ResourceVersion in record (" +
                        meta.resource_version.str() + "). The object might have been modified");
  return {};
}

struct Grace {
  bool graceful = false;  // the object has been marked and stays a while
  bool pending = false;   // it is being deleted already and nothing changes
};

// Upstream's BeforeDelete: marks the object when its kind is deleted gracefully. options receives the period that was granted.
Grace before_delete(const Write& write, schema::Object& object, DeleteOptions& options) {
  ObjectMeta& meta = metadata_of(object);
  if (options.grace_period_seconds.has_value() && *options.grace_period_seconds < 0) options.grace_period_seconds = 1;
  if (meta.deletion_grace_period_seconds.has_value() && *meta.deletion_grace_period_seconds < 0) meta.deletion_grace_period_seconds = 1;
  if (write.strategy.grace_period == nullptr) return {};
  if (meta.deletion_timestamp.has_value()) {
    int64_t running = meta.deletion_grace_period_seconds.value_or(0);
    if (running == 0) return {};
    // Only a shorter period may be asked for later.
    if (!options.grace_period_seconds.has_value()) {
      options.grace_period_seconds = running;
      return {false, true};
    }
    int64_t period = *options.grace_period_seconds;
    if (period >= running) return {false, true};
    meta.deletion_timestamp = schema::Time::from_unix(meta.deletion_timestamp->unix_seconds() - running + period);
    meta.deletion_grace_period_seconds = period;
    return {true, false};
  }
  int64_t period = write.strategy.grace_period(object.data(), options.grace_period_seconds.value_or(-1));
  options.grace_period_seconds = period;
  schema::Time now = schema::to_time(write.core.clock().now());
  meta.deletion_timestamp = schema::Time::from_unix(now.unix_seconds() + period);
  meta.deletion_grace_period_seconds = period;
  if (meta.generation > 0) ++meta.generation;
  return {true, false};
}

// For kinds without grace that have to wait for finalizers.
void mark_as_deleting(const Write& write, ObjectMeta& meta) {
  schema::Time now = schema::to_time(write.core.clock().now());
  if (!meta.deletion_timestamp.has_value() && meta.generation > 0) ++meta.generation;
  if (!meta.deletion_timestamp.has_value() || *meta.deletion_timestamp > now) meta.deletion_timestamp = now;
  meta.deletion_grace_period_seconds = 0;
}

Task<Status> admit_delete(Write& write, const schema::Object& old) {
  Status status = co_await admit(write, AdmissionPhase::kMutate, admission::Operation::kDelete, nullptr, &old);
  if (!status.ok()) co_return status;
  status = co_await admit(write, AdmissionPhase::kValidate, admission::Operation::kDelete, nullptr, &old);
  co_return status;
}

// A step of a deletion, tried on the latest object. `retry`: another writer was faster.
struct Step {
  bool retry = false;
  WriteResult result;
};

// Writes the marked object; `retry` when somebody else was faster.
Task<Result<Step>> write_marked(Write& write, std::shared_ptr<schema::Object> object, CachedPtr existing) {
  Step step;
  if (write.context.dry_run) {
    auto answer = uncommitted(write, object, existing->revision(), existing->create_revision());
    if (!answer.ok()) co_return answer.status();
    step.result.object = std::move(*answer);
    co_return step;
  }
  auto written = co_await commit(write, object, existing->revision());
  if (!written.ok()) co_return written.status();
  step.retry = *written == nullptr;
  step.result.object = std::move(*written);
  co_return step;
}

Task<Result<Step>> remove_now(Write& write, CachedPtr existing) {
  Step step;
  step.result.deleted = true;
  step.result.object = existing;
  if (write.context.dry_run) co_return step;
  store::WriteRequest request;
  request.key = write.cache.store_key(existing->namespace_(), existing->name());
  request.expected_revision = existing->revision();
  request.remove = true;
  auto removed = co_await write.core.store().write(std::move(request));
  if (!removed.ok()) co_return removed.status();
  if (!removed->succeeded) {
    step.retry = true;
    co_return step;
  }
  write.cache.sync();
  step.result.object = existing->at_revision(removed->revision);
  if (write.strategy.after_delete != nullptr) {
    auto object = existing->object();
    write.strategy.after_delete(write.context, object->data());
  }
  co_return step;
}

// A namespace is marked, emptied by its controller, and deleted when its own finalizers are gone.
Task<Result<Step>> delete_namespace(Write& write, DeleteOptions& options, CachedPtr existing, std::shared_ptr<schema::Object> object, bool* handled) {
  auto& ns = *object->as<api::core_v1::Namespace>();
  Step step;
  *handled = true;
  if (!ns.metadata.deletion_timestamp.has_value()) {
    Status status = co_await admit_delete(write, *object);
    if (!status.ok()) co_return status;
    ns.metadata.deletion_timestamp = schema::to_time(write.core.clock().now());
    ns.status.phase = "Terminating";
    settle_finalizers(write, ns.metadata, options);
    auto written = co_await write_marked(write, object, existing);
    co_return written;
  }
  if (!ns.spec.finalizers.empty()) {
    step.result.object = existing;
    co_return step;
  }
  *handled = false;
  co_return step;
}

Task<Result<Step>> attempt(Write& write, DeleteOptions& options, CachedPtr existing) {
  auto object = std::make_shared<schema::Object>(*existing->object());
  ObjectMeta& meta = metadata_of(*object);
  CO_TRY(check_preconditions(write, meta, options));
  if (object->as<api::core_v1::Namespace>() != nullptr) {
    bool handled = false;
    auto step = co_await delete_namespace(write, options, existing, object, &handled);
    if (!step.ok() || handled) co_return step;
  }
  Status admitted = co_await admit_delete(write, *object);
  if (!admitted.ok()) co_return admitted;
  DeleteOptions granted = options;
  Grace grace = before_delete(write, *object, granted);
  Step step;
  if (grace.pending) {
    options = granted;
    step.result.object = existing;
    co_return step;
  }
  settle_finalizers(write, meta, granted);
  bool finalizers = !meta.finalizers.empty();
  if (!grace.graceful && !finalizers) {
    auto removed = co_await remove_now(write, existing);
    co_return removed;
  }
  if (!grace.graceful) mark_as_deleting(write, meta);
  if (grace.graceful || !schema::equal(object->type(), object->data(), existing->object()->data())) {
    auto marked = co_await write_marked(write, object, existing);
    if (!marked.ok() || marked->retry) co_return marked;
    step = std::move(*marked);
  } else {
    step.result.object = existing;
  }
  options = granted;
  if (finalizers || granted.grace_period_seconds.value_or(0) > 0 || write.context.dry_run) {
    step.result.deleted = !finalizers && granted.grace_period_seconds.value_or(0) == 0;
    co_return step;
  }
  // Marked with no time left: it goes at once. Whoever removed it meanwhile did our work.
  CachedPtr marked = step.result.object;
  auto removed = co_await remove_now(write, marked);
  if (!removed.ok()) co_return removed.status();
  if (removed->retry) {
    write.cache.sync();
    if (write.cache.get(marked->namespace_(), marked->name()) == nullptr) {
      removed->retry = false;
    } else if (options.preconditions) {
      // The change was ours or another's: the version that was asked for is gone, the identity is not.
      options.preconditions->resource_version.reset();
    }
  }
  co_return removed;
}

}  // namespace

Task<Result<WriteResult>> remove(Write& write, DeleteOptions& options) {
  for (int i = 0; i < kMaxAttempts; ++i) {
    write.cache.sync();
    CachedPtr existing = write.cache.get(write.context.namespace_, write.context.name);
    if (existing == nullptr) co_return not_found(write.asked.group, write.asked.plural, write.context.name);
    auto step = co_await attempt(write, options, existing);
    if (!step.ok()) co_return step.status();
    if (!step->retry) co_return std::move(step->result);
    co_await yield_now();
  }
  co_return conflict(write.asked.group, write.asked.plural, write.context.name, kOptimisticLock);
}

}  // namespace knarr::apiserver
