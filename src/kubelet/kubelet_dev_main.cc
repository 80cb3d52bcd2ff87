// SPDX-License-Identifier: Apache-2.0
// A bare kubelet for development: kubelet_dev --kubeconfig FILE --node NAME [--key value]...
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstring>
#include <map>

#include "base/log.h"
#include "client/kubeconfig.h"
#include "kubelet/kubelet.h"

namespace {

using namespace knarr;

struct Dev {
  std::unique_ptr<client::Client> client;
  std::unique_ptr<kubelet::Kubelet> kubelet;
  int code = 0;
};

Task<void> boot(Dev* dev, boost::asio::io_context* io) {
  Status status = co_await dev->kubelet->start();
  if (!status.ok()) {
    std::fprintf(stderr, "kubelet_dev: %s\n", std::string(status.message()).c_str());
    dev->code = 1;
    io->stop();
  }
}

kubelet::Config make_config(std::map<std::string, std::string>& flags) {
  kubelet::Config config;
  config.node_name = flags["node"];
  auto take = [&](const char* name, std::string& to) {
    if (flags.count(name) > 0) to = flags[name];
  };
  take("root-dir", config.root_dir);
  take("pod-logs-dir", config.pod_logs_dir);
  take("container-logs-dir", config.container_logs_dir);
  take("node-ip", config.node_ip);
  take("endpoint", config.container_runtime_endpoint);
  take("cgroup-root", config.cgroup_root);
  take("resolv-conf", config.resolv_conf);
  take("manifests", config.pod_manifest_path);
  take("tls-cert", config.tls_cert_file);
  take("tls-key", config.tls_key_file);
  take("client-ca", config.client_ca_file);
  if (flags.count("cluster-dns") > 0) config.cluster_dns.push_back(flags["cluster-dns"]);
  if (flags.count("port") > 0) config.port = static_cast<uint16_t>(std::atoi(flags["port"].c_str()));
  config.always_allow = flags.count("always-allow") > 0;
  config.serve = flags.count("no-serve") == 0;
  return config;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strncmp(argv[i], "--", 2) != 0) {
      std::fprintf(stderr, "kubelet_dev: flags come as --name value\n");
      return 2;
    }
    flags[argv[i] + 2] = argv[i + 1];
  }
  if (flags.count("debug") > 0) set_log_level(LogLevel::kDebug);
  boost::asio::io_context io(1);
  auto access = client::load_kubeconfig(flags["kubeconfig"]);
  if (!access.ok()) {
    std::fprintf(stderr, "kubelet_dev: %s\n", std::string(access.status().message()).c_str());
    return 1;
  }
  auto transport = client::make_https_transport(io.get_executor(), *access);
  if (!transport.ok()) {
    std::fprintf(stderr, "kubelet_dev: %s\n", std::string(transport.status().message()).c_str());
    return 1;
  }
  Dev dev;
  dev.client = std::make_unique<client::Client>(*transport, "kubelet");
  dev.kubelet = std::make_unique<kubelet::Kubelet>(make_config(flags), *dev.client, io.get_executor());
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) { io.stop(); });
  spawn(io.get_executor(), boot(&dev, &io));
  io.run();
  std::fflush(nullptr);
  std::_Exit(dev.code);  // containers go on running; nothing is left to be undone
}
