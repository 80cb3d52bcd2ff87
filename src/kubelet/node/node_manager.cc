// SPDX-License-Identifier: Apache-2.0
#include "kubelet/node/node_manager.h"

#include <fmt/core.h>

#include <algorithm>

#include "api/coordination_v1.h"
#include "base/log.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace coordination = api::coordination_v1;

namespace {

constexpr Duration kUnreadyLook = std::chrono::milliseconds(200);  // while the network is missing
constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kLastRetry = std::chrono::seconds(7);
// A host that runs the API server itself waits for its own container: nobody else is asked, so it may ask often while that starts.
constexpr Duration kOwnServerRetry = std::chrono::milliseconds(50), kOwnServerStart = std::chrono::seconds(20);
constexpr std::string_view kLeaseNamespace = "kube-node-lease";

// Messages of several reasons, as upstream's aggregate prints them.
std::string aggregate(const std::vector<std::string>& reasons) {
  if (reasons.empty()) return {};
  if (reasons.size() == 1) return reasons.front();
  std::string out = "[";
  for (size_t i = 0; i < reasons.size(); ++i) out += (i == 0 ? "" : ", ") + reasons[i];
  return out + "]";
}

std::string condition_text(const cri::RuntimeCondition& condition) {
  return fmt::format("{}={} reason:{} message:{}", condition.type.view(), condition.status ? "true" : "false", condition.reason.view(),
                     condition.message.view());
}

}  // namespace

struct NodeManager::Impl {
  Impl(Context& c, MachineInfo m) : context(c), machine(std::move(m)), changed(c.executor) {}
  Context& context;
  MachineInfo machine;
  Notifier changed;
  bool stopped = false, dirty = true, registered = false, learnt = false;
  bool memory_pressure = false, disk_pressure = false, pid_pressure = false;
  std::string runtime_version, runtime_error, network_error, register_error;
  std::optional<core::Node> node;
  MonoTime last_report{};
  std::string pod_cidr;
  std::optional<coordination::Lease> lease;
  std::function<void()> network_changed;
  std::shared_ptr<client::InformerCore> informer;

  NodeFacts facts() const {
    NodeFacts made;
    made.config = &context.config;
    made.machine = &machine;
    if (!context.host_ips.empty()) made.node_ip = context.host_ips.front();
    made.runtime_name = context.runtime_name;
    made.runtime_version = runtime_version;
    std::vector<std::string> reasons;
    if (!runtime_error.empty()) reasons.push_back(runtime_error);
    if (!network_error.empty()) reasons.push_back(network_error);
    made.not_ready = aggregate(reasons);
    made.memory_pressure = memory_pressure;
    made.disk_pressure = disk_pressure;
    made.pid_pressure = pid_pressure;
    return made;
  }
};

NodeManager::NodeManager(Context& context, MachineInfo machine) : impl_(std::make_shared<Impl>(context, std::move(machine))) {}
NodeManager::~NodeManager() { stop(); }

void NodeManager::stop() {
  impl_->stopped = true;
  if (impl_->informer) impl_->informer->stop();
  impl_->changed.notify();
}

void NodeManager::wake() {
  impl_->dirty = true;
  impl_->changed.notify();
}

void NodeManager::set_pressure(bool memory, bool disk, bool pid) {
  impl_->memory_pressure = memory;
  impl_->disk_pressure = disk;
  impl_->pid_pressure = pid;
  wake();
}

void NodeManager::on_network_change(std::function<void()> callback) { impl_->network_changed = std::move(callback); }
const core::Node* NodeManager::node() const { return impl_->node ? &*impl_->node : nullptr; }

