// SPDX-License-Identifier: Apache-2.0
// Bytes into a SPDY server that echoes every stream. A leading byte chooses whether plain header
// blocks are deflated first, so that the fuzzer need not learn zlib.
#include <cstdint>

#include "net/fuzz_session.h"
#include "net/spdy.h"
#include "net/spdy_headers.h"

namespace knarr::net {
namespace {

Task<void> echo(std::unique_ptr<SpdyStream> stream) {
  Status status = co_await stream->reply();
  while (status.ok()) {
    Result<std::string> data = co_await stream->read();
    if (!data.ok() || data->empty()) break;
    std::string copy = std::move(*data);
    status = co_await stream->write(std::move(copy));
  }
  status = co_await stream->finish();
}

Task<void> serve(std::unique_ptr<SpdyConnection> connection, Executor executor) {
  while (true) {
    Result<std::unique_ptr<SpdyStream>> stream = co_await connection->accept();
    if (!stream.ok()) break;
    spawn(executor, echo(std::move(*stream)));
  }
}

std::string syn_stream(SpdyHeaderCodec& codec, uint8_t id) {
  Headers headers;
  headers.add("streamType", "stdin");
  std::string block = codec.encode(headers);
  std::string frame("\x80\x03\0\1\0\0\0", 7);
  frame.push_back(static_cast<char>(10 + block.size()));
  frame += std::string(3, '\0') + static_cast<char>(id) + std::string(6, '\0') + block;
  return frame;
}

}  // namespace
}  // namespace knarr::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::net;
  if (size == 0) return 0;
  boost::asio::io_context context(1);
  auto [ours, theirs] = make_pipe(context.get_executor());
  std::string bytes;
  SpdyHeaderCodec codec;
  for (int i = 0; i < data[0] % 3; ++i) bytes += syn_stream(codec, static_cast<uint8_t>(2 * i + 1));
  bytes.append(reinterpret_cast<const char*>(data + 1), size - 1);
  knarr::Executor executor = context.get_executor();
  knarr::spawn(executor, serve(make_spdy(executor, std::move(ours), true), executor));
  fuzz_play(context, std::move(theirs), std::move(bytes));
  return 0;
}
