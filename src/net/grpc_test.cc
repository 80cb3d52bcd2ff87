// SPDX-License-Identifier: Apache-2.0
#include "net/grpc.h"

#include "net/grpc_framing.h"
#include "net/grpc_server.h"
#include "net/test_bed.h"

namespace knarr::net {
namespace {

Task<Result<std::string>> echo(std::string message) { co_return message + "!"; }
Task<Result<std::string>> missing(std::string) {
  co_return Status::make(404, "NotFound", "no \"pod\" é");
}

Task<Result<std::string>> slow(std::string message) {
  Duration pause = std::chrono::milliseconds(500);
  co_await sleep_for(pause);
  co_return message;
}

Task<Status> repeat(GrpcServerStream& stream) {
  while (true) {
    Result<std::optional<std::string>> message = co_await stream.next();
    if (!message.ok()) co_return message.status();
    if (!*message) break;
    for (int i = 0; i < 3; ++i) {
      std::string answer = fmt::format("{}{}", **message, i);
      Status sent = co_await stream.send(std::move(answer));
      if (!sent.ok()) co_return sent;
    }
  }
  co_return Status::make(409, "Aborted", "enough");
}

Handler service() {
  GrpcService service;
  service.add_unary("/t.T/Echo", echo);
  service.add_unary("/t.T/Missing", missing);
  service.add_unary("/t.T/Slow", slow);
  service.add_streaming("/t.T/Repeat", repeat);
  return service.handler();
}

class Grpc : public TestBed {};

// Literals become strings outside of the callers' co_await (g++ 12).
Task<Result<std::string>> call(GrpcChannel* channel, const char* method, const char* text,
                               Duration limit) {
  std::string name = method, message = text;
  Result<std::string> answer = co_await channel->call(std::move(name), std::move(message), limit);
  co_return std::move(answer);
}

Task<Result<std::unique_ptr<GrpcChannel::Stream>>> open(GrpcChannel* channel, const char* method,
                                                        const char* text) {
  std::string name = method, message = text;
  Result<std::unique_ptr<GrpcChannel::Stream>> stream =
      co_await channel->stream(std::move(name), std::move(message));
  co_return std::move(stream);
}

Task<void> unary(Grpc* test, std::string address) {
  std::unique_ptr<GrpcChannel> channel =
      make_grpc_channel(test->client(address, HttpVersion::kHttp2));
  Duration limit = std::chrono::seconds(5);
  std::string name = "/t.T/Echo", message(100'000, 'm');
  Result<std::string> answer = co_await channel->call(std::move(name), std::move(message), limit);
  EXPECT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(*answer, std::string(100'000, 'm') + "!");
  answer = co_await call(channel.get(), "/t.T/Missing", "", limit);
  EXPECT_TRUE(answer.status().is("NotFound"));
  EXPECT_EQ(answer.status().code(), 404);
  EXPECT_EQ(answer.status().message(), "no \"pod\" é");
  answer = co_await call(channel.get(), "/t.T/Other", "", limit);
  EXPECT_TRUE(answer.status().is("Unimplemented"));
  Duration little = std::chrono::milliseconds(50);
  answer = co_await call(channel.get(), "/t.T/Slow", "", little);
  EXPECT_TRUE(answer.status().is("DeadlineExceeded")) << answer.status().reason();
  std::unique_ptr<GrpcChannel> nowhere =
      make_grpc_channel(test->client("unix:/nowhere", HttpVersion::kHttp2));
  answer = co_await call(nowhere.get(), "/t.T/Echo", "", limit);
  EXPECT_TRUE(answer.status().is("Unavailable"));
}

TEST_F(Grpc, Unary) { run(unary(this, serve(service()))); }

Task<void> bidirectional(Grpc* test, std::string address) {
  std::unique_ptr<GrpcChannel> channel =
      make_grpc_channel(test->client(address, HttpVersion::kHttp2));
  Result<std::unique_ptr<GrpcChannel::Stream>> stream =
      co_await open(channel.get(), "/t.T/Repeat", "a");
  EXPECT_TRUE(stream.ok());
  std::string all;
  for (int i = 0; i < 3; ++i) {
    Result<std::optional<std::string>> message = co_await (*stream)->next();
    EXPECT_TRUE(message.ok() && *message);
    all += **message;
  }
  EXPECT_EQ(all, "a0a1a2");
  std::string second = "b";
  Status sent = co_await (*stream)->send(std::move(second));
  EXPECT_TRUE(sent.ok());
  sent = co_await (*stream)->finish_sending();
  all.clear();
  Result<std::optional<std::string>> message = co_await (*stream)->next();
  while (message.ok() && *message) {
    all += **message;
    message = co_await (*stream)->next();
  }
  EXPECT_EQ(all, "b0b1b2");
  EXPECT_TRUE(message.status().is("Aborted"));
}

TEST_F(Grpc, Bidirectional) { run(bidirectional(this, serve(service()))); }

Task<void> cancel_later(GrpcChannel::Stream* stream) {
  Duration pause = std::chrono::milliseconds(50);
  co_await sleep_for(pause);
  stream->cancel();
}

Task<void> cancelled(Grpc* test, std::string address) {
  std::unique_ptr<GrpcChannel> channel =
      make_grpc_channel(test->client(address, HttpVersion::kHttp2));
  Result<std::unique_ptr<GrpcChannel::Stream>> stream =
      co_await open(channel.get(), "/t.T/Repeat", "a");
  for (int i = 0; i < 3; ++i) {
    Result<std::optional<std::string>> message = co_await (*stream)->next();
    EXPECT_TRUE(message.ok());
  }
  spawn(test->executor(), cancel_later(stream->get()));
  Result<std::optional<std::string>> message = co_await (*stream)->next();
  EXPECT_TRUE(message.status().is("Canceled")) << message.status().message();
}

TEST_F(Grpc, CancelWakesTheReader) { run(cancelled(this, serve(service()))); }

TEST(GrpcReader, AnySplit) {
  std::string wire =
      grpc_frame("one").flatten() + grpc_frame("").flatten() + grpc_frame("three").flatten();
  for (size_t step = 1; step <= wire.size(); ++step) {
    GrpcReader reader(100);
    std::vector<std::string> got;
    for (size_t at = 0; at < wire.size(); at += step) {
      reader.feed(wire.substr(at, step));
      while (true) {
        Result<std::optional<std::string>> message = reader.take();
        ASSERT_TRUE(message.ok());
        if (!*message) break;
        got.push_back(**message);
      }
    }
    EXPECT_EQ(got, (std::vector<std::string>{"one", "", "three"}));
    EXPECT_TRUE(reader.empty());
  }
  GrpcReader reader(3);
  reader.feed(grpc_frame("four").flatten());
  EXPECT_TRUE(reader.take().status().is("ResourceExhausted"));
}

}  // namespace
}  // namespace knarr::net
