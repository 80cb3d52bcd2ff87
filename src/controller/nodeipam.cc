// SPDX-License-Identifier: Apache-2.0
// node-ipam: gives each node its slice of the cluster's pod addresses (range allocator; one range an address family).
#include "base/log.h"
#include "base/string_map.h"
#include "controller/cidr_set.h"
#include "controller/controller.h"
#include "controller/node_util.h"
#include "controller/util.h"

namespace knarr::controller {
namespace {

constexpr int kNodeMaskV6 = 64;

struct NodeIpam : std::enable_shared_from_this<NodeIpam> {
  explicit NodeIpam(ContextPtr c)
      : context(std::move(c)),
        nodes(context->informers.get<Node>()),
        queue(context->make_queue("node_ipam")),
        events(context->recorder("cidrAllocator")) {}
  ContextPtr context;
  client::Informer<Node> nodes;
  std::shared_ptr<client::WorkQueue> queue;
  std::shared_ptr<client::EventRecorder> events;
  std::vector<CidrSet> sets;
  // Nodes (by uid) that have been given a slice of which the cache has not told yet: without it a second event gives a second slice.
  StringSet given_unseen;

  Status set_up();
  void occupy(const Node& node, bool used);
  Task<Status> reconcile(std::string name);
};

template <class Visit>
void for_each_part(std::string_view list, Visit visit) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    visit(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

Status NodeIpam::set_up() {
  Status failure;
  for_each_part(context->options.cluster_cidr, [&](std::string_view text) {
    auto range = Cidr::parse(text);
    auto set = range.ok() ? CidrSet::make(*range, range->v6 ? std::max(kNodeMaskV6, range->prefix) : context->options.node_cidr_mask_size)
                          : Result<CidrSet>(range.status());
    if (set.ok()) {
      sets.push_back(std::move(*set));
    } else if (failure.ok()) {
      failure = set.status();
    }
  });
  for_each_part(context->options.service_cidr, [&](std::string_view text) {
    auto services = Cidr::parse(text);
    for (CidrSet& set : sets)
      if (services.ok()) set.occupy(*services);
  });
  return failure;
}

void NodeIpam::occupy(const Node& node, bool used) {
  for (const schema::Str& text : node.spec.pod_cidrs) {
    auto cidr = Cidr::parse(text);
    if (!cidr.ok()) continue;
    for (CidrSet& set : sets) used ? set.occupy(*cidr) : set.release(*cidr);
  }
}

Task<Status> NodeIpam::reconcile(std::string name) {
  NodePtr node = nodes.get(name);
  if (node == nullptr || node->metadata.deletion_timestamp || !node->spec.pod_cidrs.empty()) co_return Status();
  if (given_unseen.contains(node->metadata.uid.view())) co_return Status();
  std::vector<Cidr> given;
  for (CidrSet& set : sets)
    if (auto cidr = set.allocate()) given.push_back(*cidr);
  auto give_back = [&] {
    for (size_t i = 0; i < given.size(); ++i)
      for (CidrSet& set : sets)
        if (set.v6() == given[i].v6) set.release(given[i]);
  };
  if (given.size() < sets.size()) {
    give_back();
    events->event(node_reference(name, node->metadata.uid), "Normal", "CIDRNotAvailable",
                  "Node " + name + " status is now: CIDRNotAvailable");
    co_return Status::error("failed to allocate cidr from cluster cidr: CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range");
  }
  std::string list;
  for (const Cidr& cidr : given) list += (list.empty() ? "" : ",") + quote(cidr.to_string());
  std::string patch = "{\"spec\":{\"podCIDR\":" + quote(given.front().to_string()) + ",\"podCIDRs\":[" + list + "]}}";
  std::string none, who = name;
  auto patched = co_await context->client.patch<Node>(std::move(none), std::move(who), client::PatchType::kStrategic, std::move(patch));
  if (patched.ok()) {
    NodePtr seen = nodes.get(name);
    if (seen != nullptr && seen->spec.pod_cidrs.empty()) given_unseen.insert(node->metadata.uid.str());
    log_info("Set node PodCIDR", {{"node", name}, {"podCIDR", given.front().to_string()}});
    co_return Status();
  }
  // After a time-out the server may have taken it all the same: then the node's event occupies the slice again.
  give_back();
  co_return patched.status().code() == 404 ? Status() : patched.status();
}

}  // namespace

void start_nodeipam(const ContextPtr& context) {
  if (!context->options.allocate_node_cidrs || context->options.cluster_cidr.empty()) return;
  auto self = std::make_shared<NodeIpam>(context);
  if (Status status = self->set_up(); !status.ok() || self->sets.empty()) {
    log_error("Node IPAM could not be started", {{"err", status.message()}});
    return;
  }
  // What is given out already counts before anything is given out.
  context->call_when_synced({self->nodes.core_ptr()}, [self] {
    self->nodes.for_each([&](const NodePtr& node) { self->occupy(*node, true); });
    self->nodes.add_handler([self](const NodePtr& old, const NodePtr& now) {
      if (now == nullptr || !now->spec.pod_cidrs.empty()) self->given_unseen.erase((now == nullptr ? old : now)->metadata.uid.str());
      if (now == nullptr) return self->occupy(*old, false);
      self->occupy(*now, true);
      if (now->spec.pod_cidrs.empty()) self->queue->add(now->metadata.name.str());
    });
    client::run_workers(self->context->executor, self->queue, "node-ipam", 1,
                        [self](std::string key) { return self->reconcile(std::move(key)); });
  });
}

}  // namespace knarr::controller
