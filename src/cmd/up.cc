// SPDX-License-Identifier: Apache-2.0
// `knarr up`: every component of a one-node cluster in this process, over the in-process transport.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "base/files.h"
#include "client/informer.h"
#include "cmd/cluster_dns.h"
#include "cmd/cluster_files.h"
#include "cmd/commands.h"
#include "cmd/container_runtime.h"
#include "cmd/flags.h"
#include "cmd/serve_api.h"
#include "controller/manager.h"
#include "kubelet/kubelet.h"
#include "proxy/proxy.h"
#include "scheduler/scheduler.h"
#include "trace/ring.h"

namespace knarr::cmd {
namespace {

using api::core_v1::Node;
using api::core_v1::ServiceAccount;

struct UpOptions {
  std::string data_dir = "/var/lib/knarr";
  std::string kubeconfig;                    // "" = DATA_DIR/kubeconfig
  std::string listen = "0.0.0.0:6443";
  std::string node_name;                     // "" = host name, in lower case
  std::string node_ip;                       // "" = the first global address
  std::string pod_cidr = "10.244.0.0/16";
  std::string service_cidr = "10.96.0.0/16";
  std::string runtime_endpoint;              // "" = a containerd of our own
  std::string cgroup_root;
  int kubelet_port = 10250;
  std::string proxy_mode = "iptables";       // "nftables"; "none" = something else serves services
  std::string proxy_healthz = "0.0.0.0:10256";
  bool log_to_stderr = false;                // else to DATA_DIR/knarr.log
};

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  std::string lower;
  for (const char* c = name; *c != '\0'; ++c) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  return lower;
}

// The first IPv4 address that is neither loopback nor one of a bridge that we made for pods.
std::string first_address() {
  ifaddrs* list = nullptr;
  std::string found = "127.0.0.1";
  if (::getifaddrs(&list) != 0) return found;
  for (ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) || !(at->ifa_flags & IFF_UP)) continue;
    if (std::string_view(at->ifa_name).starts_with("knarr")) continue;
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
    found = text;
    break;
  }
  ::freeifaddrs(list);
  return found;
}

// The nth address of an IPv4 CIDR.
Result<std::string> nth_address(const std::string& cidr, uint32_t n) {
  in_addr address{};
  if (inet_pton(AF_INET, cidr.substr(0, cidr.find('/')).c_str(), &address) != 1) return Status::error("\"" + cidr + "\" is not an IPv4 CIDR");
  address.s_addr = htonl(ntohl(address.s_addr) + n);
  char text[INET_ADDRSTRLEN];
  return std::string(inet_ntop(AF_INET, &address, text, sizeof text));
}

// The share that the node IPAM controller gives the first node: the first /24.
std::string first_node_cidr(const std::string& cluster_cidr) { return cluster_cidr.substr(0, cluster_cidr.find('/')) + "/24"; }

class Stages {
 public:
  explicit Stages(const Clock& clock) : clock_(clock), start_(clock.mono()) {}
  int64_t millis() const { return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.mono() - start_).count(); }
  void done(const std::string& what) const {
    std::printf("%6lld ms  %s\n", static_cast<long long>(millis()), what.c_str());
    std::fflush(stdout);
  }

 private:
  const Clock& clock_;
  MonoTime start_;
};

class Cluster {
 public:
  Cluster(EventLoops& loops, UpOptions options) : loops_(loops), clock_(Clock::real()), options_(std::move(options)), stages_(clock_) {}

