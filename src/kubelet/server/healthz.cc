// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/healthz.h"

namespace knarr::kubelet {
namespace {

Task<void> respond(net::Request* request, net::ResponseWriter* writer) {
  bool known = request->path == "/healthz" || request->path == "/healthz/ping";
  bool verbose = request->path == "/healthz" && request->query.starts_with("verbose");
  std::string text = known ? "ok" : "404 page not found\n";
  if (verbose) text = "[+]ping ok\nhealthz check passed\n";
  net::Headers headers;
  headers.add("Content-Type", "text/plain; charset=utf-8");
  headers.add("X-Content-Type-Options", "nosniff");
  Body body{std::string_view(text)};
  (void)co_await writer->respond(known ? 200 : 404, std::move(headers), std::move(body));
}

}  // namespace

std::unique_ptr<net::Server> make_healthz_server(Executor executor) {
  net::Handler handler = [](net::Request& request, net::ResponseWriter& writer) { return respond(&request, &writer); };
  std::vector<Executor> executors = {std::move(executor)};
  return net::make_server(std::move(executors), net::ServerOptions(), std::move(handler));
}

}  // namespace knarr::kubelet
