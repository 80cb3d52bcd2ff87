// SPDX-License-Identifier: Apache-2.0
// Whole requests, compared with what upstream's server answers to the same ones (testdata/*.yaml:
// recorded from 1.28.4), field by field; and what cannot be recorded: allocation and quotas under
// concurrent requests.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <set>

#include "api/core_v1.h"
#include "apiserver/case_harness.h"
#include "apiserver/server.h"
#include "schema/codec.h"
#include "store/embedded_store.h"

namespace knarr::apiserver {
namespace {

namespace fs = std::filesystem;

std::string testdata_folder() {
  for (fs::path at = fs::current_path(); at.has_relative_path(); at = at.parent_path())
    if (fs::exists(at / "src/apiserver/strategy/testdata"))
      return (at / "src/apiserver/strategy/testdata").string();
  return "src/apiserver/strategy/testdata";
}

// Differs from run to run, or is recorded elsewhere (managedFields).
bool is_volatile(std::string_view key) {
  static const std::set<std::string_view> kKeys = {"uid",
                                                   "resourceVersion",
                                                   "creationTimestamp",
                                                   "managedFields",
                                                   "lastTransitionTime",
                                                   "lastUpdateTime",
                                                   "healthCheckNodePort",
                                                   "deletionTimestamp",
                                                   "controller-uid",
                                                   "batch.kubernetes.io/controller-uid"};
  return kKeys.contains(key);
}
// Allocated values are compared only where the recording has them.
bool is_allocated(std::string_view key) {
  return key == "clusterIP" || key == "clusterIPs" || key == "nodePort";
}

// "" when both are the same, volatile fields aside. An expected "~text" stands for any text that
// contains it.
std::string compare(const json::Value& expected, const json::Value& actual,
                    const std::string& path) {
  auto mismatch = [&] {
    return "  " + path + ": " + json::to_string(actual).substr(0, 600) + "\n    expected " +
           json::to_string(expected).substr(0, 600) + "\n";
  };
  if (expected.is_object()) {
    if (!actual.is_object()) return mismatch();
    std::string problems;
    for (const auto& [key, value] : expected.members()) {
      const json::Value* found = actual.find(key);
      std::string name = path + "." + std::string(key);
      problems += found == nullptr ? "  " + name + " is missing\n" : compare(value, *found, name);
    }
    for (const auto& [key, value] : actual.members())
      if (expected.find(key) == nullptr && !value.is_null() && !is_volatile(key) &&
          !is_allocated(key))
        problems += "  " + path + "." + std::string(key) +
                    " should not be there: " + json::to_string(value).substr(0, 200) + "\n";
    return problems;
  }
  if (expected.is_array()) {
    if (!actual.is_array() || actual.items().size() != expected.items().size()) return mismatch();
    std::string problems;
    for (size_t i = 0; i < expected.items().size(); ++i)
      problems +=
          compare(expected.items()[i], actual.items()[i], path + "[" + std::to_string(i) + "]");
    return problems;
  }
  if (expected.is_string() && actual.is_string()) {
    std::string_view wanted = expected.as_string(), got = actual.as_string();
    if (wanted == got || (wanted.starts_with("~") && got.find(wanted.substr(1)) != got.npos))
      return {};
    return mismatch();
  }
  return expected == actual ? "" : mismatch();
}

class StrategyTest : public ::testing::Test {
 protected:
  void SetUp() override { open(Options{}); }
  void TearDown() override { close(); }

  void open(Options options) {
    std::string pattern = fs::temp_directory_path().string() + "/strategy_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    store::EmbeddedOptions store_options;
    store_options.dir = folder_ + "/store";
    store_options.no_sync = true;
    auto opened = store::open_embedded_store(store_options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(*opened);
    server_ = make_api_server(loop_.get_executor(), store_, Clock::real(), std::move(options));
    Status status = run(server_->start());
    ASSERT_TRUE(status.ok()) << status.message();
    transport_ = server_->local_transport(
        {"system:admin", "", {"system:masters", "system:authenticated"}, {}});
    EXPECT_EQ(call("POST", "/api/v1/namespaces/default/serviceaccounts",
                   R"({"metadata":{"name":"default"}})")
                  .status,
              201);
  }
  void close() {
    transport_.reset();
    server_.reset();
    store_.reset();
    fs::remove_all(folder_);
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    spawn(loop_.get_executor(), keep(std::move(task), &result));
    loop_.restart();
    while (!result.has_value() && loop_.run_one() > 0) {
    }
    EXPECT_TRUE(result.has_value());
    return std::move(*result);
  }
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>* result) {
    *result = co_await std::move(task);
  }

