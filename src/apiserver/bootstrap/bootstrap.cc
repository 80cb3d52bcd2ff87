// SPDX-License-Identifier: Apache-2.0
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/strategy/shared_ranges.h"

#include <boost/asio/strand.hpp>

#include "api/core_v1.h"
#include "api/scheduling_v1.h"

namespace knarr::apiserver {

namespace bootstrap {
namespace {

// How many objects are written at a time: enough to share the store's syncs.
constexpr int kWriters = 16;
constexpr int kMaxConflicts = 5;

struct Batch {
  ApiServer& server;
  std::vector<Wanted> wanted;
  Completion done;
  size_t next = 0;
  int running = 0;
  Status first_error;
};

Task<Status> create(ApiServer& server, Wanted& wanted) {
  schema::Object copy = wanted.object;
  auto made = co_await server.loopback().create_object(*wanted.resource, wanted.ref.namespace_,
                                                       std::move(copy));
  if (made.ok() || made.status().reason() == "AlreadyExists") co_return Status();
  co_return made.status().with_context(std::string(wanted.resource->plural) + " " +
                                       wanted.ref.key());
}

Task<Status> ensure(ApiServer& server, Wanted& wanted) {
  const schema::Resource& resource = *wanted.resource;
  Status status;
  for (int attempt = 0; attempt < kMaxConflicts; ++attempt) {
    auto existing =
        server.cached(resource.group, resource.plural, wanted.ref.namespace_, wanted.ref.name);
    if (existing == nullptr) {
      status = co_await create(server, wanted);
      co_return status;
    }
    if (wanted.reconcile == nullptr) co_return Status();
    schema::Object changed = *existing;
    if (!wanted.reconcile(changed.data(), wanted.object.data())) co_return Status();
    auto updated =
        co_await server.loopback().update_object(resource, wanted.ref, std::move(changed));
    if (updated.ok()) co_return Status();
    status = updated.status();
    if (status.reason() != "Conflict") break;
  }
  co_return status.with_context(std::string(resource.plural) + " " + wanted.ref.key());
}

Task<void> write_some(std::shared_ptr<Batch> batch) {
  while (batch->next < batch->wanted.size() && batch->first_error.ok()) {
    Wanted& wanted = batch->wanted[batch->next++];
    Status status = co_await ensure(batch->server, wanted);
    if (!status.ok() && batch->first_error.ok()) batch->first_error = std::move(status);
  }
  if (--batch->running == 0) batch->done.set();
}

Task<Status> ensure_all(ApiServer& server, std::vector<Wanted> wanted) {
  Executor here = co_await this_executor();
  auto batch = std::make_shared<Batch>(Batch{server, std::move(wanted), Completion(here)});
  // The writers share the batch: one strand, whatever threads the executor has.
  Executor strand = boost::asio::make_strand(here);
  batch->running = kWriters;
  for (int i = 0; i < kWriters; ++i) spawn(strand, write_some(batch));
  co_await batch->done.wait();
  co_return batch->first_error;
}

void add_namespaces(std::vector<Wanted>& wanted) {
  for (std::string_view name : {"kube-system", "kube-public", "kube-node-lease", "default"}) {
    api::core_v1::Namespace ns;
    ns.metadata.name = name;
    wanted.push_back(want(std::move(ns)));
  }
}

void add_priority_classes(std::vector<Wanted>& wanted) {
  constexpr int32_t kHighest = 2'000'000'000;
  auto add = [&](std::string_view name, int32_t value, std::string_view description) {
    api::scheduling_v1::PriorityClass made;
    made.metadata.name = name;
    made.value = value;
    made.description = description;
    wanted.push_back(want(std::move(made)));
  };
  add("system-node-critical", kHighest + 1000,
      "Used for system critical pods that must not be moved from their current node.");
  add("system-cluster-critical", kHighest,
      "Used for system critical pods that must run in the cluster, but can be moved to another "
      "node if necessary.");
}

}  // namespace
}  // namespace bootstrap

Task<Status> bootstrap_cluster(ApiServer& server) {
  using namespace bootstrap;
  std::vector<Wanted> namespaces, rest;
  add_namespaces(namespaces);
  Status status = co_await ensure_all(server, std::move(namespaces));
  if (!status.ok()) co_return status;
  add_priority_classes(rest);
  add_rbac_policy(rest);
  add_flow_control(rest);
  add_api_services(rest);
  add_token_tracking(server.clock(), rest);
  CO_TRY(add_authentication_config(server.options(), rest));
  status = co_await ensure_all(server, std::move(rest));
  if (!status.ok()) co_return status;
  status = co_await report_api_services(server);
  if (!status.ok()) co_return status;
  status = co_await report_flow_schemas(server);
  if (!status.ok()) co_return status;
  status = co_await reconcile_kubernetes_service(server);
  if (!status.ok() || !allocates_shared(server)) co_return status;
  status = co_await repair_ranges(server);
  co_return status;
}

}  // namespace knarr::apiserver
