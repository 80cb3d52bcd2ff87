// SPDX-License-Identifier: Apache-2.0
#include "apiserver/conversion.h"

#include "api/core_v1.h"
#include "api/events_v1.h"
#include "apiserver/conversion_hpa.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

using schema::Resource;

struct Pair {
  std::string_view group, version, plural;               // asked for
  std::string_view stored_group, stored_version, stored_plural;
};
constexpr Pair kPairs[] = {
    {"events.k8s.io", "v1", "events", "", "v1", "events"},
    {"autoscaling", "v1", "horizontalpodautoscalers", "autoscaling", "v2", "horizontalpodautoscalers"},
    {"flowcontrol.apiserver.k8s.io", "v1beta2", "flowschemas", "flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas"},
    {"flowcontrol.apiserver.k8s.io", "v1beta2", "prioritylevelconfigurations", "flowcontrol.apiserver.k8s.io", "v1beta3", "prioritylevelconfigurations"},
};

void copy_series(const auto& from, auto& to) {
  if (!from) return;
  to.ensure().count = from->count;
  to->last_observed_time = from->last_observed_time;
}

void to_core(const api::events_v1::Event& from, api::core_v1::Event& to) {
  to.metadata = from.metadata;
  to.event_time = from.event_time;
  copy_series(from.series, to.series);
  to.reporting_component = from.reporting_controller;
  to.reporting_instance = from.reporting_instance;
  to.action = from.action;
  to.reason = from.reason;
  to.involved_object = from.regarding;
  to.related = from.related;
  to.message = from.note;
  to.type = from.type;
  to.source = from.deprecated_source;
  to.first_timestamp = from.deprecated_first_timestamp;
  to.last_timestamp = from.deprecated_last_timestamp;
  to.count = from.deprecated_count;
}

void from_core(const api::core_v1::Event& from, api::events_v1::Event& to) {
  to.metadata = from.metadata;
  to.event_time = from.event_time;
  copy_series(from.series, to.series);
  to.reporting_controller = from.reporting_component;
  to.reporting_instance = from.reporting_instance;
  to.action = from.action;
  to.reason = from.reason;
  to.regarding = from.involved_object;
  to.related = from.related;
  to.note = from.message;
  to.type = from.type;
  to.deprecated_source = from.source;
  to.deprecated_first_timestamp = from.first_timestamp;
  to.deprecated_last_timestamp = from.last_timestamp;
  to.deprecated_count = from.count;
}

}  // namespace

const Resource& storage_resource(const Resource& requested) {
  for (const Pair& pair : kPairs) {
    if (requested.plural != pair.plural || requested.group != pair.group || requested.version != pair.version) continue;
    const Resource* stored = schema::find_resource(pair.stored_group, pair.stored_version, pair.stored_plural);
    KNARR_CHECK(stored != nullptr);
    return *stored;
  }
  return requested;
}

schema::Object convert(const Resource& from, const Resource& to, const void* object) {
  if (&from == &to) return schema::Object(*to.type, object);
  schema::Object made(*to.type);
  if (auto* core = made.as<api::core_v1::Event>()) {
    to_core(*static_cast<const api::events_v1::Event*>(object), *core);
  } else if (auto* event = made.as<api::events_v1::Event>()) {
    from_core(*static_cast<const api::core_v1::Event*>(object), *event);
  } else if (convert_autoscaler(*from.type, object, made)) {
    return made;
  } else {
    // The versions of flowcontrol differ in names only: their messages are the same.
    std::string message;
    schema::encode_proto(message, *from.type, object);
    KNARR_CHECK(schema::decode_proto(message, *to.type, made.data()).ok());
  }
  return made;
}

}  // namespace knarr::apiserver