// True when the answer differs from the last one.
Task<bool> NodeManager::check_runtime(std::shared_ptr<Impl> impl) {
  std::string runtime_error, network_error;
  auto status = co_await impl->context.runtime.status(false);
  if (!status.ok()) {
    runtime_error = fmt::format("container runtime is down: {}", status.status().message());
  } else if (status->status) {
    bool runtime_seen = false, network_seen = false;
    for (const cri::RuntimeCondition& condition : status->status->conditions) {
      if (condition.type == "RuntimeReady") {
        runtime_seen = true;
        if (!condition.status) runtime_error = "container runtime not ready: " + condition_text(condition);
      }
      if (condition.type == "NetworkReady") {
        network_seen = true;
        if (!condition.status) network_error = "container runtime network not ready: " + condition_text(condition);
      }
    }
    if (!runtime_seen) runtime_error = "container runtime not ready: <nil>";
    if (!network_seen) network_error = "container runtime network not ready: <nil>";
  }
  bool changed = runtime_error != impl->runtime_error || network_error != impl->network_error;
  bool network = network_error != impl->network_error;
  impl->runtime_error = std::move(runtime_error);
  impl->network_error = std::move(network_error);
  impl->context.network_error = impl->network_error;
  if (network && impl->network_changed) impl->network_changed();
  co_return changed;
}

Task<void> NodeManager::learn() {
  std::shared_ptr<Impl> impl = impl_;
  Context& context = impl->context;
  context.memory_capacity = impl->machine.memory_bytes;
  context.swap_accounting = impl->machine.swap_accounting;
  context.allocatable = node_allocatable(impl->facts());
  if (context.host_ips.empty()) {
    std::string ip = context.config.node_ip.empty() ? default_address() : context.config.node_ip;
    if (!ip.empty()) context.host_ips.push_back(std::move(ip));
  }
  bool told = false;
  for (Duration retry = std::chrono::milliseconds(20); !impl->stopped; retry = std::min<Duration>(retry * 2, std::chrono::seconds(2))) {
    auto version = co_await context.runtime.version();
    if (version.ok()) {
      context.runtime_name = version->runtime_name.str();
      impl->runtime_version = version->runtime_version.str();
      break;
    }
    if (!told) log_info("Waiting for the container runtime", {{"endpoint", context.config.container_runtime_endpoint}, {"err", version.status().message()}});
    told = true;
    co_await sleep_for(retry);
  }
  co_await check_runtime(impl);
  impl->learnt = true;
}

// Watch events and answers to our own writes cross: the newer one counts.
void NodeManager::adopt(Impl& impl, core::Node node) {
  auto version = [](const core::Node& n) { return std::strtoull(n.metadata.resource_version.c_str(), nullptr, 10); };
  if (impl.node && impl.node->metadata.uid == node.metadata.uid && version(node) < version(*impl.node)) return;
  bool new_cidr = !impl.node || impl.node->spec.pod_cidr != node.spec.pod_cidr;
  impl.node = std::move(node);
  if (!new_cidr) return;
  impl.dirty = true;
  impl.changed.notify();
}

Task<void> NodeManager::read_node(std::shared_ptr<Impl> impl) {
  std::string none, name = impl->context.config.node_name;
  auto found = co_await impl->context.client.get<core::Node>(std::move(none), std::move(name));
  if (found.ok()) adopt(*impl, std::move(*found));
}

Task<void> NodeManager::refresh() { return read_node(impl_); }

void NodeManager::start() {
  client::InformerCore::Options options;
  options.field_selector = "metadata.name=" + impl_->context.config.node_name;
  impl_->informer = std::make_shared<client::InformerCore>(impl_->context.client, core::Node::resource(), options, impl_->context.executor);
  std::weak_ptr<Impl> weak = impl_;
  client::Informer<core::Node>(impl_->informer).add_handler([weak](const std::shared_ptr<const core::Node>&, const std::shared_ptr<const core::Node>& now) {
    auto impl = weak.lock();
    if (impl && now && !impl->stopped) adopt(*impl, *now);
  });
  impl_->informer->start();
  spawn(impl_->context.executor, status_loop(impl_));
  spawn(impl_->context.executor, lease_loop(impl_));
}