  Task<Status> boot() {
    CO_TRY(prepare());
    // The container runtime takes longest and needs nothing from the rest: it starts beside it.
    Promise<Status> runtime(loops_.main());
    spawn(loops_.main(), start_runtime(this, runtime));
    Status api = co_await start_api();
    CO_TRY(api);
    start_components();
    stages_.done("scheduler and controllers");
    co_await start_proxy();
    Status runtime_status = co_await runtime.get();
    CO_TRY(runtime_status);
    stages_.done("container runtime " + runtime_endpoint());
    // A pod that comes before the sandbox image would wait for a registry, and then for another try.
    Promise<Status> images(loops_.main());
    spawn(loops_.main(), load_images(this, images));
    Status kubelet = co_await start_kubelet();
    CO_TRY(kubelet);
    stages_.done("kubelet");
    co_await wait_ready();
    Status loaded = co_await images.get();
    if (!loaded.ok()) log_error("Could not load the images that ship with knarr", {{"error", loaded.message()}});
    print_ready();
    co_return Status();
  }

  Task<void> stop() {
    std::printf("stopping; pods go on running\n");
    if (kubelet_) co_await kubelet_->stop();
    if (proxy_) co_await proxy_->stop();
    *scheduler_runs_ = false;
    if (scheduler_) scheduler_->stop();
    if (controllers_) controllers_->stop();
    if (dns_) co_await dns_->stop();
    if (informers_) informers_->stop();
    if (serving_) co_await serving_->stop();
    if (runtime_) co_await runtime_->stop();
  }

 private:
  Status prepare() {
    if (options_.kubeconfig.empty()) options_.kubeconfig = options_.data_dir + "/kubeconfig";
    if (options_.node_name.empty()) options_.node_name = host_name();
    if (options_.node_ip.empty()) options_.node_ip = first_address();
    if (options_.node_ip.starts_with("127."))
      return Status::error("this host has no address but loopback, which pods cannot reach; bring an interface up, or name one with --node-ip");
    TRY(make_dirs(options_.data_dir, 0711));
    if (!options_.log_to_stderr) TRY(set_log_file(options_.data_dir + "/knarr.log"));
    ClusterFilesOptions files;
    files.data_dir = options_.data_dir;
    files.node_name = options_.node_name;
    files.node_ip = options_.node_ip;
    TRY_ASSIGN(files.service_ip, nth_address(options_.service_cidr, 1));
    files.server_url = "https://127.0.0.1" + options_.listen.substr(options_.listen.rfind(':'));
    files.kubeconfig = options_.kubeconfig;
    TRY_ASSIGN(files_, prepare_cluster_files(files, clock_));
    stages_.done("certificates in " + options_.data_dir + "/pki");
    return {};
  }

  std::string runtime_endpoint() const {
    if (!options_.runtime_endpoint.empty()) return options_.runtime_endpoint;
    return "unix://" + options_.data_dir + "/containerd/containerd.sock";
  }

  static Task<void> start_runtime(Cluster* self, Promise<Status> done) {
    Status status;
    if (self->options_.runtime_endpoint.empty()) {
      RuntimeOptions runtime;
      runtime.data_dir = self->options_.data_dir;
      runtime.pod_cidr = first_node_cidr(self->options_.pod_cidr);
      runtime.images_dir = dir_name(dir_name(executable_path())) + "/share/knarr/images";
      self->runtime_ = std::make_unique<ContainerRuntime>(std::move(runtime));
      status = co_await self->runtime_->start();
    }
    done.set(std::move(status));
  }

  static Task<void> load_images(Cluster* self, Promise<Status> done) {
    Status status;
    if (self->runtime_) status = co_await self->runtime_->load_images();
    done.set(std::move(status));
  }

