// SPDX-License-Identifier: Apache-2.0
// What the two server protocols share with server.cc. Everything here belongs to one connection and
// stays on its executor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/server.h"

namespace knarr::net {

// The server's hand on a connection. The protocol in charge sets the functions; the object lives as
// long as the connection does, an upgraded one included, and its end tells the server.
struct ConnectionControl {
  virtual ~ConnectionControl() = default;
  bool stopping = false;
  std::function<void()> begin_shutdown;  // finish what runs, take nothing new
  std::function<void()> abort;           // close now
};

struct ConnectionContext {
  Executor executor;
  std::shared_ptr<const ServerOptions> options;
  std::shared_ptr<const Handler> handler;
  std::shared_ptr<const Peer> peer;
  std::shared_ptr<ConnectionControl> control;
};

// `initial`: bytes already read. Return when the connection is over or has been given away
// (upgrade).
Task<void> serve_http1(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                       std::string initial);
Task<void> serve_http2(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                       std::string initial);

// Tells the versions apart by the first bytes, then as above. Also the entry of the fuzz targets.
Task<void> serve_stream(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                        bool known_http2);

// Runs the handler; an exception is logged. Afterwards the response is complete, if need be as 500.
Task<void> run_handler(std::shared_ptr<const Handler> handler, Request* request,
                       ResponseWriter* writer);

}  // namespace knarr::net
