// SPDX-License-Identifier: Apache-2.0
// A server to aim h2load, curl and nghttp at: server_bench ADDRESS [CERT KEY [CLIENT_CA]].
//   /small 200 bytes   /big?SIZE&SLICE that many bytes in slices   /echo   /stream ticks for ever
//   /upgrade echoes raw bytes /spdy and /ws echo every stream and message
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "net/server.h"
#include "net/spdy.h"
#include "net/websocket.h"

namespace knarr::net {
namespace {

Task<void> echo_stream(std::unique_ptr<ByteStream> stream) {
  char buffer[4096];
  while (true) {
    Result<size_t> count = co_await stream->read(buffer, sizeof(buffer));
    if (!count.ok() || *count == 0) break;
    std::string_view bytes(buffer, *count);
    Status written = co_await stream->write(bytes);
    if (!written.ok()) break;
  }
}

Task<void> echo_spdy(std::unique_ptr<SpdyStream> stream) {
  Status status = co_await stream->reply();
  while (status.ok()) {
    Result<std::string> data = co_await stream->read();
    if (!data.ok() || data->empty()) break;
    std::string copy = std::move(*data);
    status = co_await stream->write(std::move(copy));
  }
  status = co_await stream->finish();
}

Task<void> serve_spdy(ResponseWriter& writer) {
  Executor executor = co_await this_executor();
  Headers headers;
  headers.add("Upgrade", "SPDY/3.1");
  Result<std::unique_ptr<ByteStream>> stream = co_await writer.upgrade(std::move(headers));
  if (!stream.ok()) co_return;
  std::unique_ptr<SpdyConnection> connection = make_spdy(executor, std::move(*stream), true);
  while (true) {
    Result<std::unique_ptr<SpdyStream>> next = co_await connection->accept();
    if (!next.ok()) break;
    spawn(executor, echo_spdy(std::move(*next)));
  }
}

Task<void> serve_websocket(Request& request, ResponseWriter& writer) {
  std::vector<std::string> protocols = {"", "v4.channel.k8s.io"};
  Result<std::unique_ptr<WebSocket>> socket =
      co_await accept_websocket(&request, &writer, protocols);
  while (socket.ok()) {
    Result<std::optional<WebSocketMessage>> message = co_await (*socket)->read();
    if (!message.ok() || !*message) break;
    std::string data = std::move((*message)->data);
    Status written = co_await (*socket)->write((*message)->binary, std::move(data));
    if (!written.ok()) break;
  }
}

Task<void> stream_ticks(ResponseWriter& writer) {
  Headers headers;
  Status status = co_await writer.start(200, std::move(headers));
  for (int i = 0; status.ok(); ++i) {
    Body body(fmt::format("tick {}\n", i));
    status = co_await writer.write(std::move(body));
    Duration pause = std::chrono::milliseconds(500);
    co_await sleep_for(pause);
  }
}

Body big_body(std::string_view query) {
  size_t size = std::strtoull(std::string(query).c_str(), nullptr, 10), slice = 16 << 20;
  if (size_t at = query.find('&'); at != std::string_view::npos)
    slice = std::strtoull(query.data() + at + 1, nullptr, 10);
  static Bytes block = Bytes::copy(std::string(16 << 20, 'x'));
  Body body;
  for (size_t left = size; left > 0;) {
    size_t here = std::min({left, slice, block.size()});
    body.append(Slice(block).sub(0, here));
    left -= here;
  }
  return body;
}

Task<void> handle(Request& request, ResponseWriter& writer) {
  Headers headers;
  headers.add("Content-Type", "text/plain");
  Body body;
  if (request.path == "/stream") {
    co_await stream_ticks(writer);
    co_return;
  }
  if (request.path == "/spdy") {
    co_await serve_spdy(writer);
    co_return;
  }
  if (request.path == "/ws") {
    co_await serve_websocket(request, writer);
    co_return;
  }
  if (request.path == "/upgrade") {
    headers.set("Upgrade", "raw");
    Result<std::unique_ptr<ByteStream>> stream = co_await writer.upgrade(std::move(headers));
    if (stream.ok()) co_await echo_stream(std::move(*stream));
    co_return;
  }
  if (request.path == "/big") {
    body = big_body(request.query);
  } else if (request.path == "/echo") {
    size_t limit = 64 << 20;
    Result<std::string> text = co_await request.body->read_all(limit);
    body = Body(text.ok() ? *text : std::string(text.status().message()));
  } else {
    static const Bytes small = Bytes::copy(std::string(200, 's'));
    body = Body(small);
  }
  Status ignored = co_await writer.respond(200, std::move(headers), std::move(body));
}

Task<void> stop(Server* server, boost::asio::io_context* context) {
  Duration grace = std::chrono::seconds(1);
  co_await server->shutdown(grace);
  context->stop();
}

int run(int argc, char** argv) {
  if (argc < 2) return 2;
  boost::asio::io_context context(1);
  ServerOptions options;
  if (argc > 3) {
    Result<std::shared_ptr<TlsServerContext>> tls =
        make_tls_server_context({argv[2], argv[3], argc > 4 ? argv[4] : ""});
    if (!tls.ok()) {
      std::fprintf(stderr, "%s\n", std::string(tls.status().message()).c_str());
      return 1;
    }
    options.tls = *tls;
  }
  std::unique_ptr<Server> server =
      make_server({context.get_executor()}, std::move(options), handle);
  Result<uint16_t> port = server->listen(argv[1]);
  if (!port.ok()) {
    std::fprintf(stderr, "%s\n", std::string(port.status().message()).c_str());
    return 1;
  }
  std::printf("%d\n", *port);
  std::fflush(stdout);
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](boost::system::error_code, int) {
    spawn(context.get_executor(), stop(server.get(), &context));
  });
  context.run();
  return 0;
}

}  // namespace
}  // namespace knarr::net

int main(int argc, char** argv) { return knarr::net::run(argc, argv); }
