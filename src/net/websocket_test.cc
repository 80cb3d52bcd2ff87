// SPDX-License-Identifier: Apache-2.0
#include "net/websocket.h"

#include "net/test_bed.h"

namespace knarr::net {
namespace {

Task<void> echo(Request& request, ResponseWriter& writer) {
  std::vector<std::string> protocols = {"v4.channel.k8s.io", "channel.k8s.io"};
  size_t limit = 100'000;
  Result<std::unique_ptr<WebSocket>> socket =
      co_await accept_websocket(&request, &writer, protocols, limit);
  if (!socket.ok()) co_return;
  while (true) {
    Result<std::optional<WebSocketMessage>> message = co_await (*socket)->read();
    if (!message.ok() || !*message) break;
    std::string data = std::move((*message)->data);
    bool binary = (*message)->binary;
    Status written = co_await (*socket)->write(binary, std::move(data));
    if (!written.ok()) break;
  }
}

class Sockets : public TestBed {};

Task<void> talk(TestBed* bed, std::string address) {
  std::shared_ptr<Client> client = bed->client(address, HttpVersion::kHttp1);
  ClientRequest request;
  std::vector<std::string> protocols = {"other", "channel.k8s.io"};
  Result<std::unique_ptr<WebSocket>> socket =
      co_await connect_websocket(client.get(), std::move(request), protocols);
  EXPECT_TRUE(socket.ok()) << socket.status().message();
  if (!socket.ok()) co_return;
  EXPECT_EQ((*socket)->protocol(), "channel.k8s.io");
  for (size_t size = 0; size <= 70'000; size = size * 3 + 1) {
    std::string data(size, 'w');
    Status written = co_await (*socket)->write(size % 2 == 0, data);
    EXPECT_TRUE(written.ok());
    std::string probe = "probe";
    written = co_await (*socket)->ping(std::move(probe));
    Result<std::optional<WebSocketMessage>> message = co_await (*socket)->read();
    EXPECT_TRUE(message.ok() && *message);
    if (!message.ok() || !*message) co_return;
    EXPECT_EQ((*message)->data, data);
    EXPECT_EQ((*message)->binary, size % 2 == 0);
  }
  std::string large(200'000, 'x');
  Status written = co_await (*socket)->write(true, std::move(large));
  Result<std::optional<WebSocketMessage>> end = co_await (*socket)->read();
  EXPECT_TRUE(!end.ok() || !*end);
  // No common protocol; no WebSocket at all.
  ClientRequest second;
  std::vector<std::string> strangers = {"other"};
  socket = co_await connect_websocket(client.get(), std::move(second), strangers);
  EXPECT_EQ(socket.status().code(), 403);
  ClientRequest plain;
  Result<ClientResponse> response = co_await client->send(std::move(plain));
  EXPECT_TRUE(response.ok() && response->status == 400);
}

TEST_F(Sockets, Messages) { run(talk(this, serve(echo))); }

Task<void> by_hand(TestBed* bed) {
  auto [a, b] = make_pipe(bed->executor());
  std::string none;
  std::unique_ptr<WebSocket> socket = make_websocket(std::move(a), true, none, 1000);
  // "Hel" + ping in between + "lo", each masked with zeros; then a close.
  std::string mask(4, '\0');
  std::string wire = std::string("\x01\x83", 2) + mask + "Hel" + std::string("\x89\x81", 2) + mask +
                     "p" + std::string("\x80\x82", 2) + mask + "lo" + std::string("\x88\x80", 2) +
                     mask;
  std::string_view view = wire;
  Status written = co_await b->write(view);
  Result<std::optional<WebSocketMessage>> message = co_await socket->read();
  EXPECT_TRUE(message.ok() && *message);
  EXPECT_EQ((*message)->data, "Hello");
  EXPECT_FALSE((*message)->binary);
  message = co_await socket->read();
  EXPECT_TRUE(message.ok() && !*message);
  std::string answer;
  char buffer[100];
  Result<size_t> count = co_await b->read(buffer, sizeof(buffer));
  while (count.ok() && *count > 0) {
    answer.append(buffer, *count);
    count = co_await b->read(buffer, sizeof(buffer));
  }
  EXPECT_EQ(answer, std::string("\x8a\x01p\x88\x02\x03\xe8", 7));
}

TEST_F(Sockets, FragmentsAndControlFrames) { run(by_hand(this)); }

Task<void> violations(TestBed* bed) {
  std::vector<std::string> inputs = {
      std::string("\x81\x01x", 3),               // not masked
      std::string("\xf1\x80\0\0\0\0", 6),        // reserved bits
      std::string("\x80\x80\0\0\0\0", 6),        // continuation of nothing
      std::string("\x83\x80\0\0\0\0", 6),        // unknown opcode
      std::string("\x09\x80\0\0\0\0", 6),        // fragmented ping
      std::string("\x89\xfe\x01\0\0\0\0\0", 8),  // long ping
      std::string("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14)};
  for (const std::string& input : inputs) {
    auto [a, b] = make_pipe(bed->executor());
    std::string none;
    std::unique_ptr<WebSocket> socket = make_websocket(std::move(a), true, none, 1000);
    std::string_view view = input;
    Status written = co_await b->write(view);
    Result<std::optional<WebSocketMessage>> message = co_await socket->read();
    EXPECT_FALSE(message.ok());
    char buffer[100];
    Result<size_t> count = co_await b->read(buffer, sizeof(buffer));
    EXPECT_TRUE(count.ok() && *count == 4);
    EXPECT_EQ(buffer[0], '\x88');
  }
}

TEST_F(Sockets, ViolationsCloseTheConnection) { run(violations(this)); }

}  // namespace
}  // namespace knarr::net
