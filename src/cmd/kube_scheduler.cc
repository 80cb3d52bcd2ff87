// SPDX-License-Identifier: Apache-2.0
#include "client/informer.h"
#include "client/kubeconfig.h"
#include "client/leader_election.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "scheduler/scheduler.h"

namespace knarr::cmd {
namespace {

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<client::LeaderElector> elector;
  std::unique_ptr<scheduler::Scheduler> scheduler;
};

Task<Status> boot(const EventLoops* loops, std::string kubeconfig, bool leader_elect, std::shared_ptr<State> state) {
  auto access = client::load_kubeconfig(kubeconfig);
  if (!access.ok()) co_return access.status();
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kube-scheduler");
  state->informers = std::make_unique<client::InformerFactory>(*state->client, executor);
  state->scheduler = std::make_unique<scheduler::Scheduler>(*state->client, *state->informers, Clock::real(), executor);
  if (leader_elect) {
    client::LeaderElectionOptions election;
    election.name = "kube-scheduler";
    state->elector = std::make_unique<client::LeaderElector>(*state->client, executor, std::move(election));
    bool leads = co_await state->elector->acquire();
    if (!leads) co_return Status();
  }
  state->scheduler->start();
  state->informers->start();
  if (!leader_elect) co_return Status();
  co_await state->elector->hold();
  co_return Status::error("leader election lost");
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->elector) state->elector->stop();
  if (state->scheduler) state->scheduler->stop();
  if (state->informers) state->informers->stop();
  co_return;
}

}  // namespace

int kube_scheduler_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes scheduler", "kube-scheduler");
  std::string kubeconfig;
  bool leader_elect = true;
  app.add_option("--kubeconfig", kubeconfig, "how to reach the API server")->required()->check(CLI::ExistingFile);
  app.add_bool("--leader-elect", leader_elect, "run only while leading among several");
  app.accept({"authentication-kubeconfig", "authorization-kubeconfig", "bind-address", "secure-port", "kube-api-qps", "kube-api-burst", "profiling",
              "feature-gates"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(kubeconfig), leader_elect, state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
