// SPDX-License-Identifier: Apache-2.0
// The API server alone, for trying it out: apiserver_dev --store DIR --port N --cert F --key F [--client-ca F] [--sa-key F] [--tokens F] [--threads N].
// Without --cert it speaks plain HTTP, and every caller is system:admin of system:masters.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "apiserver/server.h"
#include "net/server.h"
#include "store/embedded_store.h"

namespace {

using namespace knarr;

struct Flags {
  std::string store = "/tmp/apiserver-dev", cert, key;
  std::string port = "6443";
  int threads = 1;
  bool no_sync = false;
  apiserver::Options options;
};

Flags parse(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "--store") flags.store = value;
    if (name == "--port") flags.port = value;
    if (name == "--cert") flags.cert = value;
    if (name == "--key") flags.key = value;
    if (name == "--threads") flags.threads = std::atoi(value.c_str());
    if (name == "--no-sync") flags.no_sync = value == "true";
    if (name == "--client-ca") flags.options.client_ca_file = value;
    if (name == "--sa-key") flags.options.service_account_key_file = flags.options.service_account_signing_key_file = value;
    if (name == "--tokens") flags.options.token_auth_file = value;
    if (name == "--authorization-mode") flags.options.authorization_mode = value;
  }
  return flags;
}

// The request goes on in a coroutine of the server; a plain-text caller is trusted.
net::Handler make_handler(apiserver::ApiServer* server, bool trusted) {
  if (!trusted) return [server](net::Request& request, net::ResponseWriter& writer) { return server->serve(request, writer, std::nullopt); };
  return [server](net::Request& request, net::ResponseWriter& writer) {
    std::optional<apiserver::User> admin(apiserver::User{"system:admin", "", {"system:masters", "system:authenticated"}, {}});
    return server->serve(request, writer, std::move(admin));
  };
}

Task<void> boot(apiserver::ApiServer* server, net::Server* listener, const Flags* flags) {
  Status status = co_await server->start();
  if (!status.ok()) {
    std::fprintf(stderr, "start: %s\n", std::string(status.message()).c_str());
    std::exit(1);
  }
  auto port = listener->listen("0.0.0.0:" + flags->port);
  if (!port.ok()) {
    std::fprintf(stderr, "listen: %s\n", std::string(port.status().message()).c_str());
    std::exit(1);
  }
  std::printf("listening on %d\n", *port);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags = parse(argc, argv);
  store::EmbeddedOptions store_options;
  store_options.dir = flags.store;
  store_options.no_sync = flags.no_sync;
  auto opened = store::open_embedded_store(store_options);
  if (!opened.ok()) {
    std::fprintf(stderr, "store: %s\n", std::string(opened.status().message()).c_str());
    return 1;
  }
  std::shared_ptr<store::Store> store = std::move(*opened);
  std::vector<std::unique_ptr<boost::asio::io_context>> loops;
  std::vector<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guards;
  std::vector<Executor> executors;
  for (int i = 0; i < std::max(1, flags.threads); ++i) {
    loops.push_back(std::make_unique<boost::asio::io_context>(1));
    guards.emplace_back(loops.back()->get_executor());
    executors.emplace_back(loops.back()->get_executor());
  }
  auto server = apiserver::make_api_server(executors[0], store, Clock::real(), flags.options);
  net::ServerOptions server_options;
  if (!flags.cert.empty()) {
    auto tls = net::make_tls_server_context({flags.cert, flags.key, flags.options.client_ca_file});
    if (!tls.ok()) {
      std::fprintf(stderr, "tls: %s\n", std::string(tls.status().message()).c_str());
      return 1;
    }
    server_options.tls = std::move(*tls);
  }
  auto listener = net::make_server(executors, server_options, make_handler(server.get(), flags.cert.empty()));
  boost::asio::signal_set signals(*loops[0], SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) { std::_Exit(0); });
  spawn(executors[0], boot(server.get(), listener.get(), &flags));
  std::vector<std::thread> threads;
  for (size_t i = 1; i < loops.size(); ++i) threads.emplace_back([&loop = *loops[i]] { loop.run(); });
  loops[0]->run();
  return 0;
}
