// SPDX-License-Identifier: Apache-2.0
// Server and client against each other, over every carrier; what curl, h2load and Go say is tried
// elsewhere.
#include "net/server.h"

#include <boost/asio/thread_pool.hpp>

#include "net/client.h"
#include "net/event.h"
#include "net/test_bed.h"
#include "net/test_certs.h"

namespace knarr::net {
namespace {

Task<std::string> text_of(ClientResponse& response) {
  size_t limit = 64 << 20;
  Result<std::string> text = co_await response.body->read_all(limit);
  co_return text.ok() ? *text : "error: " + std::string(text.status().message());
}

// What the handlers of this file have seen.
struct Seen {
  int closed = 0;
  size_t written = 0;
  bool returned = false;
  Event event;
  std::shared_ptr<const Peer> peer;
};

Task<void> stream_for_ever(ResponseWriter& writer, Seen* seen) {
  writer.on_close([seen] {
    ++seen->closed;
    seen->event.set();
  });
  Status status = co_await writer.start(200, {});
  Body block(Bytes::copy(std::string(16 << 10, 'x')));
  while (status.ok()) {
    Body next = block;
    status = co_await writer.write(std::move(next));
    seen->written += block.size();
  }
  seen->returned = true;
  seen->event.set();
}

Task<void> wait_for_close(ResponseWriter& writer, Seen* seen) {
  Notifier gone(co_await this_executor());
  writer.on_close([&gone, seen] {
    ++seen->closed;
    gone.notify();
  });
  Status status = co_await writer.start(200, {});
  Body first("first\n");
  status = co_await writer.write(std::move(first));
  if (!writer.closed()) co_await gone.wait();
  seen->returned = true;
  seen->event.set();
}

Task<void> echo_raw(ResponseWriter& writer) {
  Headers headers;
  headers.add("Upgrade", "raw");
  Result<std::unique_ptr<ByteStream>> stream = co_await writer.upgrade(std::move(headers));
  if (!stream.ok()) {
    Body why(stream.status().message());
    Status ignored = co_await writer.respond(stream.status().code(), {}, std::move(why));
    co_return;
  }
  char buffer[1000];
  while (true) {
    Result<size_t> count = co_await (*stream)->read(buffer, sizeof(buffer));
    if (!count.ok() || *count == 0) break;
    std::string_view bytes(buffer, *count);
    Status written = co_await (*stream)->write(bytes);
    if (!written.ok()) break;
  }
}

Task<void> handle(Seen* seen, Request& request, ResponseWriter& writer) {
  Status ignored;
  if (request.path == "/forever") {
    co_await stream_for_ever(writer, seen);
  } else if (request.path == "/wait") {
    co_await wait_for_close(writer, seen);
  } else if (request.path == "/raw") {
    co_await echo_raw(writer);
  } else if (request.path == "/peer") {
    seen->peer = request.peer;
    ignored = co_await writer.respond(200, {}, {});
  } else if (request.path == "/nothing") {
  } else if (request.path == "/throw") {
    throw std::runtime_error("on purpose");
  } else if (request.path == "/pieces") {
    ignored = co_await writer.start(200, {});
    for (int i = 0; i < 10; ++i) {
      Body piece(fmt::format("{},", i));
      ignored = co_await writer.write(std::move(piece));
      co_await yield_now();
    }
    Headers trailers;
    trailers.add("x-end", "yes");
    ignored = co_await writer.finish(std::move(trailers));
  } else if (request.path == "/big") {
    Body body;
    Bytes slice = Bytes::copy(std::string(1000, 'b'));
    for (int i = 0; i < 5000; ++i) body.append(Slice(slice));
    ignored = co_await writer.respond(200, {}, std::move(body));
  } else if (request.path == "/limit") {
    size_t limit = 1000;
    Result<std::string> body = co_await request.body->read_all(limit);
    Body answer(body.ok() ? std::string_view("fits") : body.status().message());
    ignored =
        co_await writer.respond(body.ok() ? 200 : body.status().code(), {}, std::move(answer));
  } else {
    size_t limit = 64 << 20;
    Result<std::string> body = co_await request.body->read_all(limit);
    Headers headers;
    headers.add("X-Method", request.method);
    headers.add("X-Major", std::to_string(request.http_major));
    headers.add("X-Query", request.query);
    headers.add("X-Evil", "a\r\nb: c");
    Body answer(body.ok() ? *body : std::string(body.status().message()));
    ignored = co_await writer.respond(200, std::move(headers), std::move(answer));
  }
}

struct Handling {
  Seen* seen;
  Task<void> operator()(Request& request, ResponseWriter& writer) const {
    return handle(seen, request, writer);
  }
};

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

// ---- TLS

class Tls : public TestBed {
 public:
  TestCa ca, clients_ca{"clients"}, other_ca{"other"};
  TestFolder folder;
  Seen seen;
  std::string start() {
    TestCert cert = ca.issue("server", "DNS:localhost,IP:127.0.0.1");
    ServerOptions options;
    options.tls =
        *make_tls_server_context({folder.write("c", cert.cert_pem), folder.write("k", cert.key_pem),
                                  folder.write("ca", clients_ca.pem())});
    return serve(Handling{&seen}, std::move(options));
  }
  std::shared_ptr<TlsClientContext> trust(const std::string& pem, const TestCert& cert = {}) {
    TlsClientOptions options;
    options.ca_pem = pem;
    options.cert_pem = cert.cert_pem;
    options.key_pem = cert.key_pem;
    return *make_tls_client_context(options);
  }
};

Task<void> expect_status(std::shared_ptr<Client> client, int status) {
  ClientRequest request;
  request.target = "/peer";
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok()) << response.status().message();
  if (!response.ok()) co_return;
  EXPECT_EQ(response->status, status);
  std::string text = co_await text_of(*response);
}

Task<void> show_certificates(Tls* test, std::string address) {
  std::shared_ptr<Client> client1 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client1, 200);
  EXPECT_TRUE(test->seen.peer->tls);
  EXPECT_TRUE(test->seen.peer->certificates.empty());
  EXPECT_FALSE(test->seen.peer->certificate_verified);
  TestCert good = test->clients_ca.issue("alice", "", "system:masters");
  std::shared_ptr<Client> client2 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem(), good));
  co_await expect_status(client2, 200);
  EXPECT_EQ(test->seen.peer->certificates.size(), 1u);
  EXPECT_TRUE(test->seen.peer->certificate_verified);
  EXPECT_EQ(test->seen.peer->address, "127.0.0.1");
  TestCert bad = test->other_ca.issue("mallory", "");
  std::shared_ptr<Client> client3 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem(), bad));
  co_await expect_status(client3, 200);
  EXPECT_EQ(test->seen.peer->certificates.size(), 1u);
  EXPECT_FALSE(test->seen.peer->certificate_verified);
}

