// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "api/coordination_v1.h"
#include "api/core_v1.h"
#include "client/fake_transport.h"
#include "client/informer.h"
#include "client/leader_election.h"
#include "client/wire.h"

namespace knarr::client {
namespace {

using api::core_v1::ConfigMap;

std::string map_json(const std::string& name, const std::string& version, const std::string& value = "x", const std::string& ns = "n") {
  return R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":")" + name + R"(","namespace":")" + ns + R"(","uid":"u-)" + name +
         R"(","resourceVersion":")" + version + R"("},"data":{"v":")" + value + R"("}})";
}
std::string list_json(const std::string& version, const std::vector<std::string>& items, const std::string& next = "") {
  std::string text = R"({"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":")" + version + R"(","continue":")" + next +
                     R"("},"items":[)";
  for (size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text + "]}";
}
std::string event_json(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}
std::string status_json(int code, const std::string& reason) {
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":")" + reason + R"(","code":)" +
         std::to_string(code) + "}";
}

class InformerTest : public testing::Test {
 protected:
  InformerTest()
      : transport(std::make_shared<FakeTransport>(context.get_executor())),
        client(transport, "test"),
        factory(client, context.get_executor()),
        maps(factory.get<ConfigMap>()) {
    maps.add_index("value", [](const ConfigMap& map, std::vector<std::string>& values) {
      values.push_back(std::string(schema::get_or_empty(map.data, "v")));
    });
    maps.add_handler([this](const auto& old, const auto& now) {
      log.push_back((old == nullptr ? "+" : now == nullptr ? "-" : "~") + (now != nullptr ? now : old)->metadata.name.str());
    });
  }
  ~InformerTest() override {
    factory.stop();
    settle();
  }
  // Runs until nothing is left to do but wait.
  void settle() {
    context.restart();
    while (context.poll() > 0) {
    }
  }
  // Runs until a timer (of back-off) has led to another request.
  void wait_for_requests(size_t count) {
    context.restart();
    while (transport->requests.size() < count) ASSERT_GT(context.run_one_for(std::chrono::seconds(5)), 0u);
    settle();
  }
  std::vector<std::string> with_value(const std::string& value) {
    std::vector<std::string> names;
    maps.for_each_indexed("value", value, [&](const auto& map) { names.push_back(map->metadata.name.str()); });
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string target(size_t i) { return transport->requests.at(i).target; }

  boost::asio::io_context context;
  std::shared_ptr<FakeTransport> transport;
  Client client;
  InformerFactory factory;
  Informer<ConfigMap> maps;
  std::vector<std::string> log;
};

TEST_F(InformerTest, ListsThenWatches) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5"), map_json("b", "7", "y")})});
  factory.start();
  settle();
  ASSERT_TRUE(maps.synced());
  EXPECT_EQ(log, (std::vector<std::string>{"+a", "+b"}));
  EXPECT_EQ(target(0), "/api/v1/configmaps?resourceVersion=0");
  EXPECT_NE(target(1).find("watch=true"), std::string::npos);
  EXPECT_NE(target(1).find("allowWatchBookmarks=true"), std::string::npos);
  EXPECT_NE(target(1).find("resourceVersion=10"), std::string::npos);

  auto& watch = *transport->watches.at(0);
  watch.push(event_json("MODIFIED", map_json("a", "11", "y")) + event_json("ADDED", map_json("c", "12")));
  watch.push(event_json("DELETED", map_json("b", "13", "y")));
  settle();
  EXPECT_EQ(log, (std::vector<std::string>{"+a", "+b", "~a", "+c", "-b"}));
  EXPECT_EQ(maps.size(), 2u);
  EXPECT_EQ(with_value("y"), std::vector<std::string>{"a"});
  EXPECT_EQ(with_value("x"), std::vector<std::string>{"c"});
  EXPECT_EQ(maps.get("n", "b"), nullptr);
  EXPECT_EQ(maps.get("n/a")->metadata.resource_version, "11");
}

TEST_F(InformerTest, EventsMayArriveInPieces) {
  transport->answers.push_back({200, list_json("1", {})});
  factory.start();
  settle();
  std::string text = event_json("ADDED", map_json("a", "2"));
  for (char c : text) transport->watches.at(0)->push(std::string(1, c));
  settle();
  EXPECT_EQ(log, std::vector<std::string>{"+a"});
}

TEST_F(InformerTest, ResumesFromTheBookmark) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5")})});
  factory.start();
  settle();
  auto& watch = *transport->watches.at(0);
  watch.push(event_json("BOOKMARK", R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"50"}})"));
  watch.end();
  settle();
  ASSERT_EQ(transport->watches.size(), 2u);
  EXPECT_NE(transport->requests.back().target.find("resourceVersion=50"), std::string::npos);
  EXPECT_EQ(log, std::vector<std::string>{"+a"});
}

