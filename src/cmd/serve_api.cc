// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_api.h"

#include "base/files.h"
#include "store/embedded_store.h"

namespace knarr::cmd {
namespace {

Task<void> forward(apiserver::ApiServer* api, net::Request* request, net::ResponseWriter* writer) {
  return api->serve(*request, *writer);
}

Task<Result<std::shared_ptr<store::Store>>> open_embedded(std::string dir, const Clock* clock) {
  CO_TRY(make_dirs(dir, 0700));
  store::EmbeddedOptions options;
  options.dir = dir + "/store";
  options.clock = clock;
  auto opened = store::open_embedded_store(std::move(options));
  if (!opened.ok()) co_return opened.status();
  std::shared_ptr<store::Store> store = std::move(*opened);
  co_return store;
}

uint16_t port_of(const std::string& address) {
  size_t colon = address.rfind(':');
  return colon == std::string::npos ? 0 : static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1));
}

}  // namespace

Task<Result<std::shared_ptr<ApiServing>>> serve_api(const EventLoops* loops, const Clock* clock, ApiServingOptions options) {
  auto serving = std::make_shared<ApiServing>();
  etcd::EtcdOptions etcd = options.etcd;
  etcd.clock = clock;
  std::string dir = options.store_dir;
  auto store = etcd.members.servers.empty() ? open_embedded(std::move(dir), clock) : etcd::open_etcd_store(std::move(etcd));
  auto opened = co_await std::move(store);
  if (!opened.ok()) co_return opened.status();
  serving->store = std::move(*opened);
  options.api.secure_port = port_of(options.listen);
  serving->api = apiserver::make_api_server(loops->main(), serving->store, *clock, options.api);
  serving->api->local_components = std::move(options.components);

  auto tls = net::make_tls_server_context(options.tls);
  if (!tls.ok()) co_return tls.status();
  net::ServerOptions server_options;
  server_options.tls = std::move(*tls);
  apiserver::ApiServer* api = serving->api.get();
  net::Handler handler = [api](net::Request& request, net::ResponseWriter& writer) { return forward(api, &request, &writer); };
  serving->listener = net::make_server(loops->connections(), std::move(server_options), std::move(handler));
  auto port = serving->listener->listen(options.listen);
  if (!port.ok()) co_return port.status().with_context("listening on " + options.listen);
  serving->port = *port;
  Status started = co_await serving->api->start();
  CO_TRY(started);
  co_return serving;
}

Task<void> ApiServing::stop() {
  if (api != nullptr) co_await api->stop();
  if (listener != nullptr) co_await listener->shutdown(std::chrono::seconds(2));
}

}  // namespace knarr::cmd