  static client::ApiRequest request(std::string method, std::string target, std::string body,
                                    std::string type = "application/json") {
    client::ApiRequest out;
    out.method = std::move(method);
    out.target = std::move(target);
    out.content_type = body.empty() ? "" : std::move(type);
    out.body = std::move(body);
    out.accept = "application/json";
    return out;
  }
  client::ApiResponse call(std::string method, std::string target, std::string body = {},
                           std::string type = "application/json") {
    auto response = run(transport_->send(
        request(std::move(method), std::move(target), std::move(body), std::move(type))));
    EXPECT_TRUE(response.ok());
    return std::move(*response);
  }
  static json::Value parsed(const client::ApiResponse& response) {
    auto value = json::parse(response.body);
    return value.ok() ? *value : json::Value();
  }

  // Sends all at once; how many were answered with `code`.
  int send_all(std::vector<client::ApiRequest> requests, int code) {
    int counted = 0;
    size_t done = 0, all = requests.size();
    for (auto& each : requests)
      spawn(loop_.get_executor(), count(transport_, std::move(each), code, &counted, &done));
    loop_.restart();
    while (done < all && loop_.run_one() > 0) {
    }
    return counted;
  }
  static Task<void> count(std::shared_ptr<client::Transport> transport, client::ApiRequest request,
                          int code, int* counted, size_t* done) {
    auto response = co_await transport->send(std::move(request));
    if (response.ok() && response->status == code) ++*counted;
    ++*done;
  }

  std::string check(const json::Value& step) {
    std::string line(step.at({"do"}).as_string());
    size_t space = line.find(' ');
    const json::Value *body = step.find("body"), *type = step.find("type"),
                      *expect = step.find("expect"), *warnings = step.find("warnings");
    auto response = call(line.substr(0, space), line.substr(space + 1),
                         body != nullptr ? json::to_string(*body) : "",
                         type != nullptr ? std::string(type->as_string()) : "application/json");
    std::string problems;
    if (response.status != step.at({"code"}).as_int())
      problems += "  code " + std::to_string(response.status) + "\n";
    json::Value answer = parsed(response);
    if (expect != nullptr) {
      // Of errors the recording has what a reader sees: reason, message, causes.
      bool error = response.status >= 400;
      problems += error ? testing::difference(*expect, answer, "") : compare(*expect, answer, "");
    }
    size_t expected = warnings != nullptr ? warnings->items().size() : 0, seen = 0;
    for (const auto& [name, value] : response.headers.fields()) {
      if (name != "Warning") continue;
      std::string text = value.substr(value.find('"') + 1);
      if (seen < expected && std::string(warnings->items()[seen].as_string()) + "\"" != text) {
        std::string plain;
        for (size_t i = 0; i < text.size(); ++i)
          if (text[i] != '\\' || i + 1 >= text.size())
            plain += text[i];
          else
            plain += text[++i];
        if (std::string(warnings->items()[seen].as_string()) + "\"" != plain)
          problems += "  warning " + text + "\n";
      }
      ++seen;
    }
    if (seen != expected)
      problems +=
          "  " + std::to_string(seen) + " warnings, expected " + std::to_string(expected) + "\n";
    return problems.empty() ? "" : line + "\n" + problems;
  }