TEST_F(InformerTest, ListsAgainAfterGone) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5"), map_json("b", "6")})});
  factory.start();
  settle();
  // The new list lacks b, has a new a, and c: gone first, then the rest.
  transport->answers.push_back({200, list_json("90", {map_json("a", "80"), map_json("c", "81")})});
  transport->watches.at(0)->push(event_json("ERROR", status_json(410, "Expired")));
  settle();
  EXPECT_EQ(log, (std::vector<std::string>{"+a", "+b", "-b", "~a", "+c"}));
  ASSERT_EQ(transport->watches.size(), 2u);
  EXPECT_NE(transport->requests.back().target.find("resourceVersion=90"), std::string::npos);
}

TEST_F(InformerTest, AsksForTheNewestWhenItsVersionIsGone) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5")})});
  factory.start();
  settle();
  transport->answers.push_back({410, status_json(410, "Expired")});
  transport->answers.push_back({200, list_json("95", {map_json("a", "5")}, "more")});
  transport->answers.push_back({200, list_json("95", {map_json("b", "94")})});
  transport->watches.at(0)->push(event_json("ERROR", status_json(410, "Expired")));
  settle();
  EXPECT_EQ(target(2), "/api/v1/configmaps?resourceVersion=10");
  EXPECT_EQ(target(3), "/api/v1/configmaps?limit=500");
  EXPECT_EQ(target(4), "/api/v1/configmaps?continue=more&limit=500");
  // a did not change: nobody is told.
  EXPECT_EQ(log, (std::vector<std::string>{"+a", "+b"}));
}

TEST_F(InformerTest, WatchesAgainAfterALostConnection) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5")})});
  factory.start();
  settle();
  transport->watches.at(0)->push(event_json("ADDED", map_json("b", "12")));
  transport->watches.at(0)->end(Status::make(503, "ServiceUnavailable", "connection reset"));
  wait_for_requests(3);
  EXPECT_NE(target(2).find("watch=true"), std::string::npos);
  EXPECT_NE(target(2).find("resourceVersion=12"), std::string::npos);
}

TEST_F(InformerTest, BacksOffWhileTheListFails) {
  transport->answers.push_back({500, status_json(500, "InternalError")});
  transport->answers.push_back({200, list_json("3", {})});
  factory.start();
  settle();
  EXPECT_FALSE(maps.synced());
  EXPECT_EQ(transport->requests.size(), 1u);
  wait_for_requests(2);
  EXPECT_TRUE(maps.synced());
}

TEST_F(InformerTest, ALateHandlerIsToldOfEverything) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5"), map_json("b", "6")})});
  factory.start();
  settle();
  int seen = 0;
  maps.add_handler([&seen](const auto& old, const auto&) { seen += old == nullptr; });
  EXPECT_EQ(seen, 2);
}

TEST_F(InformerTest, NamespacesAreAnIndex) {
  transport->answers.push_back({200, list_json("10", {map_json("a", "5"), map_json("b", "6", "x", "other")})});
  factory.start();
  settle();
  int seen = 0;
  maps.for_each_in("other", [&seen](const auto& map) { seen += map->metadata.name == "b"; });
  EXPECT_EQ(seen, 1);
}

// ---- typed calls -----------------------------------------------------------------------------------------------------------

class ClientTest : public testing::Test {
 protected:
  ClientTest() : transport(std::make_shared<FakeTransport>(context.get_executor())), client(transport, "tester") {}
  boost::asio::io_context context;
  std::shared_ptr<FakeTransport> transport;
  Client client;
};

Task<void> read_map(Client& client, Result<ConfigMap>* out) { *out = co_await client.get<ConfigMap>("n", "a"); }
Task<void> create_map(Client& client, Result<ConfigMap>* out) {
  ConfigMap map;
  map.metadata.namespace_ = "n";
  map.metadata.name = "a";
  *out = co_await client.create(std::move(map));
}

TEST_F(ClientTest, DecodesWhatTheServerSends) {
  transport->answers.push_back({200, map_json("a", "5")});
  Result<ConfigMap> result = Status();
  spawn(context.get_executor(), read_map(client, &result));
  context.run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->metadata.uid, "u-a");
  EXPECT_EQ(transport->requests[0].target, "/api/v1/namespaces/n/configmaps/a");
  EXPECT_TRUE(transport->requests[0].user_agent.starts_with("tester/"));
}

TEST_F(ClientTest, FailuresAreTheServersStatus) {
  transport->answers.push_back({404, status_json(404, "NotFound")});
  Result<ConfigMap> result = Status();
  spawn(context.get_executor(), read_map(client, &result));
  context.run();
  EXPECT_EQ(result.status().code(), 404);
  EXPECT_TRUE(result.status().is("NotFound"));
  EXPECT_EQ(result.status().message(), "m");
}

