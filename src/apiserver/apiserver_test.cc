// SPDX-License-Identifier: Apache-2.0
// The whole server in this process, on a store in a temporary folder. With KNARR_TEST_KUBECONFIG the API cases run against that server
// instead: they hold for upstream's too.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>

#include "api/core_v1.h"
#include "apiserver/case_harness.h"
#include "apiserver/server.h"
#include "client/kubeconfig.h"
#include "store/embedded_store.h"

namespace knarr::apiserver {
namespace {

namespace fs = std::filesystem;

// The sources' folder, from wherever the test was started.
std::string source_folder() {
  for (fs::path at = fs::current_path(); at.has_relative_path(); at = at.parent_path())
    if (fs::exists(at / "src/apiserver/testdata/cases")) return (at / "src/apiserver").string();
  return "src/apiserver";
}

class ApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path().string() + "/apiserver_test.XXXXXX";
    folder_ = mkdtemp(pattern.data());
    open();
  }
  void TearDown() override {
    close();
    fs::remove_all(folder_);
  }

  // Ends the server as a program does: stop, let what runs come to its end, destroy.
  void close() {
    struct Stop {
      static Task<bool> run(ApiServer* server) {
        co_await server->stop();
        co_return true;
      }
    };
    run(Stop::run(server_.get()));
    for (int i = 0; i < 10; ++i) {
      loop_.restart();
      loop_.poll();
    }
    transport_.reset();
    server_.reset();
    store_.reset();
  }

  void open() {
    store::EmbeddedOptions options;
    options.dir = folder_ + "/store";
    options.no_sync = true;
    auto opened = store::open_embedded_store(options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(*opened);
    server_ = make_api_server(loop_.get_executor(), store_, Clock::real(), Options{});
    Status status = run(server_->start());
    ASSERT_TRUE(status.ok()) << status.message();
    transport_ = server_->local_transport({"admin", "", {"system:masters", "system:authenticated"}, {}});
  }

  // Runs one task to its end.
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

  json::Value call(std::string method, std::string target, std::string body = {}, int expected = 200, std::string type = "application/json") {
    client::ApiRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.content_type = body.empty() ? "" : type;
    request.body = std::move(body);
    request.accept = "application/json";
    auto response = run(transport_->send(std::move(request)));
    EXPECT_TRUE(response.ok());
    EXPECT_EQ(response->status, expected) << response->body;
    auto parsed = json::parse(response->body);
    return parsed.ok() ? *parsed : json::Value();
  }

  std::string folder_;
  boost::asio::io_context loop_;
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<ApiServer> server_;
  std::shared_ptr<client::Transport> transport_;
};

std::string config_map(std::string_view name, std::string_view labels = "{}") {
  return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + std::string(name) + R"(","labels":)" + std::string(labels) + R"(},"data":{"a":"b"}})";
}
constexpr std::string_view kNamespace = R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"t"}})";
constexpr const char* kMaps = "/api/v1/namespaces/t/configmaps";

TEST_F(ApiServerTest, Cases) {
  std::shared_ptr<client::Transport> transport = transport_;
  if (const char* config = std::getenv("KNARR_TEST_KUBECONFIG")) {
    auto access = client::load_kubeconfig(config);
    ASSERT_TRUE(access.ok()) << access.status().message();
    auto remote = client::make_https_transport(loop_.get_executor(), *access);
    ASSERT_TRUE(remote.ok()) << remote.status().message();
    transport = *remote;
  }
  auto cases = testing::load_cases(source_folder() + "/testdata/cases");
  ASSERT_FALSE(cases.empty());
  for (const auto& file : cases) {
    std::string problems = run(testing::run_case(file, *transport));
    EXPECT_EQ(problems, "");
  }
}

