// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/shared_ranges.h"

#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/strategy/service_allocator.h"
#include "base/log.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

using api::core_v1::RangeAllocation;
using api::core_v1::Service;
using RangeStates = ServiceAllocator::RangeStates;

constexpr int kAttempts = 20;

// The objects of all ranges, and the revisions that a change must compare with.
struct StoredRanges {
  RangeStates states;
  std::vector<RangeAllocation> objects;
  std::vector<int64_t> revisions;  // 0: not there
};

store::Store& store_of(ApiServer& server) { return static_cast<Core&>(server).store(); }

std::string key_of(ApiServer& server, const std::string& name) { return server.options().storage_prefix + "/ranges/" + name; }

Task<Result<StoredRanges>> read_ranges(ApiServer& server) {
  StoredRanges out;
  for (const std::string& name : ServiceAllocator::of(server).range_names()) {
    std::string key = key_of(server, name);
    auto entry = co_await store_of(server).get(std::move(key), 0);
    if (!entry.ok()) co_return entry.status();
    RangeAllocation object;
    if (entry->mod_revision != 0) {
      CO_TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(entry->value.view()));
      CO_TRY_ASSIGN(object, schema::from_proto<RangeAllocation>(envelope.raw));
    }
    out.states.push_back({name, object.range.str(), object.data.str()});
    out.objects.push_back(std::move(object));
    out.revisions.push_back(entry->mod_revision);
  }
  co_return out;
}

// How many are as they should be: fewer than all when another server was faster with the next.
Task<Result<size_t>> write_ranges(ApiServer& server, const StoredRanges& from, const RangeStates& to) {
  const schema::KindInfo* kind = schema::find_kind("v1", "RangeAllocation");
  KNARR_CHECK(kind != nullptr);
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == from.states[i]) continue;
    RangeAllocation object = from.objects[i];
    object.range = to[i].range;
    object.data.assign(to[i].bitmap, true);
    std::string text;
    schema::encode_envelope(text, *kind, &object);
    store::WriteRequest request;
    request.key = key_of(server, to[i].name);
    request.expected_revision = from.revisions[i];
    request.value = Bytes::copy(text);
    auto written = co_await store_of(server).write(std::move(request));
    if (!written.ok()) co_return written.status();
    if (!written->succeeded) co_return i;
  }
  co_return to.size();
}

Task<Status> release(ApiServer& server, const Service& service, const Service* old) {
  for (int i = 0; i < kAttempts; ++i) {
    auto stored = co_await read_ranges(server);
    if (!stored.ok()) co_return stored.status();
    RangeStates without = ServiceAllocator::of(server).revert_from(server, stored->states, service, old);
    auto written = co_await write_ranges(server, *stored, without);
    if (!written.ok()) co_return written.status();
    if (*written == stored->states.size()) co_return Status();
  }
  co_return internal_error("other servers changed the ranges too often");
}

// What of `service` lies in the first `ranges`: they were written before the next one failed. Ports are the last range, so never among them.
Service only_addresses(const Service& service, const RangeStates& states, size_t ranges) {
  Service out = service;
  for (auto& port : out.spec.ports) port.node_port = 0;
  out.spec.health_check_node_port = 0;
  out.spec.cluster_ips.erase_if([&](const schema::Str& ip) {
    for (size_t i = 0; i < ranges; ++i)
      if ((ip.view().find(':') != ip.view().npos) == (states[i].range.find(':') != std::string::npos)) return false;
    return true;
  });
  return out;
}

Task<void> release_later(ApiServer* server, Service service, std::optional<Service> old) {
  Status status = co_await release(*server, service, old.has_value() ? &*old : nullptr);
  // The next repairs will find what was not given back.
  if (!status.ok()) log_warning("Numbers of a Service were not given back", {{"error", status.message()}});
}

}  // namespace

bool allocates_shared(ApiServer& server) { return store_of(server).shared(); }

Task<Status> allocate_shared(ApiServer& server, Service& service, const Service* old, bool dry_run) {
  ServiceAllocator& allocator = ServiceAllocator::of(server);
  const Service asked = service;
  for (int i = 0; i < kAttempts; ++i) {
    auto stored = co_await read_ranges(server);
    if (!stored.ok()) co_return stored.status();
    auto with = allocator.allocate_from(server, stored->states, service, old);
    if (!with.ok()) co_return with.status();
    if (dry_run) co_return Status();
    auto written = co_await write_ranges(server, *stored, *with);
    // What an unanswered write has taken, if it has, repairs will find.
    if (!written.ok()) co_return written.status();
    if (*written == with->size()) co_return Status();
    allocator.revert(service, old);
    if (*written > 0) {
      Service taken = only_addresses(service, *with, *written);
      Status released = co_await release(server, taken, old);
      if (!released.ok()) co_return released;
    }
    service = asked;
  }
  co_return internal_error("other servers changed the ranges too often");
}

void release_shared(ApiServer& server, const Service& service, const Service* old) {
  if (!allocates_shared(server)) return;
  std::optional<Service> kept;
  if (old != nullptr) kept = *old;
  spawn(server.executor(), release_later(&server, service, std::move(kept)));
}

Task<Status> repair_ranges(ApiServer& server) {
  for (int i = 0; i < kAttempts; ++i) {
    auto stored = co_await read_ranges(server);
    if (!stored.ok()) co_return stored.status();
    RangeStates repaired = ServiceAllocator::of(server).repair(server, stored->states);
    auto written = co_await write_ranges(server, *stored, repaired);
    if (!written.ok()) co_return written.status();
    if (*written == stored->states.size()) co_return Status();
  }
  co_return internal_error("other servers changed the ranges too often");
}

}  // namespace knarr::apiserver
