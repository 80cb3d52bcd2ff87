// SPDX-License-Identifier: Apache-2.0
// Bytes into a server connection, either version; the handler reads the body and echoes it.
#include <cstdint>

#include "net/fuzz_session.h"
#include "net/server_internal.h"

namespace knarr::net {
namespace {

Task<void> handle(Request& request, ResponseWriter& writer) {
  size_t limit = 1 << 20;
  Result<std::string> text = co_await request.body->read_all(limit);
  Status ignored = co_await writer.start(200, {});
  Body body(text.ok() ? *text : "failed");
  ignored = co_await writer.write(std::move(body));
}

}  // namespace
}  // namespace knarr::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::net;
  if (size == 0) return 0;
  boost::asio::io_context context(1);
  auto options = std::make_shared<ServerOptions>();
  options->idle_timeout = std::chrono::milliseconds(100);
  ConnectionContext connection{
      context.get_executor(), options, std::make_shared<const Handler>(handle),
      std::make_shared<const Peer>(), std::make_shared<ConnectionControl>()};
  auto [ours, theirs] = make_pipe(context.get_executor());
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  // Most inputs should get past the preface.
  if (data[0] % 4 != 0) bytes.insert(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  knarr::spawn(context.get_executor(), serve_stream(std::move(connection), std::move(ours), false));
  fuzz_play(context, std::move(theirs), std::move(bytes));
  return 0;
}
