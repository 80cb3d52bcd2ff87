// SPDX-License-Identifier: Apache-2.0
// `knarr trace POD`: asks each part of a cluster what it recorded of a pod, and prints the whole.
#include "client/kubeconfig.h"
#include "cmd/commands.h"
#include "cmd/event_loops.h"
#include "cmd/flags.h"
#include "base/files.h"
#include "net/http.h"
#include "trace/answer.h"
#include "trace/coarse.h"
#include "trace/render.h"

namespace knarr::cmd {
namespace {

using api::core_v1::Event;
using api::core_v1::Pod;

constexpr std::string_view kApiServer = "kube-apiserver", kScheduler = "kube-scheduler";
// Of a static pod that is mirrored in the API: the UID by which its kubelet knows it.
constexpr std::string_view kConfigHash = "kubernetes.io/config.hash";

struct TraceOptions {
  std::string pod, namespace_, kubeconfig, context, output = "text";
  std::string scheduler = "127.0.0.1:10259";   // kubeadm's scheduler listens there and nowhere else
};

// As kubectl finds it; of several files in KUBECONFIG the first that is there.
std::string default_kubeconfig() {
  const char* named = std::getenv("KUBECONFIG");
  std::string_view list = named == nullptr ? "" : named;
  while (!list.empty()) {
    std::string file(list.substr(0, list.find(':')));
    if (!file.empty() && file_exists(file)) return file;
    list.remove_prefix(std::min(list.size(), file.size() + 1));
  }
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.kube/config";
}

std::string query_of(const Pod& pod) {
  std::string query = "?uid=" + net::percent_encode(pod.metadata.uid);
  std::string_view hash = schema::get_or_empty(pod.metadata.annotations, kConfigHash);
  return hash.empty() ? query : query + "&uid=" + net::percent_encode(hash);
}

std::string problem_of(const Status& status) {
  std::string message(status.message());
  while (message.ends_with('\n')) message.pop_back();
  if (status.code() == 404) return "records no steps of pods (" + message + ")";
  if (status.code() == 401 || status.code() == 403) return "does not tell: " + message;
  return "not reachable: " + message;
}

// One question. What answers may be several parts of one process.
Task<void> ask(client::Transport* transport, std::string name, std::string target, const Pod* pod, std::vector<trace::Source>* sources) {
  client::ApiRequest request;
  request.target = std::move(target);
  request.accept = "application/json, */*";
  request.user_agent = "knarr-trace";
  const Clock& clock = Clock::real();
  WallTime asked = clock.now();
  auto response = co_await transport->send(std::move(request));
  WallTime heard = clock.now();
  Status failed = response.ok() ? Status() : response.status();
  if (response.ok() && response->status != 200) failed = client::status_of_response(response->status, response->headers.get("Content-Type"), response->body);
  if (!failed.ok()) {
    sources->push_back({name, "", problem_of(failed)});
    co_return;
  }
  auto answer = trace::parse_answer(response->body);
  if (!answer.ok()) {
    sources->push_back({name, "", std::string(answer.status().message())});
    co_return;
  }
  trace::Exchange exchange{asked, heard};
  WallTime created = schema::to_wall(pod->metadata.creation_timestamp);
  trace::add_sources(*sources, name, std::move(*answer), exchange, created);
}

bool answered_for(const std::vector<trace::Source>& sources, std::string_view name) {
  for (const trace::Source& source : sources)
    if (source.name == name) return true;
  return false;
}

// The scheduler's certificate is its own, so whoever answers at that address is not known to be it: no password or token is shown to it, only the
// possession of a client certificate, which proves nothing to others.
Task<void> ask_scheduler(Executor executor, client::ClusterAccess access, std::string address, std::string target, const Pod* pod,
                         std::vector<trace::Source>* sources) {
  std::string name(kScheduler);
  client::ClusterAccess direct;
  direct.server = "https://" + address;
  direct.insecure_skip_tls_verify = true;
  direct.client_cert_pem = access.client_cert_pem;
  direct.client_key_pem = access.client_key_pem;
  direct.client_cert_file = access.client_cert_file;
  direct.client_key_file = access.client_key_file;
  if (direct.client_cert_pem.empty() && direct.client_cert_file.empty()) {
    sources->push_back({name, "", "not asked: that takes a client certificate, and the kubeconfig has none"});
    co_return;
  }
  auto transport = client::make_https_transport(executor, direct);
  if (!transport.ok()) {
    sources->push_back({name, "", std::string(transport.status().message())});
    co_return;
  }
  std::shared_ptr<client::Transport> kept = *transport;
  co_await ask(kept.get(), std::move(name), std::move(target), pod, sources);
  trace::Source& last = sources->back();
  if (!last.problem.empty()) last.problem += " (asked at " + address + "; --scheduler names another address)";
}

Task<std::vector<Event>> events_of(client::Client* client, const Pod* pod) {
  client::ListOptions options;
  options.field_selector = "involvedObject.uid=" + pod->metadata.uid.str();
  std::string ns = pod->metadata.namespace_.str();
  auto listed = co_await client->list<Event>(std::move(ns), std::move(options));
  co_return listed.ok() ? std::move(listed->items) : std::vector<Event>();
}

Task<Status> run(Executor executor, TraceOptions options) {
  auto access = client::load_kubeconfig(options.kubeconfig, options.context);
  if (!access.ok()) co_return access.status();
  auto transport = client::make_https_transport(executor, *access);
  if (!transport.ok()) co_return transport.status();
  client::Client client(*transport, "knarr-trace");
  std::string ns = options.namespace_.empty() ? access->namespace_ : options.namespace_;
  if (ns.empty()) ns = "default";
  std::string name = options.pod;
  auto pod = co_await client.get<Pod>(std::move(ns), std::move(name));
  if (!pod.ok()) co_return pod.status();

  std::vector<trace::Source> sources;
  std::string page = std::string(trace::kPath) + query_of(*pod), target = page, who(kApiServer);
  co_await ask(transport->get(), std::move(who), std::move(target), &*pod, &sources);
  if (!answered_for(sources, kScheduler)) {
    std::string address = options.scheduler;
    target = page;
    client::ClusterAccess cluster = *access;
    co_await ask_scheduler(executor, std::move(cluster), std::move(address), std::move(target), &*pod, &sources);
  }
  std::string node = pod->spec.node_name.str(), kubelet = "kubelet " + node;
  if (!node.empty() && !answered_for(sources, kubelet)) {
    target = "/api/v1/nodes/" + net::percent_encode(node) + "/proxy" + page;
    co_await ask(transport->get(), std::move(kubelet), std::move(target), &*pod, &sources);
  }
  std::vector<Event> events = co_await events_of(&client, &*pod);
  trace::Timeline timeline = trace::merge(sources, trace::coarse_entries(*pod, events));
  trace::Subject subject{pod->metadata.namespace_.str(), pod->metadata.name.str(), pod->metadata.uid.str(), node, pod->status.phase.str()};
  std::string out = options.output == "json" ? trace::to_json_text(subject, timeline, sources) : trace::to_text(subject, timeline);
  std::fputs(out.c_str(), stdout);
  co_return Status();
}

}  // namespace

int trace_main(int argc, char** argv) {
  CLI::App app("The way of one pod, step by step, with times: from the API server's acceptance to readiness", "knarr trace");
  TraceOptions options;
  app.add_option("POD", options.pod, "name of the pod")->required();
  app.add_option("-n,--namespace", options.namespace_, "its namespace (the kubeconfig's, or default)");
  app.add_option("--kubeconfig", options.kubeconfig, "how to reach the cluster ($KUBECONFIG, ~/.kube/config)");
  app.add_option("--context", options.context, "one of the kubeconfig's contexts");
  app.add_option("--scheduler", options.scheduler, "address of the scheduler's HTTPS server, unless it shares the API server's process")->capture_default_str();
  app.add_option("-o,--output", options.output, "text or json")->check(CLI::IsMember({"text", "json"}));
  CLI11_PARSE(app, argc, argv);
  for (std::string_view prefix : {"pods/", "pod/", "po/"})
    if (options.pod.starts_with(prefix)) options.pod.erase(0, prefix.size());
  if (options.kubeconfig.empty()) options.kubeconfig = default_kubeconfig();
  EventLoops loops(0);
  return loops.run_once(run(loops.main(), std::move(options)));
}

}  // namespace knarr::cmd
