// SPDX-License-Identifier: Apache-2.0
#include "base/metrics_text.h"
#include "client/informer.h"
#include "client/kubeconfig.h"
#include "client/leader_election.h"
#include "cmd/commands.h"
#include "cmd/component_server.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "cmd/scheduler_configuration.h"
#include "scheduler/scheduler.h"

namespace knarr::cmd {
namespace {

constexpr int kPort = 10259;

struct State {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<client::InformerFactory> informers;
  std::unique_ptr<client::EventRecorder> events;
  std::unique_ptr<client::LeaderElector> elector;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  std::unique_ptr<ComponentServer> server;
};

ComponentPages pages_of(State* state, std::string lease) {
  ComponentPages pages;
  pages.checks = [] { return std::vector<ComponentPages::Check>{{"ping", Status()}, {"leaderElection", Status()}}; };
  pages.trace = &state->scheduler->trace();
  pages.metrics = [state, lease = std::move(lease)] {
    std::string out = state->scheduler->metrics();
    if (state->elector == nullptr) return out;
    metrics::write_head(out, "leader_election_master_status", "gauge", "1 while this process leads.");
    metrics::write_sample(out, "leader_election_master_status", metrics::label("name", lease), state->elector->is_leader() ? 1 : 0);
    return out;
  };
  return pages;
}

Task<Status> boot(const EventLoops* loops, SchedulerSettings settings, ServingOptions serving, std::shared_ptr<State> state) {
  auto access = client::load_kubeconfig(settings.kubeconfig);
  if (!access.ok()) co_return access.status();
  Executor executor = loops->main();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  state->client = std::make_unique<client::Client>(std::move(*transport), "kube-scheduler");
  state->informers = std::make_unique<client::InformerFactory>(*state->client, executor);
  state->scheduler = std::make_unique<scheduler::Scheduler>(*state->client, *state->informers, Clock::real(), executor, settings.scheduler);
  if (settings.leader_elect) {
    state->events = std::make_unique<client::EventRecorder>(*state->client, executor, "default-scheduler");
    settings.election.events = state->events.get();
    state->elector = std::make_unique<client::LeaderElector>(*state->client, executor, settings.election);
  }
  ComponentPages pages = pages_of(state.get(), settings.election.name);
  auto server = co_await serve_component(executor, std::move(serving), std::move(pages));
  if (!server.ok()) co_return server.status();
  state->server = std::move(*server);
  if (settings.leader_elect) {
    bool leads = co_await state->elector->acquire();
    if (!leads) co_return Status();
  }
  state->scheduler->start();
  state->informers->start();
  if (!settings.leader_elect) co_return Status();
  co_await state->elector->hold();
  co_return Status::error("leader election lost");
}

Task<void> stop(std::shared_ptr<State> state) {
  if (state->elector) state->elector->stop();
  if (state->scheduler) state->scheduler->stop();
  if (state->informers) state->informers->stop();
  if (state->server) co_await state->server->stop();
  if (state->elector) co_await state->elector->ended();
}

}  // namespace

int kube_scheduler_main(int argc, char** argv) {
  ComponentApp app("The Kubernetes scheduler", "kube-scheduler");
  SchedulerSettings settings;
  ServingOptions serving;
  serving.port = kPort;
  serving.pair_name = "kube-scheduler";
  std::string config_file;
  app.add_option("--kubeconfig", settings.kubeconfig, "how to reach the API server")->check(CLI::ExistingFile);
  app.add_option("--config", config_file, "KubeSchedulerConfiguration")->check(CLI::ExistingFile);
  add_leader_election_flags(app, settings.leader_elect, settings.election);
  add_serving_flags(app, serving);
  app.accept({"kube-api-qps", "kube-api-burst", "kube-api-content-type", "profiling", "contention-profiling", "feature-gates", "logging-format", "master",
              "pod-max-in-unschedulable-pods-duration", "write-config-to"});
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  Status status;
  if (!config_file.empty()) {
    // Upstream lets the file replace the deprecated --kubeconfig.
    status = apply_scheduler_configuration(config_file, settings);
  }
  if (status.ok() && settings.kubeconfig.empty()) status = Status::error("neither --kubeconfig nor clientConnection.kubeconfig of --config was given");
  if (!status.ok()) {
    std::fprintf(stderr, "error: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
    return 1;
  }
  EventLoops loops(0);
  auto state = std::make_shared<State>();
  return loops.run(boot(&loops, std::move(settings), std::move(serving), state), [state] { return stop(state); });
}

}  // namespace knarr::cmd
