// SPDX-License-Identifier: Apache-2.0
// A byte stream whatever carries it: TCP, TLS, a Unix socket, a hijacked HTTP/1.1 connection, a
// pipe in memory. One reader and one writer at a time; everything on the executor the stream was
// made for.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "base/task.h"

namespace knarr::net {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // At least one byte, or 0 at the end of the stream.
  virtual Task<Result<size_t>> read(char* buffer, size_t size) = 0;
  virtual Task<Status> write(
      std::string_view bytes) = 0;                   // all of it; the caller keeps `bytes` alive
  virtual Task<Status> write(const Body& body) = 0;  // gathered
  virtual void shutdown_write() = 0;                 // half-close where the carrier can
  virtual void close() = 0;                          // pending operations fail; idempotent
};

// Two connected ends in memory.
std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> make_pipe(Executor executor);

// Copies both ways until both directions have ended (half-closes are passed on), then closes both.
Task<void> tunnel(std::unique_ptr<ByteStream> a, std::unique_ptr<ByteStream> b);

}  // namespace knarr::net