  Task<Status> start_api() {
    ApiServingOptions options;
    options.store_dir = options_.data_dir;
    options.listen = options_.listen;
    options.tls.cert_file = files_.apiserver_cert;
    options.tls.key_file = files_.apiserver_key;
    options.tls.client_ca_file = files_.ca_cert;
    options.tls.announced_ca_file = files_.front_proxy_ca_cert;
    apiserver::Options& api = options.api;
    api.trace = trace_;
    api.advertise_address = options_.node_ip;
    api.service_cidr = options_.service_cidr;
    api.authorization_mode = "Node,RBAC";
    api.client_ca_file = files_.ca_cert;
    api.requestheader_client_ca_file = files_.front_proxy_ca_cert;
    api.requestheader = {{"front-proxy-client"}, {"X-Remote-User"}, {"X-Remote-Group"}, {"X-Remote-Extra-"}};
    api.service_account_key_file = files_.service_account_public_key;
    api.service_account_signing_key_file = files_.service_account_key;
    api.kubelet_client_cert_file = files_.kubelet_client_cert;
    api.kubelet_client_key_file = files_.kubelet_client_key;
    api.kubelet_ca_file = files_.ca_cert;
    options.components["scheduler"] = health_of(scheduler_runs_);
    options.components["controller-manager"] = health_of(controllers_run_);
    auto serving = co_await serve_api(&loops_, &clock_, std::move(options));
    if (!serving.ok()) co_return serving.status();
    serving_ = std::move(*serving);
    stages_.done("API server on " + options_.listen);
    co_return Status();
  }

  // Asked from any thread, perhaps after the cluster has gone.
  using Flag = std::shared_ptr<std::atomic<bool>>;
  static std::function<std::string()> health_of(Flag running) {
    return [running = std::move(running)] { return running->load() ? std::string() : std::string("not running"); };
  }

  std::unique_ptr<client::Client> client_as(const std::string& user, std::vector<std::string> groups, std::string agent) {
    apiserver::User identity;
    identity.name = user;
    identity.groups = std::move(groups);
    identity.groups.emplace_back("system:authenticated");
    return std::make_unique<client::Client>(serving_->api->local_transport(std::move(identity)), std::move(agent));
  }

  // Each controller acts as a service account of its own, with upstream's rights of that one.
  client::Client& controller_as(const std::string& account) {
    auto& made = controller_clients_[account];
    if (made == nullptr) {
      made = client_as("system:serviceaccount:kube-system:" + account, {"system:serviceaccounts", "system:serviceaccounts:kube-system"},
                       "kube-controller-manager");
    }
    return *made;
  }

  void start_components() {
    Executor executor = loops_.main();
    watcher_ = client_as("system:knarr", {"system:masters"}, "knarr");
    informers_ = std::make_unique<client::InformerFactory>(*watcher_, executor);
    scheduler_client_ = client_as("system:kube-scheduler", {}, "kube-scheduler");
    scheduler::Options scheduling;
    scheduling.trace = trace_;
    scheduler_ = std::make_unique<scheduler::Scheduler>(*scheduler_client_, *informers_, clock_, executor, std::move(scheduling));
    scheduler_->start();
    *scheduler_runs_ = true;

    controller_client_ = client_as("system:kube-controller-manager", {}, "kube-controller-manager");
    controller::ManagerOptions manager;
    manager.leader_elect = false;
    manager.controllers.cluster_cidr = options_.pod_cidr;
    manager.controllers.service_cidr = options_.service_cidr;
    manager.controllers.namespace_deletion_grace = Duration::zero();
    if (auto ca = read_file(files_.ca_cert); ca.ok()) manager.controllers.root_ca_pem = std::move(*ca);
    if (auto key = read_file(files_.service_account_key); key.ok()) manager.controllers.service_account_key_pem = std::move(*key);
    manager.controllers.signing.cluster = {files_.ca_cert, files_.ca_key};
    manager.client_for = [this](std::string_view account) -> client::Client& { return controller_as(std::string(account)); };
    controllers_ = std::make_shared<controller::ControllerManager>(*controller_client_, executor, clock_, std::move(manager));
    spawn(executor, run_controllers(controllers_, controllers_run_));
    start_dns();
    informers_->start();
  }

  // Before the informers start, as the server's indexes come first.
  void start_dns() {
    ClusterDnsOptions dns;
    auto address = nth_address(options_.service_cidr, 10);
    if (address.ok()) dns.service_ip = *address;
    dns.node_ip = options_.node_ip;
    dns_ = std::make_unique<ClusterDns>(*watcher_, *informers_, clock_, loops_.main(), std::move(dns));
    spawn(loops_.main(), run_dns(dns_.get()));
  }

