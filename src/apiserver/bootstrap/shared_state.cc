// SPDX-License-Identifier: Apache-2.0
// What a server keeps up beside others on the same store, in upstream's form: a lease /registry/masterleases/ADDRESS of 15 s, renewed every 10 s,
// and the endpoints of default/kubernetes made from all leases; every three minutes, a repair of the ranges.
#include "api/core_v1.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/strategy/shared_ranges.h"
#include "base/log.h"
#include "schema/codec.h"

namespace knarr::apiserver {

namespace {

using api::core_v1::Endpoints;

constexpr int64_t kLeaseSeconds = 15;
constexpr auto kRenewal = std::chrono::seconds(10);
constexpr int kRenewalsPerRepair = 18;  // three minutes

store::Store& store_of(ApiServer& server) { return static_cast<Core&>(server).store(); }
std::string lease_prefix(ApiServer& server) { return server.options().storage_prefix + "/masterleases/"; }

Result<Endpoints> read_lease(std::string_view value) {
  TRY_ASSIGN(schema::Envelope envelope, schema::open_envelope(value));
  return schema::from_proto<Endpoints>(envelope.raw);
}

// Only this server writes its lease; `generation` makes each renewal a change.
Task<Status> renew(ApiServer& server) {
  std::string key = lease_prefix(server) + server.options().advertise_address;
  std::string read = key;
  auto entry = co_await store_of(server).get(std::move(read), 0);
  if (!entry.ok()) co_return entry.status();
  Endpoints lease;
  if (entry->mod_revision != 0) {
    auto kept = read_lease(entry->value.view());
    if (kept.ok()) lease = std::move(*kept);
  }
  lease.metadata.generation = lease.metadata.generation + 1;
  lease.subsets.clear();
  lease.subsets.emplace_back().addresses.emplace_back().ip = server.options().advertise_address;
  const schema::KindInfo* kind = schema::find_kind("v1", "Endpoints");
  KNARR_CHECK(kind != nullptr);
  std::string text;
  schema::encode_envelope(text, *kind, &lease);
  store::WriteRequest request;
  request.key = std::move(key);
  request.expected_revision = store::WriteRequest::kAny;
  request.value = Bytes::copy(text);
  request.ttl_seconds = kLeaseSeconds;
  auto written = co_await store_of(server).write(std::move(request));
  co_return written.status();
}

}  // namespace

namespace bootstrap {

Task<Result<std::vector<std::string>>> living_servers(ApiServer& server) {
  std::vector<std::string> addresses;
  if (!store_of(server).shared()) {
    addresses.push_back(server.options().advertise_address);
    co_return addresses;
  }
  if (!static_cast<Core&>(server).stopping()) {
    Status renewed = co_await renew(server);
    if (!renewed.ok()) co_return renewed;
  }
  store::RangeRequest request;
  request.start = lease_prefix(server);
  request.end = store::prefix_end(request.start);
  auto leases = co_await store_of(server).range(std::move(request));
  if (!leases.ok()) co_return leases.status();
  for (const store::Entry& entry : leases->entries) {
    auto lease = read_lease(entry.value.view());
    bool usable = lease.ok() && !lease->subsets.empty() && !lease->subsets[0].addresses.empty();
    if (usable) addresses.push_back(lease->subsets[0].addresses[0].ip.str());
  }
  co_return addresses;
}

}  // namespace bootstrap

Task<void> keep_shared_state(ApiServer* server) {
  auto& core = static_cast<Core&>(*server);
  for (int round = 1; !core.stopping(); ++round) {
    Duration pause = kRenewal;
    co_await sleep_for(pause);
    if (core.stopping()) co_return;
    Status status = co_await bootstrap::reconcile_kubernetes_service(*server);
    if (!status.ok()) log_warning("Endpoints of the API servers were not kept", {{"error", status.message()}});
    if (round % kRenewalsPerRepair != 0) continue;
    status = co_await repair_ranges(*server);
    if (!status.ok()) log_warning("Ranges of Services were not repaired", {{"error", status.message()}});
  }
}

Task<void> leave_shared_state(ApiServer& server) {
  if (server.options().advertise_address.empty()) co_return;
  store::WriteRequest request;
  request.key = lease_prefix(server) + server.options().advertise_address;
  request.expected_revision = store::WriteRequest::kAny;
  request.remove = true;
  auto removed = co_await store_of(server).write(std::move(request));
  Status status = removed.status();
  if (status.ok()) status = co_await bootstrap::reconcile_kubernetes_service(server);
  if (!status.ok()) log_warning("Endpoints still name this server", {{"error", status.message()}});
}

}  // namespace knarr::apiserver