TEST_F(Tls, ClientCertificatesAreReportedNotRequired) { run(show_certificates(this, start())); }

Task<void> distrust(Tls* test, std::string address) {
  ClientRequest request;
  std::shared_ptr<Client> client =
      test->client(address, HttpVersion::kAuto, test->trust(test->other_ca.pem()));
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_FALSE(response.ok());
  EXPECT_EQ(response.status().message(),
            "tls: failed to verify certificate: x509: certificate signed by unknown authority");
  // The right CA, the wrong name.
  TlsClientOptions options;
  options.ca_pem = test->ca.pem();
  options.server_name = "elsewhere";
  client = test->client(address, HttpVersion::kAuto, *make_tls_client_context(options));
  ClientRequest again;
  response = co_await client->send(std::move(again));
  EXPECT_FALSE(response.ok());
  EXPECT_NE(response.status().message().find("is not valid for elsewhere"), std::string::npos);
  options.insecure_skip_verify = true;
  std::shared_ptr<Client> client4 =
      test->client(address, HttpVersion::kAuto, *make_tls_client_context(options));
  co_await expect_status(client4, 200);
}

TEST_F(Tls, VerifiesTheServer) { run(distrust(this, start())); }

Task<void> renew(Tls* test, std::string address, std::string cert_file, std::string key_file) {
  std::shared_ptr<Client> client5 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client5, 200);
  TestCert fresh = test->other_ca.issue("server", "IP:127.0.0.1");
  std::ofstream(cert_file, std::ios::trunc) << fresh.cert_pem;
  // Half a pair: the old one goes on.
  Duration pause = std::chrono::milliseconds(1100);
  co_await sleep_for(pause);
  std::shared_ptr<Client> client6 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client6, 200);
  std::ofstream(key_file, std::ios::trunc) << fresh.key_pem;
  co_await sleep_for(pause);
  std::shared_ptr<Client> client7 =
      test->client(address, HttpVersion::kAuto, test->trust(test->other_ca.pem()));
  co_await expect_status(client7, 200);
}

TEST_F(Tls, RenewedFilesAreUsed) {
  std::string address = start();
  run(renew(this, address, folder.at("c"), folder.at("k")));
}

std::vector<std::string> nonsense() {
  return {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", std::string(20, '\0'), "\x15\x03\x01"};
}

Task<void> talk_nonsense(Tls* test, std::string address) {
  std::vector<std::string> texts = nonsense();
  for (const std::string& text : texts) {
    Duration limit = std::chrono::seconds(5);
    Result<std::unique_ptr<ByteStream>> stream = co_await dial(address, nullptr, limit);
    EXPECT_TRUE(stream.ok());
    std::string_view view = text;
    Status written = co_await (*stream)->write(view);
    (*stream)->shutdown_write();
    char buffer[1000];
    Result<size_t> count = co_await (*stream)->read(buffer, sizeof(buffer));
    while (count.ok() && *count > 0) count = co_await (*stream)->read(buffer, sizeof(buffer));
  }
  std::shared_ptr<Client> client8 =
      test->client(address, HttpVersion::kAuto, test->trust(test->ca.pem()));
  co_await expect_status(client8, 200);
}

TEST_F(Tls, SurvivesNonsense) { run(talk_nonsense(this, start())); }

Task<void> forget_tls(TestBed* bed, std::string address) {
  ClientRequest request;
  std::shared_ptr<Client> client = bed->client(address, HttpVersion::kHttp1);
  Result<ClientResponse> response = co_await client->send(std::move(request));
  EXPECT_TRUE(response.ok() && response->status == 400);
  std::string text = co_await text_of(*response);
  EXPECT_EQ(text, "Client sent an HTTP request to an HTTPS server.\n");
}

TEST_F(Tls, TellsPlainHttpWhatIsWrong) { run(forget_tls(this, start())); }

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
  EXPECT_EQ(response.status().message(), "dial 127.0.0.1:1: connect: Connection refused");
}

TEST_F(Plain, ConnectionRefused) { run(refused_connection(this)); }

}  // namespace
}  // namespace knarr::net