  static Task<void> run_dns(ClusterDns* dns) {
    Status status = co_await dns->start();
    if (!status.ok()) log_error("Could not start the DNS server", {{"error", status.message()}});
  }

  static Task<void> run_controllers(std::shared_ptr<controller::ControllerManager> manager, Flag running) {
    *running = true;
    Status status = co_await controller::run_controller_manager(manager);
    *running = false;
    if (!status.ok()) log_error("The controllers ended", {{"error", status.message()}});
  }

  Task<Status> start_kubelet() {
    kubelet_client_ = client_as("system:node:" + options_.node_name, {"system:nodes"}, "kubelet");
    kubelet::Config config;
    config.trace = trace_;
    config.root_dir = options_.data_dir + "/kubelet";
    config.node_name = options_.node_name;
    config.node_ip = options_.node_ip;
    config.container_runtime_endpoint = runtime_endpoint();
    config.cgroup_root = options_.cgroup_root;
    config.port = static_cast<uint16_t>(options_.kubelet_port);
    config.tls_cert_file = files_.kubelet_cert;
    config.tls_key_file = files_.kubelet_key;
    config.client_ca_file = files_.ca_cert;
    auto dns = nth_address(options_.service_cidr, 10);
    if (!dns.ok()) co_return dns.status();
    config.cluster_dns = {*dns};
    // A machine that is used for other things, too, is often fuller than a server may be.
    config.eviction_hard = {{"memory.available", "100Mi"}, {"nodefs.available", "1%"}, {"nodefs.inodesFree", "1%"}, {"imagefs.available", "1%"}};
    config.image_gc_high_percent = 99;
    kubelet_ = std::make_unique<kubelet::Kubelet>(std::move(config), *kubelet_client_, loops_.main());
    Status status = co_await kubelet_->start();
    co_return status;
  }

  // A cluster without service addresses is of use, too: what is missing is said, and everything else goes on.
  Task<void> start_proxy() {
    if (options_.proxy_mode == "none") co_return;
    proxy::ProxyConfig config;
    config.node_name = options_.node_name;
    config.mode = options_.proxy_mode;
    config.cluster_cidr = options_.pod_cidr;
    config.healthz_bind_address = options_.proxy_healthz;
    Status limits = proxy::set_up_conntrack(*system_, config, static_cast<int>(std::thread::hardware_concurrency()));
    if (!limits.ok()) log_warning("Left the limits of connection tracking as they are", {{"error", limits.message()}});
    proxy_client_ = client_as("system:kube-proxy", {}, "kube-proxy");
    proxy_ = std::make_unique<proxy::Proxy>(*proxy_client_, *informers_, true, clock_, *system_, std::move(config));
    Status status = co_await proxy_->start();
    if (status.ok()) {
      stages_.done("service proxy (" + options_.proxy_mode + ")");
      co_return;
    }
    log_error("No addresses of services", {{"error", status.message()}});
    std::printf("warning: services have no addresses on this machine: %.*s\n", static_cast<int>(status.message().size()), status.message().data());
  }

  static bool is_ready(const Node& node) {
    for (const auto& condition : node.status.conditions)
      if (condition.type == "Ready") return condition.status == "True";
    return false;
  }

  // Ready is what a first `kubectl run` needs: a Ready node without a taint, and the default service account.
  Task<void> wait_ready() {
    auto nodes = informers_->get<Node>();
    auto accounts = informers_->get<ServiceAccount>();
    auto changed = std::make_shared<Notifier>(loops_.main());
    nodes.add_handler([changed](const auto&, const auto&) { changed->notify(); });
    accounts.add_handler([changed](const auto&, const auto&) { changed->notify(); });
    for (;;) {
      auto node = nodes.get(options_.node_name);
      bool node_ready = node != nullptr && is_ready(*node) && node->spec.taints.empty();
      if (node_ready && accounts.get("default/default") != nullptr) co_return;
      co_await changed->wait();
    }
  }

