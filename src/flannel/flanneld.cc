// SPDX-License-Identifier: Apache-2.0
#include "flannel/flanneld.h"

#include <fmt/core.h>

#include "base/files.h"
#include "base/log.h"

namespace knarr::flannel {
namespace {

using namespace std::chrono_literals;

constexpr Duration kNodePatience = 30s, kRetry = 3s, kRouteCheck = 10s;

}  // namespace

Flanneld::Flanneld(client::Client& client, client::InformerFactory& informers, Netlink& netlink, PacketFilter& filter, const Clock& clock,
                   FlanneldOptions options)
    : client_(client), executor_(informers.executor()), nodes_(informers.get<Node>()), netlink_(netlink), filter_(filter), clock_(clock),
      options_(std::move(options)) {}

Flanneld::~Flanneld() = default;

Status Flanneld::prepare() {
  TRY_ASSIGN(names_, annotation_names(options_.annotation_prefix));
  TRY_ASSIGN(config_, parse_net_config(options_.net_config));
  log_info("Found network config", {{"backendType", config_.backend_type}});
  TRY_ASSIGN(ExternalInterface external, find_interface(netlink_, options_.interface));
  log_info("Using interface", {{"name", external.link.name}, {"address", ipv4_text(external.address)}, {"publicIP", ipv4_text(external.public_ip)}});
  TRY_ASSIGN(backend_, make_backend(netlink_, config_, external));
  return {};
}

Task<Status> Flanneld::patch_status(std::string patch) {
  std::string ns, name = options_.node_name, subresource = "status";
  auto done = co_await client_.patch<Node>(std::move(ns), std::move(name), client::PatchType::kStrategic, std::move(patch), std::move(subresource));
  co_return done.status();
}

Task<Status> Flanneld::acquire_lease(Announcement announcement) {
  MonoTime deadline = clock_.mono() + kNodePatience;
  auto node = nodes_.get(options_.node_name);
  while (node == nullptr) {
    if (clock_.mono() >= deadline || stopped_)
      co_return Status::error(fmt::format("timeout contacting kube-api, failed to patch node \"{}\". Error: context deadline exceeded", options_.node_name));
    co_await sleep_for(kRetry);
    node = nodes_.get(options_.node_name);
  }
  CO_TRY_ASSIGN(subnet_, subnet_of(*node, config_.network));
  std::string patch = announcement_patch(*node, announcement, names_);
  if (patch.empty()) co_return Status();
  for (;;) {
    std::string body = patch;
    Status status = co_await patch_status(std::move(body));
    if (status.ok()) co_return status;
    if (clock_.mono() >= deadline || stopped_) {
      co_return Status::error(fmt::format("timeout contacting kube-api, failed to patch node \"{}\". Error: {}", options_.node_name, status.message()));
    }
    co_await sleep_for(kRetry);
  }
}

Task<void> Flanneld::make_rules() {
  auto version = co_await filter_.version();
  bool random_fully = version.ok() && has_random_fully(*version);
  if (options_.ip_masq) rules_.push_back(masquerade_rules(config_.network, subnet_, random_fully));
  if (options_.forward_rules) rules_.push_back(forward_rules(config_.network));
  for (const RuleSet& rules : rules_) {
    RuleSet copy = rules;
    Status status = co_await ensure_rules(&filter_, std::move(copy));
    if (!status.ok()) log_error("Failed to set up iptables", {{"chain", rules.chain}, {"error", status.message()}});
  }
}

Task<Status> Flanneld::start() {
  CO_TRY(prepare());
  co_await nodes_.wait_synced();
  auto announcement = backend_->prepare();
  if (!announcement.ok()) co_return announcement.status().with_context("Error registering network");
  Status lease = co_await acquire_lease(std::move(*announcement));
  if (!lease.ok()) co_return lease.with_context("Error registering network: failed to acquire lease");
  Status configured = backend_->configure(subnet_);
  if (!configured.ok()) co_return configured.with_context("Error registering network");
  co_await make_rules();
  SubnetEnv env{{config_.network}, subnet_, backend_->mtu(), options_.ip_masq};
  Status written = make_dirs(dir_name(options_.subnet_file));
  if (written.ok()) written = write_file(options_.subnet_file, write_subnet_env(env));
  if (written.ok()) {
    log_info("Wrote subnet file", {{"path", options_.subnet_file}});
  } else {
    log_warning("Failed to write subnet file", {{"path", options_.subnet_file}, {"error", written.message()}});
  }
  nodes_.add_handler([this](const auto& old_node, const auto& new_node) {
    if (stopped_) return;
    on_node((new_node ? new_node : old_node)->metadata.name.str(), new_node.get());
  });
  spawn(executor_, resync_rules(this));
  spawn(executor_, check_routes(this));
  if (!options_.set_network_available) co_return Status();
  std::string patch = network_up_patch(clock_.now());
  Status status = co_await patch_status(std::move(patch));
  if (!status.ok()) log_error("Failed to set the condition NetworkUnavailable", {{"error", status.message()}});
  co_return Status();
}

void Flanneld::on_node(const std::string& name, const Node* node) {
  if (name == options_.node_name) return;
  std::optional<Peer> now;
  if (node != nullptr) {
    auto peer = peer_of(*node, names_);
    if (!peer.ok()) {
      log_info("Error turning node to lease", {{"node", name}, {"error", peer.status().message()}});
      return;
    }
    now = std::move(*peer);
    if (now && now->backend_type != config_.backend_type) {
      log_warning("Ignored a subnet of another backend", {{"node", name}, {"subnet", now->subnet.text()}, {"type", now->backend_type}});
      now.reset();
    }
  }
  auto known = peers_.find(name);
  if (known != peers_.end()) {
    if (now && *now == known->second) return;
    Status removed = backend_->remove(known->second);
    if (!removed.ok()) log_error("Failed to remove a subnet", {{"node", name}, {"error", removed.message()}});
    peers_.erase(known);
  }
  if (!now) return;
  Status added = backend_->add(*now);
  if (!added.ok()) {
    log_error("Failed to add a subnet", {{"node", name}, {"subnet", now->subnet.text()}, {"error", added.message()}});
    return;
  }
  log_info("Subnet added", {{"node", name}, {"subnet", now->subnet.text()}, {"via", ipv4_text(now->public_ip)}});
  peers_.emplace(name, std::move(*now));
}

// Nobody tells when somebody else rewrites the tables (firewalld, an administrator): looking again is upstream's contract, with the flag's period.
Task<void> Flanneld::resync_rules(Flanneld* self) {
  while (!self->stopped_) {
    co_await sleep_for(self->options_.resync);
    for (size_t i = 0; i < self->rules_.size() && !self->stopped_; ++i) {
      RuleSet copy = self->rules_[i];
      Status status = co_await ensure_rules(&self->filter_, std::move(copy));
      if (!status.ok()) log_error("Failed to ensure iptables rules", {{"error", status.message()}});
    }
  }
}

Task<void> Flanneld::check_routes(Flanneld* self) {
  while (!self->stopped_) {
    co_await sleep_for(kRouteCheck);
    if (!self->stopped_) self->backend_->check();
  }
}

void Flanneld::stop() { stopped_ = true; }

}  // namespace knarr::flannel
