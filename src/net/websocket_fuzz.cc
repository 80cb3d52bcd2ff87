// SPDX-License-Identifier: Apache-2.0
// Bytes into a WebSocket that echoes.
#include <cstdint>

#include "net/fuzz_session.h"
#include "net/websocket.h"

namespace knarr::net {
namespace {

Task<void> echo(std::unique_ptr<WebSocket> socket) {
  while (true) {
    Result<std::optional<WebSocketMessage>> message = co_await socket->read();
    if (!message.ok() || !*message) break;
    std::string data = std::move((*message)->data);
    Status written = co_await socket->write((*message)->binary, std::move(data));
    if (!written.ok()) break;
  }
}

}  // namespace
}  // namespace knarr::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::net;
  if (size == 0) return 0;
  boost::asio::io_context context(1);
  auto [ours, theirs] = make_pipe(context.get_executor());
  knarr::spawn(context.get_executor(),
               echo(make_websocket(std::move(ours), data[0] % 4 != 0, "", 1 << 16)));
  fuzz_play(context, std::move(theirs),
            std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  return 0;
}