  void print_ready() const {
    stages_.done("node " + options_.node_name + " Ready");
    std::printf("ready in %lld ms\n\n  export KUBECONFIG=%s\n  kubectl get nodes\n  kubectl run hello --image=knarr/demo:1.0 --port=8080\n\nlogs: %s\n",
                static_cast<long long>(stages_.millis()), options_.kubeconfig.c_str(),
                options_.log_to_stderr ? "here" : (options_.data_dir + "/knarr.log").c_str());
    std::fflush(stdout);
  }

  EventLoops& loops_;
  const Clock& clock_;
  UpOptions options_;
  Stages stages_;
  ClusterFiles files_;
  const std::shared_ptr<trace::Ring> trace_ = std::make_shared<trace::Ring>();   // one for all parts
  std::unique_ptr<ContainerRuntime> runtime_;
  std::shared_ptr<ApiServing> serving_;
  std::unique_ptr<client::Client> watcher_, scheduler_client_, controller_client_, kubelet_client_, proxy_client_;
  std::map<std::string, std::unique_ptr<client::Client>> controller_clients_;
  std::unique_ptr<client::InformerFactory> informers_;
  std::unique_ptr<ClusterDns> dns_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::shared_ptr<controller::ControllerManager> controllers_;
  std::unique_ptr<kubelet::Kubelet> kubelet_;
  std::unique_ptr<proxy::System> system_ = proxy::System::real();
  std::unique_ptr<proxy::Proxy> proxy_;
  const Flag scheduler_runs_ = std::make_shared<std::atomic<bool>>(false), controllers_run_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

int up_main(int argc, char** argv) {
  ComponentApp app("Boots a one-node Kubernetes cluster in this process", "knarr up");
  UpOptions options;
  app.add_option("--data-dir", options.data_dir, "where everything is kept")->capture_default_str();
  app.add_option("--kubeconfig", options.kubeconfig, "administrator's kubeconfig to write (DATA_DIR/kubeconfig)");
  app.add_option("--listen", options.listen, "address and port of the API")->capture_default_str();
  app.add_option("--node-name", options.node_name, "name of the node (the host's)");
  app.add_option("--node-ip", options.node_ip, "address of the node (the first that is not loopback)");
  app.add_option("--pod-cidr", options.pod_cidr, "addresses of pods")->capture_default_str();
  app.add_option("--service-cidr", options.service_cidr, "addresses of services")->capture_default_str();
  app.add_option("--container-runtime-endpoint", options.runtime_endpoint, "a running CRI runtime (unix:///path); knarr starts a containerd of its own otherwise");
  app.add_option("--cgroup-root", options.cgroup_root, "cgroup under which pods are put, when several kubelets share a machine");
  app.add_option("--kubelet-port", options.kubelet_port, "port of the kubelet's server")->capture_default_str();
  app.add_option("--proxy-mode", options.proxy_mode, "how addresses of services are served: iptables, nftables, or none")->capture_default_str();
  app.add_option("--proxy-healthz-bind-address", options.proxy_healthz, "where the proxy's /healthz is served; empty: nowhere")->capture_default_str();
  app.add_flag("--logtostderr", options.log_to_stderr, "log here instead of to DATA_DIR/knarr.log");
  CLI11_PARSE(app, argc, argv);
  app.apply_logging();
  if (::geteuid() != 0) {
    std::fprintf(stderr, "error: knarr up needs root, to run containers; try: sudo knarr up\n");
    return 1;
  }
  EventLoops loops(2);
  Cluster cluster(loops, std::move(options));
  return loops.run(cluster.boot(), [&cluster] { return cluster.stop(); });
}

}  // namespace knarr::cmd
