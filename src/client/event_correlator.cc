// SPDX-License-Identifier: Apache-2.0
#include "client/event_correlator.h"

#include "schema/json.h"
#include "schema/time.h"

namespace knarr::client {
namespace {

using api::core_v1::Event;

std::string join(std::initializer_list<std::string_view> parts) {
  std::string key;
  for (std::string_view part : parts) key.append(part).append(1, '\0');
  return key;
}

std::string object_key(const Event& e) {
  const auto& o = e.involved_object;
  return join({e.source.component, e.source.host, o.kind, o.namespace_, o.name, o.uid, o.api_version});
}
std::string full_key(const Event& e) {
  return object_key(e) + join({e.involved_object.field_path, e.type, e.reason, e.message});
}
std::string group_key(const Event& e) {
  return object_key(e) + join({e.type, e.reason, e.reporting_component, e.reporting_instance});
}

}  // namespace

std::string event_name(std::string_view object, WallTime now) {
  return fmt::format("{}.{:x}", object, static_cast<uint64_t>(now.time_since_epoch().count()));
}

std::string EventCorrelator::aggregate(Event& event) {
  WallTime now = clock_.now();
  int64_t seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  std::string key = group_key(event);
  Group& group = groups_[key];
  if (seconds - group.last_seconds > kIntervalSeconds) group.messages.clear();
  group.messages.insert(event.message.str());
  group.last_seconds = seconds;
  if (group.messages.size() < kMaxDifferent) return full_key(event);
  group.messages.erase(group.messages.begin());  // grows no further
  event.metadata.name = event_name(event.involved_object.name, now);
  event.message = "(combined from similar events): " + event.message.str();
  event.first_timestamp = event.last_timestamp = schema::to_time(now);
  event.count = 1;
  return key;
}

bool EventCorrelator::accept(const Event& event) {
  Bucket& bucket = buckets_[object_key(event)];
  MonoTime now = clock_.mono();
  if (!bucket.fresh) {
    double passed = std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(kBurst, bucket.tokens + passed * kPerSecond);
  }
  bucket.fresh = false;
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

EventCorrelator::Outcome EventCorrelator::correlate(Event event) {
  Outcome outcome;
  std::string key = aggregate(event);
  Seen& seen = seen_[key];
  if (seen.count > 0) {
    event.metadata.name = seen.name;
    event.metadata.resource_version = seen.resource_version;
    event.first_timestamp = seen.first;
    event.count = seen.count + 1;
    json::Value patch = json::Value::object();
    patch["count"] = static_cast<int64_t>(event.count);
    patch["lastTimestamp"] = schema::format_time(event.last_timestamp);
    patch["message"] = event.message.view();
    outcome.patch = json::to_string(patch);
  }
  seen.count = event.count;
  seen.first = event.first_timestamp;
  seen.name = event.metadata.name.str();
  seen.resource_version = event.metadata.resource_version.str();
  outcome.skip = !accept(event);
  outcome.event = std::move(event);
  return outcome;
}

void EventCorrelator::written(const Event& event) {
  Seen& seen = seen_[full_key(event)];
  seen.count = event.count;
  seen.first = event.first_timestamp;
  seen.name = event.metadata.name.str();
  seen.resource_version = event.metadata.resource_version.str();
}

}  // namespace knarr::client
