// SPDX-License-Identifier: Apache-2.0
#include "proxy/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "client/fake_transport.h"

namespace knarr::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kService =
    R"({"metadata":{"namespace":"ns1","name":"svc1","resourceVersion":"1"},"spec":{"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"ipFamilies":["IPv4"],
        "ports":[{"name":"p80","port":80,"protocol":"TCP"}]}})";

std::string slice_with(const std::string& address, const std::string& version) {
  return R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"namespace":"ns1","name":"a","resourceVersion":")" + version +
         R"(","labels":{"kubernetes.io/service-name":"svc1"}},"addressType":"IPv4","ports":[{"name":"p80","protocol":"TCP","port":8080}],
         "endpoints":[{"addresses":[")" + address + R"("]}]})";
}

std::string one_line(std::string text) {
  std::erase(text, '\n');
  return text;
}

// A proxy against a server and a machine that the test plays.
class Loop : public testing::Test {
 protected:
  Loop() {
    transport_ = std::make_shared<client::FakeTransport>(context_.get_executor());
    transport_->fallback = [](const client::ApiRequest& request) {
      std::string items, kind = "List", version = "v1";
      if (request.target.find("/services") != std::string::npos) items = kService, kind = "ServiceList";
      if (request.target.find("/endpointslices") != std::string::npos) items = slice_with("10.1.0.1", "1"), kind = "EndpointSliceList", version = "discovery.k8s.io/v1";
      if (request.target.find("/nodes") != std::string::npos) kind = "NodeList";
      if (request.method != "GET") return client::FakeTransport::Answer{201, request.body, request.content_type};
      return client::FakeTransport::Answer{200, R"({"kind":")" + kind + R"(","apiVersion":")" + version + R"(","metadata":{"resourceVersion":"5"},"items":[)" + items + "]}"};
    };
    system_.answer = [this](const RecordingSystem::Call& call) {
      CommandResult result;
      if (call.args[0].starts_with("ip6tables")) result.exit_code = 3;   // a machine without IPv6
      if (call.args[0] == "iptables-restore") {
        inputs_.push_back(call.input);
        if (refusals_ > 0) result.exit_code = 1, --refusals_;
      }
      if (call.line().find("-S KUBE-PROXY-CANARY") != std::string::npos && flushed_) result.exit_code = 1, flushed_ = false;
      return result;
    };
    client_ = std::make_unique<client::Client>(transport_, "kube-proxy");
    informers_ = std::make_unique<client::InformerFactory>(*client_, context_.get_executor());
    ProxyConfig config;
    config.node_name = "n1";
    config.healthz_bind_address = config.metrics_bind_address = "";
    config.min_sync_period = std::chrono::milliseconds(1);
    config.sync_period = std::chrono::milliseconds(30);
    proxy_ = std::make_unique<Proxy>(*client_, *informers_, false, Clock::real(), system_, std::move(config));
  }

  static Task<void> drive(Loop* self, std::function<Task<void>(Loop*)> script) {
    self->started_ = co_await self->proxy_->start();
    co_await script(self);
    co_await self->proxy_->stop();
    self->informers_->stop();
    self->context_.stop();
  }
  void play(std::function<Task<void>(Loop*)> script) {
    spawn(context_.get_executor(), drive(this, std::move(script)));
    context_.run_for(std::chrono::seconds(20));
    ASSERT_TRUE(started_.ok()) << started_.message();
  }
  static Task<void> wait_for_writes(Loop* self, size_t count) {
    for (int i = 0; i < 5000 && self->inputs_.size() < count; ++i) co_await sleep_for(std::chrono::milliseconds(1));
  }
  // To whichever watch is the slices': the others pass over what they do not know.
  void endpoint_becomes(const std::string& address, const std::string& version) {
    size_t nth = 0;
    for (const client::ApiRequest& request : transport_->requests) {
      if (request.target.find("watch=") == std::string::npos) continue;
      if (request.target.find("/endpointslices") != std::string::npos && nth < transport_->watches.size())
        transport_->watches[nth]->push(R"({"type":"MODIFIED","object":)" + one_line(slice_with(address, version)) + "}\n");
      ++nth;
    }
  }

  boost::asio::io_context context_;
  std::shared_ptr<client::FakeTransport> transport_;
  RecordingSystem system_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<client::InformerFactory> informers_;
  std::unique_ptr<Proxy> proxy_;
  std::vector<std::string> inputs_;      // of iptables-restore
  int refusals_ = 0;
  bool flushed_ = false;
  Status started_;
};

class ProxyLoop : public Loop {
 public:
  static Task<void> change(Loop* base) {
    auto* self = static_cast<ProxyLoop*>(base);
    co_await wait_for_writes(self, 1);
    self->endpoint_becomes("10.1.0.2", "6");
    co_await wait_for_writes(self, 2);
  }
  static Task<void> refuse(Loop* base) {
    auto* self = static_cast<ProxyLoop*>(base);
    co_await wait_for_writes(self, 1);
    self->refusals_ = 2;
    self->endpoint_becomes("10.1.0.2", "6");
    co_await wait_for_writes(self, 4);
  }
  static Task<void> flush(Loop* base) {
    auto* self = static_cast<ProxyLoop*>(base);
    co_await wait_for_writes(self, 1);
    self->flushed_ = true;
    co_await wait_for_writes(self, 2);
  }
};

TEST_F(ProxyLoop, WritesAllThenTheDifference) {
  play(change);
  ASSERT_EQ(inputs_.size(), 2u);
  EXPECT_THAT(inputs_[0], HasSubstr(":KUBE-SERVICES - [0:0]"));
  EXPECT_THAT(inputs_[0], HasSubstr("--to-destination 10.1.0.1:8080"));
  EXPECT_THAT(inputs_[1], Not(HasSubstr("KUBE-SERVICES")));
  EXPECT_THAT(inputs_[1], HasSubstr("--to-destination 10.1.0.2:8080"));
  EXPECT_TRUE(proxy_->synced());
  EXPECT_EQ(system_.sysctl("net/ipv4/conf/all/route_localnet"), 1);
}

TEST_F(ProxyLoop, ARefusalIsFollowedByEverything) {
  play(refuse);
  ASSERT_EQ(inputs_.size(), 4u);
  EXPECT_THAT(inputs_[1], Not(HasSubstr("KUBE-SERVICES")));
  // At once, and, as that is refused, too, after a while.
  EXPECT_THAT(inputs_[2], HasSubstr(":KUBE-SERVICES - [0:0]"));
  EXPECT_EQ(inputs_[3], inputs_[2]);
  EXPECT_THAT(inputs_[3], HasSubstr("--to-destination 10.1.0.2:8080"));
}

TEST_F(ProxyLoop, AFlushIsFollowedByEverything) {
  play(flush);
  ASSERT_EQ(inputs_.size(), 2u);
  EXPECT_EQ(inputs_[1], inputs_[0]);
}

}  // namespace
}  // namespace knarr::proxy
