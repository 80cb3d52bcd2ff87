// SPDX-License-Identifier: Apache-2.0
// A controller manager on its own, for the interchange tests: controller_dev --kubeconfig=FILE [--controllers=a,b] [--cluster-cidr=...]
// [--service-cluster-ip-range=...] [--root-ca-file=...] [--service-account-private-key-file=...] [--leader-elect]
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "client/kubeconfig.h"
#include "controller/manager.h"

namespace {

using namespace knarr;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

struct Arguments {
  std::string kubeconfig;
  controller::ManagerOptions manager;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  arguments.manager.leader_elect = false;
  controller::Options& options = arguments.manager.controllers;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    size_t equals = word.find('=');
    std::string name = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "--kubeconfig") arguments.kubeconfig = value;
    else if (name == "--controllers") arguments.manager.selection = split(value);
    else if (name == "--cluster-cidr") options.cluster_cidr = value;
    else if (name == "--service-cluster-ip-range") options.service_cidr = value;
    else if (name == "--root-ca-file") options.root_ca_pem = read_file(value);
    else if (name == "--service-account-private-key-file") options.service_account_key_pem = read_file(value);
    else if (name == "--leader-elect") arguments.manager.leader_elect = true;
    else if (name == "--fast-namespaces") options.namespace_deletion_grace = Duration::zero();
    else if (name == "--node-monitor-grace-period") options.node_monitor_grace_period = std::chrono::seconds(std::stoi(value));
    else if (name == "--v") set_log_level(LogLevel::kDebug);
    else return false;
  }
  return !arguments.kubeconfig.empty();
}

Task<void> run(std::shared_ptr<controller::ControllerManager> manager, boost::asio::io_context* context) {
  Status status = co_await controller::run_controller_manager(manager);
  if (!status.ok()) log_error("Controller manager ended", {{"err", status.message()}});
  context->stop();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: controller_dev --kubeconfig=FILE [--controllers=...] ...\n");
    return 2;
  }
  boost::asio::io_context context(1);
  auto access = client::load_kubeconfig(arguments.kubeconfig);
  if (!access.ok()) {
    std::fprintf(stderr, "%s\n", std::string(access.status().message()).c_str());
    return 1;
  }
  auto transport = client::make_https_transport(context.get_executor(), *access);
  if (!transport.ok()) {
    std::fprintf(stderr, "%s\n", std::string(transport.status().message()).c_str());
    return 1;
  }
  client::Client client(*transport, "kube-controller-manager");
  auto manager = std::make_shared<controller::ControllerManager>(client, context.get_executor(), Clock::real(), arguments.manager);
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](boost::system::error_code error, int) {
    if (!error) manager->stop();
  });
  spawn(context.get_executor(), run(manager, &context));
  context.run();
  return 0;
}
