// SPDX-License-Identifier: Apache-2.0
// Server and client against each other, over every carrier; what curl, h2load and Go say is tried
// elsewhere.
#include "net/server.h"

#include <boost/asio/thread_pool.hpp>

#include "net/test_certs.h"
#include "net/test_handler.h"

namespace knarr::net {
namespace {

// Each way to reach the server.
struct Carrier {
  const char* name;
  HttpVersion version;
  bool tls;
};

class Carriers : public TestBed, public ::testing::WithParamInterface<Carrier> {
 public:
  std::shared_ptr<Client> start() {
    ServerOptions options;
    std::shared_ptr<TlsClientContext> tls;
    if (GetParam().tls) {
      TestCert cert = ca.issue("server", "DNS:localhost,IP:127.0.0.1");
      options.tls = *make_tls_server_context(
          {folder.write("c", cert.cert_pem), folder.write("k", cert.key_pem), ""});
      TlsClientOptions trust;
      trust.ca_pem = ca.pem();
      tls = *make_tls_client_context(trust);
    }
    address = serve(Handling{&seen}, std::move(options));
    return client(address, GetParam().version, tls);
  }
  TestCa ca;
  TestFolder folder;
  Seen seen;
  std::string address;
};

Task<void> get_and_post(std::shared_ptr<Client> client, bool http2) {
  for (int round = 0; round < 3; ++round) {
    ClientRequest request;
    request.target = "/x?a=b";
    request.method = "PUT";
    request.body = Body(std::string(round * 700'000, 'q'));
    Result<ClientResponse> response = co_await client->send(std::move(request));
    if (!response.ok()) {
      ADD_FAILURE() << response.status().message();
      co_return;
    }
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->headers.get("x-method"), "PUT");
    EXPECT_EQ(response->headers.get("x-query"), "a=b");
    EXPECT_EQ(response->headers.get("x-major"), http2 ? "2" : "1");
    EXPECT_EQ(response->headers.get("x-evil"), "a  b: c");
    EXPECT_FALSE(response->headers.has("b"));
    std::string text = co_await text_of(*response);
    EXPECT_EQ(text, std::string(round * 700'000, 'q'));
  }
  for (int i = 0; i < 2; ++i) {
    std::string target = i == 0 ? "/nothing" : "/throw";
    ClientRequest request;
    request.target = target;
    Result<ClientResponse> response = co_await client->send(std::move(request));
    EXPECT_TRUE(response.ok() && response->status == 500) << target;
  }
  ClientRequest head;
  head.method = "HEAD";
  head.target = "/big";
  Result<ClientResponse> response = co_await client->send(std::move(head));
  EXPECT_TRUE(response.ok());
  EXPECT_EQ(response->headers.get("content-length"), "5000000");
  std::string nothing = co_await text_of(*response);
  EXPECT_EQ(nothing, "");
}

TEST_P(Carriers, Exchanges) {
  run(get_and_post(start(), GetParam().version == HttpVersion::kHttp2));
}

Task<void> stream_pieces(std::shared_ptr<Client> client) {
  ClientRequest request;
  request.target = "/pieces";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok());
  std::string text = co_await text_of(*response);
  EXPECT_EQ(text, "0,1,2,3,4,5,6,7,8,9,");
  EXPECT_EQ(response->trailers->get("x-end"), "yes");
  ClientRequest big;
  big.target = "/big";
  response = co_await client->send(std::move(big));
  std::string all = co_await text_of(*response);
  EXPECT_EQ(all, std::string(5'000'000, 'b'));
}

TEST_P(Carriers, StreamsBothWays) { run(stream_pieces(start())); }

Task<void> leave_slow(std::shared_ptr<Client> client, Seen* seen) {
  ClientRequest request;
  request.target = "/forever";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok());
  // Buffers on the way fill up; then nothing moves any more.
  Duration pause = std::chrono::milliseconds(200);
  size_t written = 0;
  for (int still = 0, i = 0; still < 2 && i < 50; ++i) {
    co_await sleep_for(pause);
    still = seen->written == written && written > 0 ? still + 1 : 0;
    written = seen->written;
  }
  EXPECT_LT(written, size_t{32} << 20);
  Result<std::string> piece = co_await response->body->read();
  EXPECT_TRUE(piece.ok());
  response->body.reset();  // go away
  while (!seen->returned || seen->closed == 0) co_await seen->event.wait();
  EXPECT_EQ(seen->closed, 1);
}

TEST_P(Carriers, HoldsBackAndNoticesTheEnd) { run(leave_slow(start(), &seen)); }

Task<void> leave_quiet(std::shared_ptr<Client> client, Seen* seen) {
  ClientRequest request;
  request.target = "/wait";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  Result<std::string> piece = co_await response->body->read();
  EXPECT_EQ(*piece, "first\n");
  response->body.reset();
  while (!seen->returned) co_await seen->event.wait();
  EXPECT_EQ(seen->closed, 1);
}

TEST_P(Carriers, QuietStreamNoticesTheEnd) { run(leave_quiet(start(), &seen)); }

Task<void> too_large(std::shared_ptr<Client> client) {
  ClientRequest request;
  request.method = "POST";
  request.target = "/limit";
  request.body = Body(std::string(3 << 20, 'z'));
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok()) << response.status().message();
  EXPECT_TRUE(response.ok() && response->status == 413);
  // And the client still works.
  ClientRequest next;
  next.target = "/limit";
  next.method = "POST";
  response = co_await client->send(std::move(next));
  EXPECT_TRUE(response.ok() && response->status == 200);
  ClientRequest headers;
  for (int i = 0; i < 1200; ++i) headers.headers.add("x-long", std::string(1000, 'h'));
  response = co_await client->send(std::move(headers));
  EXPECT_TRUE(response.ok() && response->status == 431)
      << (response.ok() ? std::to_string(response->status)
                        : std::string(response.status().message()));
}

TEST_P(Carriers, RefusesWhatIsTooLarge) { run(too_large(start())); }

Task<void> upgrade_once(std::shared_ptr<Client> client) {
  ClientRequest request;
  request.target = "/raw";
  request.headers.add("Upgrade", "raw");
  Result<Client::Upgraded> upgraded = co_await client->upgrade(std::move(request));
  EXPECT_TRUE(upgraded.ok()) << upgraded.status().message();
  EXPECT_EQ(upgraded->response.status, 101);
  EXPECT_EQ(upgraded->response.headers.get("upgrade"), "raw");
  for (int i = 0; i < 3; ++i) {
    std::string text = fmt::format("message {}", i);
    std::string_view view = text;
    Status written = co_await upgraded->stream->write(view);
    EXPECT_TRUE(written.ok());
    char buffer[100];
    Result<size_t> count = co_await upgraded->stream->read(buffer, sizeof(buffer));
    EXPECT_EQ(std::string(buffer, *count), text);
  }
  upgraded->stream->shutdown_write();
  char buffer[100];
  Result<size_t> end = co_await upgraded->stream->read(buffer, sizeof(buffer));
  EXPECT_TRUE(end.ok() && *end == 0);
}

Task<void> upgrade(std::shared_ptr<Client> client) {
  co_await upgrade_once(client);
  // No upgrade there: the answer is an ordinary one.
  ClientRequest other;
  other.target = "/plain";
  Result<Client::Upgraded> upgraded = co_await client->upgrade(std::move(other));
  EXPECT_EQ(upgraded->response.status, 200);
  EXPECT_EQ(upgraded->stream, nullptr);
}

TEST_P(Carriers, Upgrades) { run(upgrade(start())); }

Task<void> stream_up(std::shared_ptr<Client> client) {
  ClientRequest request;
  request.method = "POST";
  request.target = "/echo";
  Result<std::unique_ptr<ClientExchange>> exchange = co_await client->open(std::move(request));
  EXPECT_TRUE(exchange.ok());
  for (int i = 0; i < 50; ++i) {
    Body piece(std::string(20'000, static_cast<char>('a' + i % 26)));
    Status written = co_await (*exchange)->write(std::move(piece));
    EXPECT_TRUE(written.ok());
  }
  Status finished = co_await (*exchange)->finish();
  EXPECT_TRUE(finished.ok());
  Result<ClientResponse> response = co_await (*exchange)->response();
  EXPECT_TRUE(response.ok());
  std::string text = co_await text_of(*response);
  EXPECT_EQ(text.size(), 1'000'000u);
}

TEST_P(Carriers, StreamsUp) { run(stream_up(start())); }

Task<void> time_out(std::shared_ptr<Client> client) {
  // Nobody answers a request whose body never ends.
  ClientRequest request;
  request.method = "POST";
  request.timeout = std::chrono::milliseconds(100);
  Result<std::unique_ptr<ClientExchange>> exchange = co_await client->open(std::move(request));
  Result<ClientResponse> response = co_await (*exchange)->response();
  EXPECT_FALSE(response.ok());
  EXPECT_TRUE(response.status().is("Timeout"));
}

TEST_P(Carriers, TimesOut) { run(time_out(start())); }

INSTANTIATE_TEST_SUITE_P(All, Carriers,
                         ::testing::Values(Carrier{"http1", HttpVersion::kHttp1, false},
                                           Carrier{"http2", HttpVersion::kHttp2, false},
                                           Carrier{"tls1", HttpVersion::kHttp1, true},
                                           Carrier{"tls2", HttpVersion::kHttp2, true}),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- Plain connections, byte by byte

class Plain : public TestBed {
 public:
  Seen seen;
  std::string start() { return serve(Handling{&seen}); }
};

Task<std::string> converse(std::string address, std::string text) {
  Duration limit = std::chrono::seconds(5);
  Result<std::unique_ptr<ByteStream>> stream = co_await dial(address, nullptr, limit);
  std::string answer;
  if (!stream.ok()) co_return "no connection";
  std::string_view view = text;
  Status written = co_await (*stream)->write(view);
  char buffer[4096];
  Result<size_t> count = co_await (*stream)->read(buffer, sizeof(buffer));
  while (count.ok() && *count > 0) {
    answer.append(buffer, *count);
    count = co_await (*stream)->read(buffer, sizeof(buffer));
  }
  co_return answer;
}

Task<void> pipeline(std::string address) {
  std::string answer_text =
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\r\n"
      "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n"
      "GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  std::string answer = co_await converse(address, answer_text);
  EXPECT_NE(answer.find("\r\n\r\nabcHTTP/1.1 200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("\r\n\r\nxyHTTP/1.1 200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  std::string old_text = "GET /pieces HTTP/1.0\r\n\r\n";
  std::string old = co_await converse(address, old_text);
  EXPECT_TRUE(old.ends_with("\r\n\r\n0,1,2,3,4,5,6,7,8,9,")) << old;
  std::string expect_text =
      "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
      "2\r\n\r\nhi";
  std::string expect = co_await converse(address, expect_text);
  EXPECT_TRUE(expect.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")) << expect;
  std::string bad_text = "BAD\r\n\r\n";
  std::string bad = co_await converse(address, bad_text);
  EXPECT_TRUE(bad.starts_with("HTTP/1.1 400 Bad Request\r\n")) << bad;
  std::string chunk_text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
  std::string chunk = co_await converse(address, chunk_text);
  EXPECT_NE(chunk.find("invalid chunked encoding"), std::string::npos) << chunk;
  std::string preface_text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame at all.....";
  std::string preface = co_await converse(address, preface_text);
  EXPECT_FALSE(preface.empty());  // SETTINGS and GOAWAY
}

TEST_F(Plain, Http1ByHand) { run(pipeline(start())); }

std::string frame(char type, char flags, char stream, std::string_view payload) {
  std::string out = {0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream};
  return out.append(payload);
}

Task<void> blank_at_the_end(std::string address) {
  // Indexed: GET, http, "/"; then literals.
  std::string head = "\x82\x86\x84\x41\x01h";
  head += std::string("\x00\x0auser-agent\x04", 13) + "e2e ";
  std::string text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "") + frame(1, 5, 1, head) +
                     frame(7, 0, 0, std::string(8, '\0'));
  std::string answer = co_await converse(address, text);
  std::string reset = frame(3, 0, 1, std::string(4, '\0')).substr(0, 9);
  EXPECT_EQ(answer.find(reset), std::string::npos);
  bool answered = false;
  for (char flags : {4, 5}) answered = answered || answer.find(std::string{1, flags, 0, 0, 0, 1}) != std::string::npos;
  EXPECT_TRUE(answered);
}

// As client-go sends it: its User-Agent may end in a blank.
TEST_F(Plain, Http2TakesBlanksAroundValues) { run(blank_at_the_end(start())); }

Task<void> many_streams(std::shared_ptr<Client> client, int* left, Event* done, int number) {
  ClientRequest request;
  request.target = number % 2 == 0 ? "/pieces" : "/echo";
  request.method = "POST";
  request.body = Body(fmt::format("body {}", number));
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok()) << response.status().message();
  if (response.ok()) {
    std::string text = co_await text_of(*response);
    EXPECT_EQ(text, number % 2 == 0 ? "0,1,2,3,4,5,6,7,8,9," : fmt::format("body {}", number));
  }
  if (--*left == 0) done->set();
}

Task<void> crowd(TestBed* bed, std::string address, HttpVersion version) {
  std::shared_ptr<Client> client = bed->client(address, version);
  int left = 1000;
  Event done;
  for (int i = 0; i < 1000; ++i) spawn(bed->executor(), many_streams(client, &left, &done, i));
  co_await done.wait();
}

// Connections on executors of other threads; clients on this one.
Task<void> spread(TestBed* bed, std::vector<Executor> executors, Seen* seen) {
  std::unique_ptr<Server> server = make_server(executors, {}, Handling{seen});
  Result<uint16_t> port = server->listen("127.0.0.1:0");
  std::string address = fmt::format("127.0.0.1:{}", *port);
  co_await crowd(bed, address, HttpVersion::kHttp2);
  co_await crowd(bed, address, HttpVersion::kHttp1);
  Duration grace = std::chrono::seconds(1);
  co_await server->shutdown(grace);
}

TEST_F(Plain, SeveralExecutors) {
  boost::asio::thread_pool one(1), two(1);
  std::vector<Executor> executors = {one.get_executor(), two.get_executor()};
  run(spread(this, executors, &seen));
  one.join();
  two.join();
}

TEST_F(Plain, ManyRequestsAtOnceHttp2) { run(crowd(this, start(), HttpVersion::kHttp2)); }
TEST_F(Plain, ManyRequestsAtOnceHttp1) { run(crowd(this, start(), HttpVersion::kHttp1)); }

Task<void> end_in_the_middle(Plain* test, std::string address, HttpVersion version) {
  std::shared_ptr<Client> client = test->client(address, version);
  ClientRequest request;
  request.target = "/wait";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok());
  Duration grace = std::chrono::milliseconds(100);
  co_await test->server().shutdown(grace);
  EXPECT_TRUE(test->seen.returned);
  ClientRequest more;
  Result<ClientResponse> refused = co_await client->send(std::move(more));
  EXPECT_FALSE(refused.ok());
  response->body.reset();
}

TEST_F(Plain, ShutdownEndsHttp1Streams) {
  run(end_in_the_middle(this, start(), HttpVersion::kHttp1));
}
TEST_F(Plain, ShutdownEndsHttp2Streams) {
  run(end_in_the_middle(this, start(), HttpVersion::kHttp2));
}

Task<void> unix_socket(TestBed* bed, std::string path) {
  Result<uint16_t> port = bed->server().listen("unix:" + path);
  EXPECT_TRUE(port.ok()) << port.status().message();
  std::shared_ptr<Client> client9 = bed->client("unix:" + path, HttpVersion::kHttp2);
  co_await expect_status(client9, 200);
  std::shared_ptr<Client> client10 = bed->client("unix:" + path, HttpVersion::kHttp1);
  co_await expect_status(client10, 200);
}

Task<void> stay_idle(Plain* test) {
  ServerOptions options;
  options.idle_timeout = std::chrono::milliseconds(200);
  std::string address = test->serve(Handling{&test->seen}, std::move(options));
  std::vector<std::string> beginnings = {"", "GET / HT", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                                         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
  for (const std::string& text : beginnings) {
    // Returns only when the server has closed.
    std::string answer = co_await converse(address, text);
    EXPECT_EQ(answer.empty(), text.size() < 10) << text;
  }
}

TEST_F(Plain, IdleConnectionsAreClosed) { run(stay_idle(this)); }

TEST_F(Plain, UnixSocket) {
  TestFolder folder;
  start();
  run(unix_socket(this, folder.at("s")));
}

struct Proxying {
  Executor executor;
  std::shared_ptr<Client> behind;

  static Task<void> proxy(std::shared_ptr<Client> behind, ResponseWriter& writer) {
    ClientRequest request;
    request.target = "/raw";
    request.headers.add("Upgrade", "raw");
    Result<Client::Upgraded> upgraded = co_await behind->upgrade(std::move(request));
    EXPECT_TRUE(upgraded.ok() && upgraded->stream != nullptr);
    Headers headers = std::move(upgraded->response.headers);
    Result<std::unique_ptr<ByteStream>> ours = co_await writer.upgrade(std::move(headers));
    EXPECT_TRUE(ours.ok());
    std::unique_ptr<ByteStream> theirs = std::move(upgraded->stream);
    co_await tunnel(std::move(*ours), std::move(theirs));
  }
  Task<void> operator()(Request&, ResponseWriter& writer) const { return proxy(behind, writer); }
};

Task<void> through_tunnel(TestBed* bed, std::string behind) {
  std::shared_ptr<Client> inner = bed->client(behind);
  std::unique_ptr<Server> front =
      make_server({bed->executor()}, {}, Proxying{bed->executor(), inner});
  Result<uint16_t> port = front->listen("127.0.0.1:0");
  std::shared_ptr<Client> outer = bed->client(fmt::format("127.0.0.1:{}", *port));
  co_await upgrade_once(outer);
  Duration grace = std::chrono::seconds(1);
  co_await front->shutdown(grace);
}

TEST_F(Plain, TunnelsUpgrades) { run(through_tunnel(this, start())); }

Task<void> refused_connection(TestBed* bed) {
  ClientRequest request;
  std::shared_ptr<Client> client = bed->client("127.0.0.1:1");
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_FALSE(response.ok());
  EXPECT_EQ(response.status().message(), "dial tcp 127.0.0.1:1: connect: connection refused");
}

TEST_F(Plain, ConnectionRefused) { run(refused_connection(this)); }

}  // namespace
}  // namespace knarr::net