// Reads a JSON watch line by line.
class WatchReader {
 public:
  explicit WatchReader(std::unique_ptr<net::BodyReader> body) : body_(std::move(body)) {}
  static Task<json::Value> next(WatchReader* self) {
    while (self->buffer_.find('\n') == std::string::npos) {
      auto chunk = co_await self->body_->read();
      if (!chunk.ok() || chunk->empty()) co_return json::Value();
      self->buffer_ += *chunk;
    }
    size_t end = self->buffer_.find('\n');
    auto value = json::parse(std::string_view(self->buffer_).substr(0, end));
    self->buffer_.erase(0, end + 1);
    co_return value.ok() ? *value : json::Value();
  }

 private:
  std::unique_ptr<net::BodyReader> body_;
  std::string buffer_;
};

class WatchTest : public ApiServerTest {
 protected:
  std::unique_ptr<WatchReader> watch(std::string target) {
    client::ApiRequest request;
    request.target = std::move(target);
    request.accept = "application/json";
    auto stream = run(transport_->open(std::move(request)));
    EXPECT_TRUE(stream.ok());
    EXPECT_EQ(stream->status, 200);
    return std::make_unique<WatchReader>(std::move(stream->body));
  }
  // "ADDED name" of the next event.
  std::string next(WatchReader& reader) {
    last_ = run(WatchReader::next(&reader));
    return std::string(last_.at({"type"}).as_string()) + " " + std::string(last_.at({"object", "metadata", "name"}).as_string());
  }
  json::Value last_;
};

TEST_F(WatchTest, SeesChangesAfterItsRevision) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  call("POST", kMaps, config_map("before"), 201);
  json::Value list = call("GET", kMaps);
  std::string revision(list.at({"metadata", "resourceVersion"}).as_string());
  auto reader = watch(std::string(kMaps) + "?watch=1&resourceVersion=" + revision);
  call("POST", kMaps, config_map("after"), 201);
  EXPECT_EQ(next(*reader), "ADDED after");
  call("PATCH", std::string(kMaps) + "/after", R"({"data":{"a":"c"}})", 200, "application/merge-patch+json");
  EXPECT_EQ(next(*reader), "MODIFIED after");
  EXPECT_EQ(last_.at({"object", "data", "a"}).as_string(), "c");
  json::Value deleted = call("DELETE", std::string(kMaps) + "/after");
  EXPECT_EQ(next(*reader), "DELETED after");
  EXPECT_GT(std::stoll(std::string(last_.at({"object", "metadata", "resourceVersion"}).as_string())), std::stoll(revision) + 1);
}

TEST_F(WatchTest, StartsWithWhatIsThere) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  call("POST", kMaps, config_map("one"), 201);
  auto reader = watch(std::string(kMaps) + "?watch=1");
  EXPECT_EQ(next(*reader), "ADDED one");
  call("POST", kMaps, config_map("two"), 201);
  EXPECT_EQ(next(*reader), "ADDED two");
}

TEST_F(WatchTest, ObjectsEnterAndLeaveASelection) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  auto reader = watch(std::string(kMaps) + "?watch=1&labelSelector=color%3Dred");
  call("POST", kMaps, config_map("a", R"({"color":"blue"})"), 201);
  call("PATCH", std::string(kMaps) + "/a", R"({"metadata":{"labels":{"color":"red"}}})", 200, "application/merge-patch+json");
  EXPECT_EQ(next(*reader), "ADDED a");
  json::Value changed = call("PATCH", std::string(kMaps) + "/a", R"({"metadata":{"labels":{"color":"green"}}})", 200, "application/merge-patch+json");
  EXPECT_EQ(next(*reader), "DELETED a");
  // The object as it was in the selection, at the revision at which it left.
  EXPECT_EQ(last_.at({"object", "metadata", "labels", "color"}).as_string(), "red");
  EXPECT_EQ(last_.at({"object", "metadata", "resourceVersion"}), changed.at({"metadata", "resourceVersion"}));
}

