// SPDX-License-Identifier: Apache-2.0
// For fuzz targets: plays bytes into one end of a pipe, reads whatever comes back, and ends.
#pragma once

#include <boost/asio/io_context.hpp>

#include "net/stream.h"

namespace knarr::net {

inline Task<void> fuzz_drain(std::shared_ptr<ByteStream> stream) {
  char buffer[4096];
  while (true) {
    Result<size_t> count = co_await stream->read(buffer, sizeof(buffer));
    if (!count.ok() || *count == 0) break;
  }
  stream->close();
}

inline Task<void> fuzz_feed(std::shared_ptr<ByteStream> stream, std::string bytes) {
  std::string_view view = bytes;
  Status ignored = co_await stream->write(view);
  stream->shutdown_write();
}

// Runs until nothing is left to do.
inline void fuzz_play(boost::asio::io_context& context, std::unique_ptr<ByteStream> end,
                      std::string bytes) {
  std::shared_ptr<ByteStream> stream = std::move(end);
  spawn(context.get_executor(), fuzz_drain(stream));
  spawn(context.get_executor(), fuzz_feed(stream, std::move(bytes)));
  stream.reset();
  context.run_for(std::chrono::seconds(5));
  if (!context.stopped()) std::abort();  // something hangs
}

}  // namespace knarr::net
