// SPDX-License-Identifier: Apache-2.0
#include "net/spdy.h"

#include "net/event.h"
#include "net/spdy_headers.h"
#include "net/test_bed.h"

namespace knarr::net {
namespace {

TEST(SpdyHeaderCodec, RoundTripsAcrossBlocks) {
  SpdyHeaderCodec ours, theirs;
  for (int i = 0; i < 5; ++i) {
    Headers headers;
    headers.add("streamType", "stdin");
    headers.add("Port", std::to_string(i));
    headers.add("x", "1");
    headers.add("x", "2");
    Headers got;
    ASSERT_TRUE(theirs.decode(ours.encode(headers), &got).ok());
    EXPECT_EQ(got.get("streamtype"), "stdin");
    EXPECT_EQ(got.get("port"), std::to_string(i));
    EXPECT_EQ(got.fields().size(), 4u);
  }
  Headers ignored;
  EXPECT_FALSE(theirs.decode("nonsense", &ignored).ok());
}

class Spdy : public TestBed {};

Task<void> echo_stream(std::unique_ptr<SpdyStream> stream) {
  Status status = co_await stream->reply();
  while (status.ok()) {
    Result<std::string> data = co_await stream->read();
    if (!data.ok() || data->empty()) break;
    std::string copy = std::move(*data);
    status = co_await stream->write(std::move(copy));
  }
  status = co_await stream->finish();
}

Task<void> serve_echo(std::shared_ptr<SpdyConnection> connection, Executor executor) {
  while (true) {
    Result<std::unique_ptr<SpdyStream>> stream = co_await connection->accept();
    if (!stream.ok()) break;
    if ((*stream)->headers().get("streamtype") == "refuse") {
      (*stream)->reset();
      continue;
    }
    spawn(executor, echo_stream(std::move(*stream)));
  }
}

Task<void> talk(TestBed* bed) {
  auto [a, b] = make_pipe(bed->executor());
  std::shared_ptr<SpdyConnection> server = make_spdy(bed->executor(), std::move(a), true);
  std::shared_ptr<SpdyConnection> client = make_spdy(bed->executor(), std::move(b), false);
  spawn(bed->executor(), serve_echo(server, bed->executor()));
  std::vector<std::unique_ptr<SpdyStream>> streams;
  for (int i = 0; i < 5; ++i) {
    Headers headers;
    headers.add("streamType", "data");
    Result<std::unique_ptr<SpdyStream>> stream = co_await client->open(std::move(headers));
    EXPECT_TRUE(stream.ok());
    if (!stream.ok()) co_return;
    streams.push_back(std::move(*stream));
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    std::string text(100'000 * (i + 1), static_cast<char>('a' + i));
    Status written = co_await streams[i]->write(text);
    EXPECT_TRUE(written.ok());
    written = co_await streams[i]->finish();
    EXPECT_TRUE(written.ok());
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    std::string all;
    Result<std::string> data = co_await streams[i]->read();
    while (data.ok() && !data->empty()) {
      all += *data;
      data = co_await streams[i]->read();
    }
    EXPECT_TRUE(data.ok());
    EXPECT_EQ(all, std::string(100'000 * (i + 1), static_cast<char>('a' + i)));
  }
  Headers refuse;
  refuse.add("streamType", "refuse");
  Result<std::unique_ptr<SpdyStream>> refused = co_await client->open(std::move(refuse));
  EXPECT_FALSE(refused.ok());
  client->close();
  co_await server->wait_closed();
  EXPECT_TRUE(server->closed());
}

TEST_F(Spdy, StreamsBothWays) { run(talk(this)); }

Task<void> nonsense(TestBed* bed) {
  std::vector<std::string> inputs = {
      std::string(100, '\xff'), std::string("\x80\x03\0\1\0\0\0\x0a", 8) + std::string(10, '\0'),
      std::string("\x80\x02\0\1\0\0\0\x0a", 8), std::string("\0\0\0\1\0\xff\xff\xff", 8)};
  for (const std::string& input : inputs) {
    auto [a, b] = make_pipe(bed->executor());
    std::unique_ptr<SpdyConnection> server = make_spdy(bed->executor(), std::move(a), true);
    std::string_view view = input;
    Status written = co_await b->write(view);
    b->shutdown_write();
    Result<std::unique_ptr<SpdyStream>> stream = co_await server->accept();
    EXPECT_FALSE(stream.ok());
  }
}

TEST_F(Spdy, NonsenseEndsTheConnection) { run(nonsense(this)); }

}  // namespace
}  // namespace knarr::net