Task<bool> NodeManager::register_node(std::shared_ptr<Impl> impl) {
  Context& context = impl->context;
  NodeFacts facts = impl->facts();
  auto images = co_await context.images.list_images();
  if (images.ok()) facts.images = std::move(*images);
  core::Node wanted = initial_node(facts, context.clock.now());
  core::Node body = wanted;
  auto created = co_await context.client.create<core::Node>(std::move(body));
  if (created.ok()) {
    adopt(*impl, std::move(*created));
    impl->last_report = context.clock.mono();
    log_info("Successfully registered node", {{"node", context.config.node_name}});
    co_return true;
  }
  if (!created.status().is("AlreadyExists")) {
    std::string why(created.status().message());
    if (why != impl->register_error) log_warning("Unable to register node with API server", {{"node", context.config.node_name}, {"err", why}});
    impl->register_error = std::move(why);
    co_return false;
  }
  std::string none, name = context.config.node_name;
  auto found = co_await context.client.get<core::Node>(std::move(none), std::move(name));
  if (!found.ok()) co_return false;
  log_info("Node was previously registered", {{"node", context.config.node_name}});
  json::Value labels = json::Value::object();
  for (const auto& entry : wanted.metadata.labels) {
    if (schema::get_or_empty(found->metadata.labels, entry.key) != entry.value) labels[entry.key] = entry.value.view();
  }
  adopt(*impl, std::move(*found));
  if (!labels.members().empty()) {
    json::Value patch = json::Value::object();
    patch["metadata"]["labels"] = std::move(labels);
    std::string no_namespace, node_name = context.config.node_name, body_text = json::to_string(patch), no_subresource;
    auto patched = co_await context.client.patch<core::Node>(std::move(no_namespace), std::move(node_name), client::PatchType::kMerge,
                                                             std::move(body_text), std::move(no_subresource));
    if (patched.ok()) adopt(*impl, std::move(*patched));
  }
  co_return true;
}

Task<bool> NodeManager::write_status(std::shared_ptr<Impl> impl) {
  Context& context = impl->context;
  NodeFacts facts = impl->facts();
  auto images = co_await context.images.list_images();
  if (images.ok()) facts.images = std::move(*images);
  core::NodeStatus status = impl->node->status;
  if (!images.ok()) {
    facts.images.clear();
  }
  WallTime now = context.clock.now();
  auto old_images = status.images;
  std::vector<std::string> events = fill_node_status(facts, now, status);
  if (!images.ok()) status.images = old_images;
  bool due = context.clock.mono() - impl->last_report >= context.config.node_status_report_frequency || impl->last_report == MonoTime{};
  if (same_node_status(status, impl->node->status) && !due) co_return true;
  set_heartbeat(status, now);
  auto document = json::parse(schema::to_json(status));
  if (!document.ok()) co_return false;
  json::Value patch = json::Value::object();
  patch["metadata"]["uid"] = impl->node->metadata.uid.view();
  patch["status"] = std::move(*document);
  std::string none, name = context.config.node_name, body = json::to_string(patch), subresource = "status";
  auto patched = co_await context.client.patch<core::Node>(std::move(none), std::move(name), client::PatchType::kStrategic, std::move(body),
                                                           std::move(subresource));
  if (!patched.ok()) {
    log_warning("Unable to update node status", {{"node", context.config.node_name}, {"err", patched.status().message()}});
    if (patched.status().is("NotFound") || patched.status().is("Conflict")) impl->registered = false;
    co_return false;
  }
  adopt(*impl, std::move(*patched));
  impl->last_report = context.clock.mono();
  core::ObjectReference about;
  about.kind = "Node";
  about.name = context.config.node_name;
  about.uid = context.config.node_name;  // as upstream: the node's own events carry its name
  for (const std::string& reason : events) {
    std::string message = fmt::format("Node {} status is now: {}", context.config.node_name, reason);
    std::string type = "Normal";
    if (reason == "Rebooted") {
      type = "Warning";
      message = fmt::format("Node {} has been rebooted, boot id: {}", context.config.node_name, impl->machine.boot_id);
    }
    context.events.write(about, type, reason, std::move(message));
  }
  co_return true;
}

