// SPDX-License-Identifier: Apache-2.0
#include "apiserver/registry/write.h"

#include "apiserver/errors.h"
#include "apiserver/storage/stored_value.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

const schema::Field* member(const schema::Type& type, std::string_view name) {
  const schema::Field* field = schema::find_field(type, name);
  return field != nullptr && field->shape == schema::Shape::kPlain && field->kind == schema::Kind::kStruct ? field : nullptr;
}

std::string cache_key(const api::meta_v1::ObjectMeta& meta) {
  return meta.namespace_.empty() ? meta.name.str() : meta.namespace_.str() + "/" + meta.name.str();
}

}  // namespace

void set_member(const schema::Type& type, std::string_view name, void* object, const void* from) {
  const schema::Field* field = member(type, name);
  if (field == nullptr) return;
  const schema::Type& inner = schema::field_type(type, *field);
  void* target = schema::field_at(object, *field);
  schema::destroy(inner, target);
  if (from != nullptr) schema::copy(inner, target, schema::field_at(from, *field));
}

bool same_but(const schema::Type& type, const void* a, const void* b, std::initializer_list<std::string_view> but) {
  for (const schema::Field& field : type.fields()) {
    std::string_view name = schema::field_name(type, field);
    if (std::find(but.begin(), but.end(), name) != but.end()) continue;
    if (field.shape != schema::Shape::kPlain) {
      // Rare (no kind with a generation has one): compare whole objects without what does not count.
      schema::Object left(type, a), right(type, b);
      for (std::string_view each : but) {
        set_member(type, each, left.data(), nullptr);
        set_member(type, each, right.data(), nullptr);
      }
      return schema::equal(type, left.data(), right.data());
    }
    const schema::Type* inner = field.kind == schema::Kind::kStruct ? &schema::field_type(type, field) : nullptr;
    if (!schema::equal_value(field.kind, inner, schema::field_at(a, field), schema::field_at(b, field))) return false;
  }
  return true;
}

Task<Status> admit(Write& write, AdmissionPhase phase, admission::Operation operation, schema::Object* object, const schema::Object* old) {
  const schema::Resource& resource = write.cache.resource();
  const schema::KindInfo* kind = schema::find_kind(resource.api_version, resource.kind);
  KNARR_CHECK(kind != nullptr);
  admission::Attributes attributes{write.context, operation, *kind};
  attributes.object = object == nullptr ? nullptr : object->data();
  attributes.type = resource.type;
  attributes.old_object = old == nullptr ? nullptr : old->data();
  for (const admission::Plugin* plugin : write.core.admission_plugins()) {
    auto function = phase == AdmissionPhase::kMutate ? plugin->mutate : plugin->validate;
    if (function == nullptr) continue;
    Status status = co_await function(attributes);
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

Result<CachedPtr> uncommitted(Write& write, std::shared_ptr<schema::Object> object, int64_t revision, int64_t create_revision) {
  std::string message;
  schema::encode_proto(message, object->type(), object->data());
  return CachedObject::make(write.cache.plan(), cache_key(metadata_of(*object)), revision, create_revision, message, object);
}

Task<Result<CachedPtr>> commit(Write& write, std::shared_ptr<schema::Object> object, int64_t expected) {
  api::meta_v1::ObjectMeta& meta = metadata_of(*object);
  meta.resource_version.reset();
  const schema::Resource& resource = write.cache.resource();
  Bytes value = encode_stored(resource, object->data());
  store::WriteRequest request;
  request.key = write.cache.store_key(meta.namespace_, meta.name);
  request.expected_revision = expected;
  request.value = value;
  if (resource.group.empty() && resource.plural == "events") request.ttl_seconds = write.core.options().event_ttl_seconds;
  write.cache.expect(value, object);
  auto result = co_await write.core.store().write(std::move(request));
  if (!result.ok() || !result->succeeded) {
    write.cache.unexpect(value);
    if (!result.ok()) co_return result.status();
    co_return CachedPtr();
  }
  write.cache.sync();
  CachedPtr written = write.cache.get(meta.namespace_, meta.name);
  if (written != nullptr && written->revision() == result->revision) {
    // Ours alone again: the cache took what it needed.
    meta.resource_version = std::to_string(result->revision);
    written->lend(object);
    co_return written;
  }
  // Overtaken already: answer what this write made.
  int64_t created = expected == 0 ? result->revision : 0;
  auto made = uncommitted(write, object, result->revision, created);
  co_return made;
}

// ---- for subresources -------------------------------------------------------------------------------------------------------

namespace {

const User& system_user() {
  static const User user{"system:apiserver", "", {"system:masters", "system:authenticated"}, {}};
  return user;
}

}  // namespace

Task<Result<std::shared_ptr<const schema::Object>>> modify_stored(ApiServer& server, const schema::Resource& resource, std::string ns, std::string name,
                                                                  std::function<Status(void* object)> mutate, bool dry_run) {
  auto& core = static_cast<Core&>(server);
  WatchCache* cache = core.cache(resource);
  if (cache == nullptr) co_return generic_not_found();
  WriteContext context{server, cache->resource(), system_user(), core.clock(), ns, name, "", dry_run, {}};
  Write write{core, *cache, resource, find_strategy(cache->resource().group, cache->resource().plural), context};
  Update change;
  change.door.kind = Door::kRaw;
  change.admission = false;
  change.make = [&](const schema::Object* old) -> Result<schema::Object> {
    if (old == nullptr) return not_found(resource.group, resource.plural, name);
    schema::Object made = *old;
    TRY(mutate(made.data()));
    return made;
  };
  auto result = co_await update(write, std::move(change));
  if (!result.ok()) co_return result.status();
  co_return result->object->object();
}

Task<Status> delete_stored(ApiServer& server, const schema::Resource& resource, std::string ns, std::string name, User user,
                           const api::meta_v1::DeleteOptions* options) {
  auto& core = static_cast<Core&>(server);
  WatchCache* cache = core.cache(resource);
  if (cache == nullptr) co_return generic_not_found();
  api::meta_v1::DeleteOptions given;
  if (options != nullptr) given = *options;
  bool dry_run = !given.dry_run.empty();
  WriteContext context{server, cache->resource(), user, core.clock(), ns, name, "", dry_run, {}};
  Write write{core, *cache, resource, find_strategy(cache->resource().group, cache->resource().plural), context};
  auto result = co_await remove(write, given);
  co_return result.status();
}

Task<Status> admit_posted(RequestContext& context, const schema::KindInfo& kind, void* object) {
  const RequestInfo& info = context.info;
  WriteContext write{context.server, *context.resource, context.user, context.server.clock(), info.namespace_, info.name, info.subresource, false, {}};
  admission::Attributes attributes{write, admission::Operation::kCreate, kind, object, kind.type, nullptr};
  for (bool mutating : {true, false}) {
    for (const admission::Plugin* plugin : context.core.admission_plugins()) {
      auto function = mutating ? plugin->mutate : plugin->validate;
      if (function == nullptr) continue;
      Status status = co_await function(attributes);
      if (!status.ok()) co_return status;
    }
  }
  for (std::string& warning : write.warnings) context.warnings.push_back(std::move(warning));
  co_return Status();
}

}  // namespace knarr::apiserver
