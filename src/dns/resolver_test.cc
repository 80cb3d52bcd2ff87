// SPDX-License-Identifier: Apache-2.0
// Cache, resolver, forwarder and server against each other over loopback.
#include "dns/resolver.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "dns/server.h"
#include "net/client.h"
#include "net/udp.h"

namespace knarr::dns {
namespace {

using namespace std::chrono_literals;

Message query_for(const char* name, uint16_t type = kA) {
  Message query;
  query.id = 77;
  query.recursion_desired = true;
  query.questions.push_back({Name::of(name), type, kInternet});
  return query;
}

Message answer_with(const Message& query, uint32_t ttl) {
  Message answer = reply_to(query, kNoError);
  answer.answers.push_back(*address_record(query.questions[0].name, kA, ttl, "192.0.2.1"));
  return answer;
}

TEST(CacheTest, CountsTtlsDownAndForgets) {
  FakeClock clock{WallTime(1s)};
  AnswerCache cache(clock, {10, 30, 20});
  Message query = query_for("A.example"), answer = answer_with(query, 300);
  cache.put(query, &answer);
  EXPECT_EQ(answer.answers[0].ttl, 30u);
  clock.advance(10s);
  auto found = cache.get(query_for("a.EXAMPLE"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->answers[0].ttl, 20u);
  EXPECT_EQ(found->id, 77);
  EXPECT_FALSE(cache.get(query_for("a.example", kAaaa)).has_value());
  clock.advance(20s);
  EXPECT_FALSE(cache.get(query).has_value());
  EXPECT_EQ(cache.positives(), 0u);
}

TEST(CacheTest, DropsTheOneThatWasNotAskedForLongest) {
  FakeClock clock{WallTime(1s)};
  AnswerCache cache(clock, {2, 30, 30});
  for (const char* name : {"a", "b"}) {
    Message query = query_for(name), answer = answer_with(query, 300);
    cache.put(query, &answer);
  }
  EXPECT_TRUE(cache.get(query_for("a")).has_value());
  Message query = query_for("c"), answer = answer_with(query, 300);
  cache.put(query, &answer);
  EXPECT_TRUE(cache.get(query_for("a")).has_value());
  EXPECT_FALSE(cache.get(query_for("b")).has_value());
}

TEST(CacheTest, KnowsHowLongAnAnswerMayBeKept) {
  CacheOptions options{10, 3600, 1800};
  Message query = query_for("a");
  EXPECT_EQ(cacheable_seconds(answer_with(query, 100), options), 100u);
  EXPECT_EQ(cacheable_seconds(answer_with(query, 1), options), 5u);
  EXPECT_EQ(cacheable_seconds(answer_with(query, 10000), options), 3600u);
  Message denial = reply_to(query, kNameError);
  denial.authorities.push_back(soa_record(Name(), 900, {Name(), Name(), 1, 1, 1, 1, 60}));
  EXPECT_EQ(cacheable_seconds(denial, options), 60u);
  EXPECT_EQ(cacheable_seconds(reply_to(query, kServerFailure), options), 5u);
  EXPECT_EQ(cacheable_seconds(reply_to(query, kRefused), options), 0u);
  Message cut = answer_with(query, 100);
  cut.truncated = true;
  EXPECT_EQ(cacheable_seconds(cut, options), 0u);
}

TEST(RefuseTest, ChecksTheQuestionBeforeTheName) {
  EXPECT_FALSE(refuse_query(query_for("a")).has_value());
  Message notify = query_for("a");
  notify.opcode = 4;
  EXPECT_EQ(refuse_query(notify)->rcode, kNotImplemented);
  Message none;
  EXPECT_EQ(refuse_query(none)->rcode, kFormatError);
  Message chaos = query_for("a");
  chaos.questions[0].klass = 3;
  EXPECT_EQ(refuse_query(chaos)->rcode, kRefused);
}

TEST(ResolvConfTest, FindsNameServers) {
  EXPECT_EQ(upstreams_of_resolv_conf("# x\nsearch a\nnameserver 10.0.0.1\nnameserver\t fd00::1 \nnameserver\nnameservers 1.1.1.1\nnameserver nonsense\n"),
            (std::vector<std::string>{"10.0.0.1:53", "[fd00::1]:53"}));
}

// A server whose upstream the test plays.
class ServerTest : public testing::Test {
 protected:
  void start() {
    auto upstream = net::make_udp_server(executor_, "127.0.0.1:0");
    ASSERT_TRUE(upstream.ok());
    upstream_ = std::move(*upstream);
    ForwarderOptions options;
    options.upstreams = {"127.0.0.1:" + std::to_string(upstream_->port())};
    forwarder_ = std::make_unique<Forwarder>(executor_, Clock::real(), std::move(options));
    ResolverOptions resolver;
    resolver.cache = CacheOptions{};
    resolver_ = std::make_shared<Resolver>(nullptr, forwarder_.get(), Clock::real(), resolver);
    server_ = std::make_unique<Server>(executor_, [this](const Message&) { return resolver_; }, metrics_, Clock::real());
    auto port = server_->listen("127.0.0.1:0");
    ASSERT_TRUE(port.ok()) << port.status().message();
    address_ = "127.0.0.1:" + std::to_string(*port);
    spawn(executor_, play(this));
  }
  static Task<void> play(ServerTest* self) {
    std::function<void(std::string_view, const net::DatagramPeer&)> handler = [self](std::string_view bytes, const net::DatagramPeer& from) {
      auto query = parse_message(bytes);
      ASSERT_TRUE(query.ok());
      ++self->asked_;
      auto send = [&](const Message& answer) {
        std::string out;
        encode_message(answer, 65535, &out);
        self->upstream_->send(from, out);
      };
      // First come those of somebody who guesses: another id, another question.
      Message wrong = answer_with(*query, 300);
      wrong.answers[0].data = std::string("\6\6\6\6");
      wrong.id ^= 1;
      send(wrong);
      wrong.id ^= 1;
      wrong.questions[0].name = Name::of("other.example");
      send(wrong);
      Message right = answer_with(*query, 300);
      for (int i = 0; i < self->extra_records_; ++i) right.answers.push_back(right.answers[0]);
      send(right);
    };
    co_await self->upstream_->serve(handler);
  }
  static Task<void> ask_udp(ServerTest* self, Message query, Result<Message>* out) {
    auto client = net::make_udp_client(self->executor_, self->address_);
    std::string wire;
    encode_message(query, 65535, &wire);
    Status sent = (*client)->send(wire);
    EXPECT_TRUE(sent.ok());
    auto received = co_await (*client)->receive();
    if (received.ok()) *out = parse_message(*received);
    self->finish();
  }
  static Task<void> ask_tcp(ServerTest* self, Message query, Result<Message>* out) {
    auto stream = co_await net::dial(self->address_, nullptr, std::chrono::seconds(5));
    std::string frame(2, '\0');
    encode_message(query, 65535, &frame);
    frame[1] = static_cast<char>(frame.size() - 2);
    std::string_view bytes = frame;
    Status sent = co_await (*stream)->write(bytes);
    EXPECT_TRUE(sent.ok());
    std::string buffer;
    auto received = co_await read_tcp_message(stream->get(), &buffer);
    if (received.ok()) *out = parse_message(*received);
    self->finish();
  }
  void finish() { context_.stop(); }
  Result<Message> run(Task<void> task, Result<Message>* out) {
    spawn(executor_, std::move(task));
    context_.restart();
    context_.run_for(10s);
    return std::move(*out);
  }
  Result<Message> udp(Message query) {
    Result<Message> out = Status::error("no answer");
    return run(ask_udp(this, std::move(query), &out), &out);
  }
  ~ServerTest() override {
    if (server_) server_->stop();
    if (upstream_) upstream_->close();
    context_.restart();
    context_.run_for(100ms);
  }

  boost::asio::io_context context_;
  Executor executor_ = context_.get_executor();
  Metrics metrics_{"dns://:0"};
  std::unique_ptr<net::UdpServer> upstream_;
  std::unique_ptr<Forwarder> forwarder_;
  std::shared_ptr<Resolver> resolver_;
  std::unique_ptr<Server> server_;
  std::string address_;
  int asked_ = 0, extra_records_ = 0;
};

TEST_F(ServerTest, ForwardsOnceAndKeepsTheAnswer) {
  ASSERT_NO_FATAL_FAILURE(start());
  for (int i = 0; i < 3; ++i) {
    auto answer = udp(query_for("Www.example"));
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    EXPECT_EQ(answer->id, 77);
    EXPECT_EQ(answer->questions[0].name.text(), "Www.example.");
    ASSERT_EQ(answer->answers.size(), 1u);
    EXPECT_EQ(answer->answers[0].data, std::string("\xc0\0\2\1", 4));
  }
  EXPECT_EQ(asked_, 1);
  std::string text = metrics_.text(resolver_->cache(), 0);
  EXPECT_NE(text.find("coredns_dns_responses_total{plugin=\"cache\",rcode=\"NOERROR\",server=\"dns://:0\",view=\"\",zone=\".\"} 2"), std::string::npos) << text;
  EXPECT_NE(text.find("type=\"A\"} 3"), std::string::npos) << text;
}

TEST_F(ServerTest, CutsWhatIsTooLongForADatagram) {
  extra_records_ = 100;
  ASSERT_NO_FATAL_FAILURE(start());
  auto cut = udp(query_for("www.example"));
  ASSERT_TRUE(cut.ok());
  EXPECT_TRUE(cut->truncated);
  Message with_room = query_for("www.example");
  with_room.edns = Edns{4096, 0, false};
  auto whole = udp(with_room);
  ASSERT_TRUE(whole.ok());
  EXPECT_FALSE(whole->truncated);
  EXPECT_EQ(whole->answers.size(), 101u);
  Result<Message> tcp = Status::error("no answer");
  tcp = run(ask_tcp(this, query_for("www.example"), &tcp), &tcp);
  ASSERT_TRUE(tcp.ok());
  EXPECT_EQ(tcp->answers.size(), 101u);
}

}  // namespace
}  // namespace knarr::dns