Task<void> NodeManager::status_loop(std::shared_ptr<Impl> impl) {
  Context& context = impl->context;
  Duration retry = kFirstRetry;
  MonoTime begun = context.clock.mono();
  while (!impl->stopped) {
    if (!impl->registered && context.config.register_node) {
      bool done = co_await register_node(impl);
      if (!done) {
        bool own_server = context.static_pods && context.clock.mono() - begun < kOwnServerStart;
        if (own_server) retry = kOwnServerRetry;
        co_await sleep_for(retry);
        retry = std::min(retry * 2, kLastRetry);
        continue;
      }
      retry = kFirstRetry;
      impl->registered = true;
    }
    impl->dirty = false;
    co_await check_runtime(impl);
    if (!impl->registered) co_return;  // somebody else's node object
    bool written = co_await write_status(impl);
    if (!written) {
      co_await sleep_for(retry);
      retry = std::min(retry * 2, kLastRetry);
      continue;
    }
    retry = kFirstRetry;
    if (!impl->node->spec.pod_cidr.empty() && impl->pod_cidr != impl->node->spec.pod_cidr) {
      impl->pod_cidr = impl->node->spec.pod_cidr.str();
      std::string cidr = impl->pod_cidr;
      Status updated = co_await context.runtime.update_pod_cidr(std::move(cidr));
      if (!updated.ok()) log_warning("Could not tell the runtime the pod CIDR", {{"err", updated.message()}});
    }
    // Looking costs two local calls; the API hears of it only when something changed.
    bool unready = !impl->network_error.empty() || !impl->runtime_error.empty();
    Duration pause = unready ? kUnreadyLook : context.config.node_status_update_frequency;
    if (impl->stopped) co_return;
    if (!impl->dirty) co_await impl->changed.wait_for(pause);
  }
}

Task<bool> NodeManager::renew_lease(std::shared_ptr<Impl> impl) {
  Context& context = impl->context;
  schema::MicroTime now = schema::to_micro_time(context.clock.now());
  std::string ns(kLeaseNamespace), name = context.config.node_name;
  if (!impl->lease) {
    auto found = co_await context.client.get<coordination::Lease>(ns, name);
    if (found.ok()) {
      impl->lease = std::move(*found);
    } else if (found.status().is("NotFound")) {
      if (!impl->node) co_return false;
      coordination::Lease made;
      made.metadata.namespace_ = ns;
      made.metadata.name = name;
      api::meta_v1::OwnerReference owner;
      owner.api_version = "v1";
      owner.kind = "Node";
      owner.name = name;
      owner.uid = impl->node->metadata.uid;
      made.metadata.owner_references.push_back(std::move(owner));
      made.spec.holder_identity = name;
      made.spec.lease_duration_seconds = context.config.node_lease_duration_seconds;
      made.spec.renew_time = now;
      auto created = co_await context.client.create<coordination::Lease>(std::move(made));
      if (!created.ok()) co_return false;
      impl->lease = std::move(*created);
      co_return true;
    } else {
      co_return false;
    }
  }
  coordination::Lease wanted = *impl->lease;
  wanted.spec.holder_identity = name;
  wanted.spec.lease_duration_seconds = context.config.node_lease_duration_seconds;
  wanted.spec.renew_time = now;
  std::string no_subresource;
  auto updated = co_await context.client.update<coordination::Lease>(std::move(wanted), std::move(no_subresource));
  if (updated.ok()) {
    impl->lease = std::move(*updated);
    co_return true;
  }
  if (updated.status().is("Conflict") || updated.status().is("NotFound")) impl->lease.reset();
  co_return false;
}

Task<void> NodeManager::lease_loop(std::shared_ptr<Impl> impl) {
  Duration interval = std::chrono::milliseconds(impl->context.config.node_lease_duration_seconds * 250);
  Duration retry = kFirstRetry;
  while (!impl->stopped) {
    bool renewed = co_await renew_lease(impl);
    if (impl->stopped) co_return;
    Duration pause = renewed ? interval : retry;
    retry = renewed ? kFirstRetry : std::min(retry * 2, kLastRetry);
    co_await sleep_for(pause);
  }
}

}  // namespace knarr::kubelet
