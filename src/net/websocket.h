// SPDX-License-Identifier: Apache-2.0
// WebSocket (RFC 6455): messages over an upgraded connection. Used by exec, attach, port-forward,
// logs and watch. Bounded: a message beyond the limit ends the connection with 1009. Pings are
// answered by read(), which therefore has to be called for as long as the peer is of interest. One
// reader; any number of writers on the same executor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "net/client.h"
#include "net/http.h"
#include "net/stream.h"

namespace knarr::net {

struct WebSocketMessage {
  bool binary = false;
  std::string data;
};

class WebSocket {
 public:
  static constexpr size_t kMaxMessage = 16 << 20;
  virtual ~WebSocket() = default;
  // nullopt once the peer has closed in good order; an error when it broke off or broke the rules.
  virtual Task<Result<std::optional<WebSocketMessage>>> read() = 0;
  virtual Task<Status> write(bool binary, std::string data) = 0;
  virtual Task<Status> ping(std::string data) = 0;  // at most 125 bytes
  // Sends a close frame and closes the connection. 1000 is the normal code.
  virtual Task<void> close(uint16_t code, std::string reason) = 0;
  virtual void abort() = 0;                                  // without ado; pending calls fail
  const std::string& protocol() const { return protocol_; }  // the subprotocol agreed on, or ""

 protected:
  std::string protocol_;
};

bool is_websocket_request(const Request& request);

// Answers the handshake. `protocols`: what we speak, in our order of preference; "" among them
// admits clients that name none. On failure the refusal has been sent: 400 (no handshake), or 403
// (no common protocol) as golang.org/x/net/websocket does.
Task<Result<std::unique_ptr<WebSocket>>> accept_websocket(
    const Request* request, ResponseWriter* writer, std::vector<std::string> protocols,
    size_t max_message = WebSocket::kMaxMessage);

// The client's side; headers of `request` are sent along. When the server does not switch, the
// Status has its code.
Task<Result<std::unique_ptr<WebSocket>>> connect_websocket(
    Client* client, ClientRequest request, std::vector<std::string> protocols,
    size_t max_message = WebSocket::kMaxMessage);

// Frames over a stream whose handshake is done. A server refuses unmasked frames, a client masked
// ones.
std::unique_ptr<WebSocket> make_websocket(std::unique_ptr<ByteStream> stream, bool server,
                                          std::string protocol, size_t max_message);

}  // namespace knarr::net
