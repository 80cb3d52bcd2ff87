// SPDX-License-Identifier: Apache-2.0
// The scale subresource: a small view of the workloads, autoscaling/v1 Scale, through which only spec.replicas can change.
#include "api/apps_v1.h"
#include "api/autoscaling_v1.h"
#include "api/core_v1.h"
#include "apiserver/errors.h"
#include "apiserver/handlers/edge.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/respond.h"
#include "schema/patch.h"
#include "schema/selector.h"

namespace knarr::apiserver {
namespace {

using api::autoscaling_v1::Scale;

template <class T>
Result<Scale> scale_of(const T& parent, Result<schema::LabelSelector> selector) {
  TRY_ASSIGN(schema::LabelSelector parsed, std::move(selector));
  Scale scale;
  scale.metadata.name = parent.metadata.name;
  scale.metadata.namespace_ = parent.metadata.namespace_;
  scale.metadata.uid = parent.metadata.uid;
  scale.metadata.resource_version = parent.metadata.resource_version;
  scale.metadata.creation_timestamp = parent.metadata.creation_timestamp;
  scale.spec.replicas = parent.spec.replicas.value_or(0);
  scale.status.replicas = parent.status.replicas;
  scale.status.selector = parsed.to_string();
  return scale;
}

Result<Scale> scale_of(const schema::Object& parent) {
  if (const auto* d = parent.as<api::apps_v1::Deployment>()) return scale_of(*d, schema::LabelSelector::from(d->spec.selector.get()));
  if (const auto* r = parent.as<api::apps_v1::ReplicaSet>()) return scale_of(*r, schema::LabelSelector::from(r->spec.selector.get()));
  if (const auto* s = parent.as<api::apps_v1::StatefulSet>()) return scale_of(*s, schema::LabelSelector::from(s->spec.selector.get()));
  if (const auto* c = parent.as<api::core_v1::ReplicationController>()) return scale_of(*c, schema::LabelSelector::from_set(c->spec.selector));
  return generic_not_found();
}

Status set_replicas(schema::Object& parent, const Scale& scale) {
  if (auto* d = parent.as<api::apps_v1::Deployment>()) d->spec.replicas = scale.spec.replicas;
  if (auto* r = parent.as<api::apps_v1::ReplicaSet>()) r->spec.replicas = scale.spec.replicas;
  if (auto* s = parent.as<api::apps_v1::StatefulSet>()) s->spec.replicas = scale.spec.replicas;
  if (auto* c = parent.as<api::core_v1::ReplicationController>()) c->spec.replicas = scale.spec.replicas;
  metadata_of(parent).resource_version = scale.metadata.resource_version;
  return {};
}

Status check_scale(const RequestContext& context, const Scale& scale) {
  if (scale.metadata.name != context.info.name)
    return bad_request("the name of the object (" + scale.metadata.name.str() + ") does not match the name on the URL (" + context.info.name + ")");
  if (!scale.metadata.namespace_.empty() && scale.metadata.namespace_ != context.info.namespace_)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  if (scale.spec.replicas >= 0) return {};
  FieldErrors errors;
  errors.invalid(Path("spec").child("replicas"), std::to_string(scale.spec.replicas), "must be greater than or equal to 0");
  return invalid_status("autoscaling", "Scale", scale.metadata.name, errors);
}

// The Scale that a PUT brings or a PATCH makes of the present one.
struct NewScale {
  bool is_patch = false;
  Scale given;
  std::string_view patch_type;
  json::Value patch;

  Result<Scale> make(const Scale& old) const {
    if (!is_patch) return given;
    std::string text;
    schema::encode_json(text, Scale::table(), &old, &Scale::kind_info());
    TRY_ASSIGN(json::Value current, json::parse(text));
    if (patch_type == "application/json-patch+json") {
      TRY_ASSIGN(current, schema::apply_json_patch(std::move(current), patch));
    } else if (patch_type == "application/merge-patch+json") {
      current = schema::apply_merge_patch(std::move(current), patch);
    } else {
      TRY_ASSIGN(current, schema::apply_strategic_patch(std::move(current), patch, Scale::table()));
    }
    return schema::from_json<Scale>(json::to_string(current));
  }
};

Task<Result<NewScale>> read_scale(RequestContext& context, const WriteOptions& options) {
  NewScale made;
  auto body = co_await read_body(context);
  if (!body.ok()) co_return body.status();
  std::string_view content_type = context.request.headers.get("Content-Type");
  made.is_patch = context.info.verb == "patch";
  if (!made.is_patch) {
    auto encoding = negotiate_input(content_type);
    if (!encoding.ok()) co_return encoding.status();
    CO_TRY(decode_body(*encoding, *body, Scale::kind_info(), options, &made.given, context.warnings));
    co_return made;
  }
  std::string_view media = content_type.substr(0, content_type.find(';'));
  for (std::string_view known : {"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"})
    if (media == known) made.patch_type = known;
  if (made.patch_type.empty()) co_return unsupported_media_type("415: Unsupported Media Type");
  auto document = json::parse(*body);
  if (!document.ok()) co_return document.status();
  made.patch = std::move(*document);
  co_return made;
}

Task<Status> respond_scale(RequestContext& context, const CachedPtr& object) {
  auto decoded = object->object();
  auto scale = scale_of(*decoded);
  if (!scale.ok()) co_return scale.status();
  Status status = co_await respond_object(context, 200, *scale);
  co_return status;
}

}  // namespace

Task<Status> handle_scale(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return generic_not_found();
  if (context.info.verb == "get") {
    cache->sync();
    CachedPtr object = cache->get(cache->resource().namespaced ? context.info.namespace_ : std::string(), context.info.name);
    if (object == nullptr) co_return not_found(context.info.group, context.info.resource, context.info.name);
    Status status = co_await respond_scale(context, object);
    co_return status;
  }
  if (context.info.verb != "update" && context.info.verb != "patch")
    co_return method_not_supported(context.info.group, context.info.resource, context.info.verb);
  auto options = parse_write_options(context, context.info.verb == "patch" ? "PatchOptions" : "UpdateOptions");
  if (!options.ok()) co_return options.status();
  auto source = co_await read_scale(context, *options);
  if (!source.ok()) co_return source.status();

  WriteRequestEdge edge(context, *cache, options->dry_run);
  Update change;
  // Plugins would see the parent where upstream shows them the Scale.
  change.admission = false;
  change.make = [&](const schema::Object* old) -> Result<schema::Object> {
    if (old == nullptr) return not_found(context.info.group, context.info.resource, context.info.name);
    TRY_ASSIGN(Scale before, scale_of(*old));
    TRY_ASSIGN(Scale after, source->make(before));
    TRY(check_scale(context, after));
    if (!after.metadata.uid.empty() && after.metadata.uid != before.metadata.uid)
      return conflict(context.info.group, context.info.resource + "/scale", context.info.name,
                      "Precondition failed: UID in precondition: " + after.metadata.uid.str() + ", UID in object meta: " + before.metadata.uid.str());
    schema::Object parent = *old;
    TRY(set_replicas(parent, after));
    edge.own(old, parent, *options);
    return parent;
  };
  auto result = co_await update(edge.write, std::move(change));
  edge.collect_warnings();
  if (!result.ok()) co_return result.status();
  Status status = co_await respond_scale(context, result->object);
  co_return status;
}

}  // namespace knarr::apiserver
