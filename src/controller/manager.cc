// SPDX-License-Identifier: Apache-2.0
#include "controller/manager.h"

#include "base/log.h"

namespace knarr::controller {

struct ControllerManager::Impl {
  Impl(client::Client& c, Executor e, const Clock& k, ManagerOptions o)
      : client(c), executor(e), clock(k), options(std::move(o)), own_informers(c, e), stop_signal(e) {
    client::InformerFactory& informers = options.informers != nullptr ? *options.informers : own_informers;
    context = std::make_shared<ControllerContext>(client, informers, clock, executor, options.controllers);
    if (!options.leader_elect) return;
    client::LeaderElectionOptions election = options.leader_election;
    election.events = context->recorder("kube-controller-manager").get();
    elector = std::make_unique<client::LeaderElector>(client, executor, std::move(election));
  }
  client::Client& client;
  Executor executor;
  const Clock& clock;
  ManagerOptions options;
  client::InformerFactory own_informers;
  Notifier stop_signal;
  ContextPtr context;
  std::unique_ptr<client::LeaderElector> elector;
  bool stopped = false;

  void end_controllers() {
    context->stop();
    own_informers.stop();
  }

  static Task<Status> run(std::shared_ptr<Impl> self) {
    if (self->elector != nullptr) {
      bool leads = co_await self->elector->acquire();
      if (!leads) co_return Status();
    }
    Status started = start_controllers(self->context, self->options.selection, self->options.client_for);
    if (!started.ok()) co_return started;
    if (self->elector != nullptr) {
      co_await self->elector->hold();
    } else {
      while (!self->stopped) co_await self->stop_signal.wait();
    }
    self->end_controllers();
    co_return self->stopped ? Status() : Status::error("leader election lost");
  }
};

ControllerManager::ControllerManager(client::Client& client, Executor executor, const Clock& clock, ManagerOptions options)
    : impl_(std::make_shared<Impl>(client, std::move(executor), clock, std::move(options))) {}
ControllerManager::~ControllerManager() { stop(); }

Task<Status> ControllerManager::run() { return Impl::run(impl_); }

void ControllerManager::stop() {
  if (impl_->stopped) return;
  impl_->stopped = true;
  if (impl_->elector != nullptr) impl_->elector->stop();
  impl_->end_controllers();
  impl_->stop_signal.notify();
}

bool ControllerManager::is_leader() const { return impl_->elector == nullptr || impl_->elector->is_leader(); }

std::string ControllerManager::metrics() const {
  std::string out;
  std::vector<std::shared_ptr<client::WorkQueue>> queues = impl_->context->queues();
  client::write_work_queue_metrics(out, queues);
  if (impl_->elector != nullptr) {
    metrics::write_head(out, "leader_election_master_status", "gauge", "1 while this process leads.");
    metrics::write_sample(out, "leader_election_master_status", metrics::label("name", impl_->options.leader_election.name), is_leader() ? 1 : 0);
  }
  return out;
}

Task<Status> run_controller_manager(std::shared_ptr<ControllerManager> manager) {
  Status status = co_await manager->run();
  co_return status;
}

}  // namespace knarr::controller
