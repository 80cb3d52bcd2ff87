// SPDX-License-Identifier: Apache-2.0
// SPDY/3.1 as kubectl exec, attach and port-forward speak it over an upgraded connection, and as
// containerd's streaming server does. Like upstream's implementation (moby/spdystream) it has no
// per-stream windows: a stream that nobody reads holds up the connection once a megabyte waits.
// Either side. All on one executor; any number of streams, one reader a stream, any number of
// writers.
#pragma once

#include <memory>
#include <string>

#include "base/task.h"
#include "net/http.h"
#include "net/stream.h"

namespace knarr::net {

class SpdyStream {
 public:
  virtual ~SpdyStream() = default;  // an unfinished stream is reset
  virtual uint32_t id() const = 0;
  virtual const Headers& headers() const = 0;    // of the one who opened it
  virtual Task<Result<std::string>> read() = 0;  // "" at the end
  virtual Task<Status> write(std::string data) = 0;
  virtual Task<Status> finish() = 0;  // nothing more from this side
  virtual void reset() = 0;           // both directions, at once
  virtual bool closed() const = 0;    // reset, or the connection has gone
  // Accepted streams only: confirms the stream; accept() leaves that to its caller. To refuse,
  // reset().
  virtual Task<Status> reply() = 0;
};

class SpdyConnection {
 public:
  virtual ~SpdyConnection() = default;  // closes
  // The next stream that the peer opened; an error at the end of the connection.
  virtual Task<Result<std::unique_ptr<SpdyStream>>> accept() = 0;
  // Opens a stream and waits for the peer's confirmation (30 s as upstream).
  virtual Task<Result<std::unique_ptr<SpdyStream>>> open(Headers headers) = 0;
  virtual bool closed() const = 0;
  virtual Task<void> wait_closed() = 0;  // one waiter
  virtual void close() = 0;              // says GOAWAY and ends everything
};

// Starts reading at once.
std::unique_ptr<SpdyConnection> make_spdy(Executor executor, std::unique_ptr<ByteStream> stream,
                                          bool server);

}  // namespace knarr::net