TEST_F(WatchTest, ReadsHistoryOlderThanTheCache) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  json::Value first = call("POST", kMaps, config_map("a"), 201);
  call("POST", kMaps, config_map("b"), 201);
  std::string revision(first.at({"metadata", "resourceVersion"}).as_string());
  // A restarted server has nothing in its ring: the events come from the store.
  close();
  open();
  auto reader = watch(std::string(kMaps) + "?watch=1&resourceVersion=" + revision);
  EXPECT_EQ(next(*reader), "ADDED b");
  call("POST", kMaps, config_map("c"), 201);
  EXPECT_EQ(next(*reader), "ADDED c");
}

TEST_F(WatchTest, SlowReaderMissesNothing) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  call("POST", kMaps, config_map("a"), 201);
  auto reader = watch(std::string(kMaps) + "?watch=1");
  EXPECT_EQ(next(*reader), "ADDED a");
  // More than the ring holds, of objects big enough to stop the writer.
  std::string pad(2000, 'x');
  constexpr int kChanges = 2600;
  for (int i = 0; i < kChanges; ++i)
    call("PATCH", std::string(kMaps) + "/a", R"({"data":{"n":")" + std::to_string(i) + R"(","pad":")" + pad + R"("}})", 200,
         "application/merge-patch+json");
  for (int i = 0; i < kChanges; ++i) {
    ASSERT_EQ(next(*reader), "MODIFIED a");
    ASSERT_EQ(last_.at({"object", "data", "n"}).as_string(), std::to_string(i));
  }
}

TEST_F(ApiServerTest, ListsInChunksOfOneRevision) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  for (int i = 0; i < 7; ++i) call("POST", kMaps, config_map("m" + std::to_string(i)), 201);
  json::Value page = call("GET", std::string(kMaps) + "?limit=3");
  std::string revision(page.at({"metadata", "resourceVersion"}).as_string());
  EXPECT_EQ(page.at({"items"}).items().size(), 3u);
  EXPECT_EQ(page.at({"metadata", "remainingItemCount"}).as_int(), 4);
  // What changes meanwhile is not seen.
  call("DELETE", std::string(kMaps) + "/m4");
  call("POST", kMaps, config_map("m9"), 201);
  std::vector<std::string> names;
  std::string token(page.at({"metadata", "continue"}).as_string());
  while (!token.empty()) {
    page = call("GET", std::string(kMaps) + "?limit=3&continue=" + token);
    EXPECT_EQ(page.at({"metadata", "resourceVersion"}).as_string(), revision);
    for (const json::Value& item : page.at({"items"}).items()) names.emplace_back(item.at({"metadata", "name"}).as_string());
    token = page.at({"metadata", "continue"}).as_string();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"m3", "m4", "m5", "m6"}));
}

TEST_F(ApiServerTest, KeepsWhatItHasOverARestart) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  json::Value made = call("POST", kMaps, config_map("a"), 201);
  close();
  open();
  EXPECT_EQ(call("GET", std::string(kMaps) + "/a"), made);
}

TEST_F(ApiServerTest, ManyWritersOfOneObjectAllGetThrough) {
  call("POST", "/api/v1/namespaces", std::string(kNamespace), 201);
  call("POST", kMaps, config_map("a"), 201);
  constexpr int kWriters = 20;
  int done = 0;
  struct Writer {
    static Task<void> run(client::Transport* transport, int i, int* done) {
      client::ApiRequest request;
      request.method = "PATCH";
      request.target = std::string(kMaps) + "/a";
      request.content_type = "application/merge-patch+json";
      request.accept = "application/json";
      request.body = R"({"data":{"w)" + std::to_string(i) + R"(":"x"}})";
      auto response = co_await transport->send(std::move(request));
      EXPECT_TRUE(response.ok());
      EXPECT_EQ(response->status, 200) << response->body;
      ++*done;
    }
  };
  for (int i = 0; i < kWriters; ++i) spawn(loop_.get_executor(), Writer::run(transport_.get(), i, &done));
  loop_.restart();
  while (done < kWriters && loop_.run_one() > 0) {
  }
  EXPECT_EQ(call("GET", std::string(kMaps) + "/a").at({"data"}).members().size(), kWriters + 1u);
}

}  // namespace
}  // namespace knarr::apiserver