  std::string folder_;
  boost::asio::io_context loop_;
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<ApiServer> server_;
  std::shared_ptr<client::Transport> transport_;
};

TEST_F(StrategyTest, AnswersAsUpstreamDoes) {
  auto files = testing::load_cases(testdata_folder());
  ASSERT_FALSE(files.empty());
  int steps = 0;
  for (const auto& file : files) {
    close();
    open(Options{});
    const json::Value& list = file.document.at({"steps"});
    for (size_t i = 0; i < list.items().size(); ++i) {
      EXPECT_EQ(check(list.items()[i]), "") << file.name << " step " << i + 1;
      ++steps;
    }
  }
  EXPECT_GT(steps, 150);
}

// A second start finds everything in place and writes nothing.
TEST_F(StrategyTest, BootstrapIsIdempotent) {
  auto revision = [&] {
    json::Value list = parsed(call("GET", "/api/v1/namespaces"));
    return std::string(list.at({"metadata"}).at({"resourceVersion"}).as_string());
  };
  std::string before = revision();
  transport_.reset();
  server_ = make_api_server(loop_.get_executor(), store_, Clock::real(), Options{});
  Status status = run(server_->start());
  ASSERT_TRUE(status.ok()) << status.message();
  transport_ = server_->local_transport(
      {"system:admin", "", {"system:masters", "system:authenticated"}, {}});
  EXPECT_EQ(revision(), before);
}

TEST_F(StrategyTest, AddressesRunOut) {
  close();
  Options options;
  options.service_cidr = "10.0.0.0/29";  // .1 to .6, of which the first is the API's
  options.node_port_range = "30000-30001";
  open(std::move(options));
  std::vector<client::ApiRequest> requests;
  for (int i = 0; i < 8; ++i)
    requests.push_back(request(
        "POST", "/api/v1/namespaces/default/services",
        R"({"metadata":{"name":"s)" + std::to_string(i) + R"("},"spec":{"ports":[{"port":80}]}})"));
  EXPECT_EQ(send_all(std::move(requests), 201), 5);
  std::set<std::string> addresses;
  json::Value list = parsed(call("GET", "/api/v1/services"));
  for (const json::Value& service : list.at({"items"}).items())
    addresses.insert(std::string(service.at({"spec"}).at({"clusterIP"}).as_string()));
  EXPECT_EQ(addresses.size(), 6u);
  // A released address is given out again; node ports are bounded likewise.
  std::string any;
  for (const json::Value& service : list.at({"items"}).items())
    if (service.at({"metadata"}).at({"name"}).as_string() != "kubernetes")
      any = service.at({"metadata"}).at({"name"}).as_string();
  EXPECT_EQ(call("DELETE", "/api/v1/namespaces/default/services/" + any).status, 200);
  constexpr const char* kTooMany =
      R"({"metadata":{"name":"n"},"spec":{"type":"NodePort","ports":[{"name":"a","port":1},{"name":"b","port":2},{"name":"c","port":3}]}})";
  EXPECT_GE(call("POST", "/api/v1/namespaces/default/services", kTooMany).status, 400);
  // What failed has given back its address and ports.
  constexpr const char* kTwo =
      R"({"metadata":{"name":"n"},"spec":{"type":"NodePort","ports":[{"name":"a","port":1},{"name":"b","port":2}]}})";
  EXPECT_EQ(call("POST", "/api/v1/namespaces/default/services", kTwo).status, 201);
}

TEST_F(StrategyTest, QuotaHoldsUnderConcurrency) {
  EXPECT_EQ(call("POST", "/api/v1/namespaces/default/resourcequotas",
                 R"({"metadata":{"name":"q"},"spec":{"hard":{"configmaps":"7"}}})")
                .status,
            201);
  EXPECT_EQ(call("PATCH", "/api/v1/namespaces/default/resourcequotas/q/status",
                 R"({"status":{"hard":{"configmaps":"7"},"used":{"configmaps":"0"}}})",
                 "application/merge-patch+json")
                .status,
            200);
  std::vector<client::ApiRequest> requests;
  for (int i = 0; i < 20; ++i)
    requests.push_back(request("POST", "/api/v1/namespaces/default/configmaps",
                               R"({"metadata":{"name":"c)" + std::to_string(i) + R"("}})"));
  EXPECT_EQ(send_all(std::move(requests), 201), 7);
  json::Value stored = parsed(call("GET", "/api/v1/namespaces/default/resourcequotas/q"));
  EXPECT_EQ(stored.at({"status"}).at({"used"}).at({"configmaps"}).as_string(), "7");
}

}  // namespace
}  // namespace knarr::apiserver