TEST_F(ClientTest, WritesProtobuf) {
  transport->answers.push_back({201, map_json("a", "5")});
  Result<ConfigMap> result = Status();
  spawn(context.get_executor(), create_map(client, &result));
  context.run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(transport->requests[0].method, "POST");
  EXPECT_EQ(transport->requests[0].content_type, kProtobufType);
  auto envelope = schema::open_envelope(transport->requests[0].body);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->type_meta.kind, "ConfigMap");
  EXPECT_EQ(schema::from_proto<ConfigMap>(envelope->raw)->metadata.name, "a");
}

// ---- wire ------------------------------------------------------------------------------------------------------------------

TEST(FrameSplitter, ProtobufFramesMayBeCutAnywhere) {
  std::string bytes("\0\0\0\3abc\0\0\0\1d", 12);
  FrameSplitter splitter(true);
  std::vector<std::string> frames;
  for (char c : bytes) {
    splitter.append(std::string(1, c));
    auto frame = splitter.next();
    ASSERT_TRUE(frame.ok());
    if (!frame->empty()) frames.push_back(*frame);
  }
  EXPECT_EQ(frames, (std::vector<std::string>{"abc", "d"}));
  EXPECT_TRUE(splitter.empty());
}

TEST(FrameSplitter, RefusesMonsters) {
  FrameSplitter splitter(true);
  splitter.append(std::string("\x7f\xff\xff\xff", 4));
  EXPECT_FALSE(splitter.next().ok());
}

TEST(ProtoFields, NeverReadsPastTheEnd) {
  for (std::string text : {std::string("\x0a\x05" "ab"), std::string("\x0a"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
                           std::string("\x09" "1234"), std::string("\x0b")}) {
    ProtoFields fields(text);
    while (fields.next()) {
    }
    EXPECT_FALSE(fields.ok());
  }
}

TEST(WatchEvents, ProtobufEventsCarryEnvelopes) {
  auto map = schema::from_json<ConfigMap>(map_json("a", "5"));
  ASSERT_TRUE(map.ok());
  std::string envelope;
  schema::encode_envelope(envelope, ConfigMap::kind_info(), &*map);
  auto field = [](char tag, const std::string& payload) {
    std::string out(1, tag);
    size_t size = payload.size();
    for (; size >= 0x80; size >>= 7) out += static_cast<char>(size | 0x80);
    return out + static_cast<char>(size) + payload;
  };
  std::string frame = field('\x0a', "ADDED") + field('\x12', field('\x0a', envelope));
  auto event = decode_watch_event(true, frame, ConfigMap::table());
  ASSERT_TRUE(event.ok()) << event.status().message();
  EXPECT_EQ(event->type, "ADDED");
  EXPECT_EQ(event->object->as<ConfigMap>()->metadata.name, "a");
}

// ---- leader election -------------------------------------------------------------------------------------------------------

Task<void> lead(LeaderElector* elector, bool* leads) { *leads = co_await elector->acquire(); }

TEST_F(ClientTest, TheFirstCandidateLeads) {
  transport->answers.push_back({404, status_json(404, "NotFound")});
  transport->answers.push_back({201, R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"l","namespace":"kube-system"},
    "spec":{"holderIdentity":"me","leaseDurationSeconds":15}})"});
  LeaderElectionOptions options;
  options.name = "l";
  options.identity = "me";
  LeaderElector elector(client, context.get_executor(), options);
  bool leads = false;
  spawn(context.get_executor(), lead(&elector, &leads));
  context.run();
  EXPECT_TRUE(leads);
  EXPECT_TRUE(elector.is_leader());
  EXPECT_EQ(transport->requests[1].method, "POST");
  EXPECT_EQ(transport->requests[1].target, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases");
}

TEST_F(ClientTest, WaitsWhileAnotherHoldsTheLease) {
  transport->fallback = [](const ApiRequest&) {
    return FakeTransport::Answer{200, R"({"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"l"},
      "spec":{"holderIdentity":"other","leaseDurationSeconds":15,"renewTime":"2020-01-01T00:00:00.000000Z"}})"};
  };
  LeaderElectionOptions options;
  options.name = "l";
  options.identity = "me";
  options.retry = std::chrono::milliseconds(2);
  LeaderElector elector(client, context.get_executor(), options);
  bool leads = true;
  spawn(context.get_executor(), lead(&elector, &leads));
  // However old the renew time says it is: only silence for the whole lease counts.
  while (transport->requests.size() < 3) context.run_one();
  EXPECT_FALSE(elector.is_leader());
  EXPECT_EQ(elector.leader(), "other");
  elector.stop();
  context.run();
  EXPECT_FALSE(leads);
}

}  // namespace
}  // namespace knarr::client
