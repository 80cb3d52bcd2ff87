// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kubelet/server/call.h"
#include "kubelet/server/log_line.h"
#include "kubelet/server/log_reader.h"
#include "kubelet/server/stats.h"
#include "kubelet/test_support.h"
#include "net/client.h"
#include "net/server.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

namespace core = api::core_v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempDir;

std::string message(const Status& status) { return std::string(status.message()); }

TEST(LogLineParser, ReadsBothFormats) {
  LogLine line;
  ASSERT_TRUE(parse_log_line("2016-10-20T18:39:20.57606443Z stdout F cri log\n", &line));
  EXPECT_EQ(line.text, "cri log\n");
  EXPECT_FALSE(line.is_stderr);
  EXPECT_EQ(schema::format_nano_time(line.time), "2016-10-20T18:39:20.576064430Z");
  ASSERT_TRUE(parse_log_line("2016-10-20T18:39:20+02:00 stderr P:TAG part \n", &line));
  EXPECT_EQ(line.text, "part ");
  EXPECT_TRUE(line.is_stderr);
  ASSERT_TRUE(parse_log_line("2016-10-20T18:39:20Z stdout F \n", &line));
  EXPECT_EQ(line.text, "\n");
  ASSERT_TRUE(parse_log_line(
      R"({"log":"docker\n","stream":"stderr","time":"2016-10-20T18:39:20.57606443Z"})", &line));
  EXPECT_EQ(line.text, "docker\n");
  for (const char* bad : {"", "\n", "2016-10-20T18:39:20Z", "x stdout F t",
                          "2016-10-20T18:39:20Z stdin F t", "2016-10-20T18:39:20Z stdout F", "{}"})
    EXPECT_FALSE(parse_log_line(bad, &line)) << bad;
}

TEST(LogFormat, CutsAndStamps) {
  LogOptions options;
  options.timestamps = true;
  options.since = *schema::parse_nano_time("2020-01-01T00:00:01Z");
  LogFormatter formatter(options);
  std::string out;
  formatter.add("2020-01-01T00:00:00Z stdout F old\n", out);
  formatter.add("2020-01-01T00:00:01Z stdout P a\n", out);
  formatter.add("2020-01-01T00:00:02Z stdout F b\n", out);
  formatter.add("garbage\n", out);
  formatter.add("2020-01-01T00:00:03Z stdout F c\n", out);
  EXPECT_EQ(out, "2020-01-01T00:00:01.000000000Z ab\n2020-01-01T00:00:03.000000000Z c\n");

  LogOptions limited;
  limited.limit_bytes = 5;
  LogFormatter cut(limited);
  out.clear();
  cut.add("2020-01-01T00:00:00Z stdout F abc\n", out);
  EXPECT_FALSE(cut.full());
  cut.add("2020-01-01T00:00:00Z stdout F def\n", out);
  EXPECT_TRUE(cut.full());
  EXPECT_EQ(out, "abc\nd");
}

Task<Status> append_to(std::string* out, std::string bytes) {
  *out += bytes;
  co_return Status();
}

class LogReading : public ::testing::Test {
 protected:
  void write(std::string_view text, bool append = true) {
    FILE* file = ::fopen(path.c_str(), append ? "a" : "w");
    ::fwrite(text.data(), 1, text.size(), file);
    ::fclose(file);
  }
  static std::string line(std::string_view text) {
    return "2020-01-01T00:00:00Z stdout F " + std::string(text) + "\n";
  }
  std::string read(LogOptions options) {
    std::string out;
    LogSink sink = [&out](std::string bytes) { return append_to(&out, std::move(bytes)); };
    Status status =
        testing::run(context, stream_log(path, options, nullptr, nullptr, std::move(sink)));
    return status.ok() ? out : "error: " + message(status);
  }
  TempDir dir;
  std::string path = dir / "0.log";
  boost::asio::io_context context;
};

TEST_F(LogReading, TakesTheTail) {
  write(line("1") + line("2") + line("3"));
  LogOptions options;
  EXPECT_EQ(read(options), "1\n2\n3\n");
  options.tail = 2;
  EXPECT_EQ(read(options), "2\n3\n");
  options.tail = 0;
  EXPECT_EQ(read(options), "");
  options.tail = 10;
  EXPECT_EQ(read(options), "1\n2\n3\n");
  options.tail = -1;
  write("2020-01-01T00:00:00Z stdout F unfinished");
  EXPECT_EQ(read(options), "1\n2\n3\nunfinished");
}

TEST_F(LogReading, TakesTheTailOfMuch) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += line(std::to_string(i));
  write(text);
  LogOptions options;
  options.tail = 1;
  EXPECT_EQ(read(options), "19999\n");
  options.tail = 15000;
  std::string out = read(options);
  EXPECT_TRUE(out.starts_with("5000\n5001\n"));
  EXPECT_TRUE(out.ends_with("\n19999\n"));
}

TEST_F(LogReading, SaysWhatIsMissing) {
  EXPECT_THAT(read(LogOptions()), HasSubstr("failed to try resolving symlinks in path"));
}

struct Following {
  LogReading* test;
  std::string out;
  bool done = false;
  Status status;
};

Task<void> follow_log(std::string path, std::shared_ptr<LogFollow> follow, FolderWatcher* watcher,
                      std::shared_ptr<Following> state) {
  LogOptions options;
  options.follow = true;
  std::string* out = &state->out;
  LogSink sink = [out](std::string bytes) { return append_to(out, std::move(bytes)); };
  state->status = co_await stream_log(path, options, follow, watcher, std::move(sink));
  state->done = true;
}

TEST_F(LogReading, FollowsThroughRotationUntilTheContainerStops) {
  FolderWatcher watcher(context.get_executor());
  auto follow = std::make_shared<LogFollow>(context.get_executor());
  auto state = std::make_shared<Following>();
  write(line("1"));
  spawn(context.get_executor(), follow_log(path, follow, &watcher, state));
  auto run_until = [&](std::string_view expected) {
    MonoTime deadline = Clock::real().mono() + std::chrono::seconds(5);
    while (state->out != expected && Clock::real().mono() < deadline)
      context.run_one_for(std::chrono::milliseconds(100));
    EXPECT_EQ(state->out, expected);
  };
  run_until("1\n");
  write(line("2") + "2020-01-01T00:00:00Z stdout F half");
  run_until("1\n2\n");
  write(" a line\n");
  run_until("1\n2\nhalf a line\n");
  // Rotation: the runtime goes on in the renamed file until it has made the new one.
  std::string old_path = dir / "0.log.20200101";
  ASSERT_EQ(::rename(path.c_str(), old_path.c_str()), 0);
  FILE* old_file = ::fopen(old_path.c_str(), "a");
  ::fputs(line("3").c_str(), old_file);
  ::fclose(old_file);
  write(line("4"));
  run_until("1\n2\nhalf a line\n3\n4\n");
  EXPECT_FALSE(state->done);
  write(line("5"));
  follow->stopped = true;
  follow->wake.notify();
  MonoTime deadline = Clock::real().mono() + std::chrono::seconds(5);
  while (!state->done && Clock::real().mono() < deadline)
    context.run_one_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(state->done);
  EXPECT_TRUE(state->status.ok()) << state->status.message();
  EXPECT_EQ(state->out, "1\n2\nhalf a line\n3\n4\n5\n");
}

TEST(LogContainer, IsChosenByStatus) {
  auto chosen = [](std::string_view status, bool previous) {
    std::string text = R"({"metadata":{"name":"p"},"status":{"containerStatuses":[{"name":"c",)" +
                       std::string(status) + "}]}}";
    Result<core::Pod> pod = schema::from_json<core::Pod>(text);
    EXPECT_TRUE(pod.ok()) << pod.status().message();
    Result<std::string> id = log_container_id(*pod, "c", previous);
    return id.ok() ? *id : message(id.status());
  };
  EXPECT_EQ(chosen(R"("state":{"running":{}},"containerID":"containerd://1")", false), "1");
  EXPECT_EQ(chosen(R"("state":{"running":{}},"containerID":"containerd://1")", true),
            "previous terminated container \"c\" in pod \"p\" not found");
  EXPECT_EQ(
      chosen(
          R"("state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"containerID":"containerd://0"}})",
          false),
      "0");
  EXPECT_EQ(
      chosen(
          R"("state":{"running":{}},"lastState":{"terminated":{"containerID":"containerd://0"}})",
          true),
      "0");
  EXPECT_EQ(chosen(R"("state":{"terminated":{"containerID":"containerd://2"}})", false), "2");
  EXPECT_EQ(chosen(R"("state":{"terminated":{}})", false),
            "container \"c\" in pod \"p\" is terminated");
  EXPECT_EQ(chosen(R"("state":{"waiting":{"reason":"ImagePullBackOff"}})", false),
            "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image");
  EXPECT_EQ(chosen(R"("state":{"waiting":{"reason":"ContainerCreating"}})", false),
            "container \"c\" in pod \"p\" is waiting to start: ContainerCreating");
  EXPECT_EQ(chosen(R"("ready":false)", false),
            "container \"c\" in pod \"p\" is waiting to start - no logs yet");
}

TEST(NodeStats, ReadTheKernelsFiles) {
  EXPECT_EQ(parse_cpu_nanos("cpu  10 1 5 1000 50 2 3 0 0 0\ncpu0 1 1 1 1\n", 100),
            uint64_t{21} * 10'000'000);
  auto memory = parse_meminfo("MemTotal:       1024 kB\nHugePages_Total:  3\n");
  EXPECT_EQ(memory["MemTotal"], 1048576u);
  EXPECT_EQ(memory["HugePages_Total"], 3u);
  auto network = parse_net_dev(
      "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 1 0 "
      "0 0 0 0 20 3 4 0 0 0 0 0\n");
  ASSERT_EQ(network.size(), 1u);
  EXPECT_EQ(network[0].name, "eth0");
  EXPECT_EQ(network[0].rx_bytes, 10u);
  EXPECT_EQ(network[0].tx_errors, 4u);
}

// A kubelet with one pod, whose runtime is `streaming_url`.
class FakeHost final : public ServerHost {
 public:
  std::vector<PodPtr> pods() override { return {the_pod}; }
  PodPtr pod(std::string_view ns, std::string_view name) override {
    return the_pod->metadata.namespace_ == ns && the_pod->metadata.name == name ? the_pod : nullptr;
  }
  std::string container_id(std::string_view, std::string_view container, bool) override {
    return container == "c" ? "cid" : "";
  }
  std::string sandbox_id(std::string_view) override { return "sid"; }
  Task<Result<std::string>> container_log_path(std::string) override { co_return log_path; }
  bool container_running(std::string_view) override { return running; }
  std::shared_ptr<void> on_container_exit(std::string, std::function<void()> exited) override {
    on_exit = std::move(exited);
    return std::make_shared<int>(0);
  }
  Task<Result<api::cri_v1::ExecResponse>> exec(api::cri_v1::ExecRequest request) override {
    last_exec = request;
    api::cri_v1::ExecResponse response;
    response.url = streaming_url + "/exec/token";
    co_return response;
  }
  Task<Result<api::cri_v1::AttachResponse>> attach(api::cri_v1::AttachRequest) override {
    co_return Status::make(500, "NotFound", "gone");
  }
  Task<Result<api::cri_v1::PortForwardResponse>> port_forward(
      api::cri_v1::PortForwardRequest) override {
    co_return Status::make(500, "Unavailable", "down");
  }
  Task<Result<api::cri_v1::ExecSyncResponse>> exec_sync(
      api::cri_v1::ExecSyncRequest request) override {
    api::cri_v1::ExecSyncResponse response;
    for (const schema::Str& word : request.cmd)
      response.stdout = response.stdout.str() + "[" + word.str() + "]";
    co_return response;
  }
  Task<Result<api::cri_v1::ListContainerStatsResponse>> container_stats() override {
    co_return stats;
  }
  Status healthy() override { return health; }

  std::shared_ptr<core::Pod> the_pod = std::make_shared<core::Pod>();
  std::string log_path, streaming_url;
  bool running = true;
  std::function<void()> on_exit;
  api::cri_v1::ExecRequest last_exec;
  api::cri_v1::ListContainerStatsResponse stats;
  Status health;
};

// Takes "secret" for alice, who may read but not run.
class FakeAuth final : public ServerAuth {
 public:
  Task<Result<UserInfo>> authenticate(const net::Request& request) override {
    if (request.headers.get("authorization") != "Bearer secret")
      co_return Status::make(401, "Unauthorized", "Unauthorized");
    UserInfo user;
    user.name = "alice";
    co_return user;
  }
  Task<Status> authorize(UserInfo user, std::string verb, std::string subresource,
                         std::string) override {
    seen.push_back(user.name + " " + verb + " " + subresource);
    if (forbid) co_return Status::make(403, "Forbidden", "Forbidden");
    co_return Status();
  }
  std::vector<std::string> seen;
  bool forbid = false;
};

// A runtime's streaming server: upgrades and echoes in capitals.
Task<void> serve_stream(net::Request& request, net::ResponseWriter& writer) {
  net::Headers headers;
  headers.add("Connection", "Upgrade");
  headers.add("Upgrade", request.headers.get("upgrade"));
  headers.add("X-Seen",
              request.path + " " + std::string(request.headers.get("x-stream-protocol-version")));
  Result<std::unique_ptr<net::ByteStream>> stream = co_await writer.upgrade(std::move(headers));
  if (!stream.ok()) co_return;
  char buffer[256];
  for (;;) {
    Result<size_t> n = co_await (*stream)->read(buffer, sizeof buffer);
    if (!n.ok() || *n == 0) break;
    for (size_t i = 0; i < *n; ++i) buffer[i] = static_cast<char>(::toupper(buffer[i]));
    std::string_view bytes(buffer, *n);
    Status written = co_await (*stream)->write(bytes);
    if (!written.ok()) break;
  }
  (*stream)->shutdown_write();
}

class Serving : public ::testing::Test {
 protected:
  Serving() {
    Result<core::Pod> pod = schema::from_json<core::Pod>(
        R"({"metadata":{"name":"p","namespace":"ns","uid":"u"},"spec":{"containers":[{"name":"c","image":"i"}]},
            "status":{"containerStatuses":[{"name":"c","state":{"running":{}},"containerID":"containerd://cid"}]}})");
    *host.the_pod = *pod;
    net::Handler handler = [](net::Request& request, net::ResponseWriter& writer) {
      return serve_stream(request, writer);
    };
    runtime = net::make_server({context.get_executor()}, {}, std::move(handler));
    Result<uint16_t> runtime_port = runtime->listen("127.0.0.1:0");
    host.streaming_url = "http://127.0.0.1:" + std::to_string(*runtime_port);
    KubeletServerOptions options;
    options.address = "127.0.0.1:0";
    options.node_name = "n";
    options.root_dir = dir.path();
    options.system_logs_dir = dir / "log";
    server = make_kubelet_server(host, auth, context.get_executor(), options);
    Result<uint16_t> port = server->listen();
    net::ClientOptions client_options;
    client_options.address = "127.0.0.1:" + std::to_string(*port);
    client = net::make_client(context.get_executor(), client_options);
  }
  ~Serving() override {
    client->close();
    server.reset();
    runtime.reset();
    context.restart();
    context.poll();
  }

  struct Answer {
    int code = 0;
    std::string body;
  };
  static Task<Answer> ask(net::Client* client, std::string method, std::string target) {
    net::ClientRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers.add("Authorization", "Bearer secret");
    Result<net::ClientResponse> response = co_await client->send(std::move(request));
    Answer answer;
    if (!response.ok()) {
      answer.body = message(response.status());
      co_return answer;
    }
    answer.code = response->status;
    Result<std::string> body = co_await response->body->read_all(1 << 20);
    answer.body = body.ok() ? *body : message(body.status());
    co_return answer;
  }
  Answer get(std::string target) {
    return testing::run(context, ask(client.get(), "GET", std::move(target)));
  }
  Answer post(std::string target) {
    return testing::run(context, ask(client.get(), "POST", std::move(target)));
  }

  TempDir dir;
  boost::asio::io_context context;
  FakeHost host;
  FakeAuth auth;
  std::unique_ptr<net::Server> runtime;
  std::unique_ptr<KubeletServer> server;
  std::unique_ptr<net::Client> client;
};

TEST_F(Serving, AnswersTheSmallThings) {
  EXPECT_EQ(get("/healthz").body, "ok");
  host.health = Status::error("stuck");
  EXPECT_EQ(get("/healthz").code, 500);
  EXPECT_EQ(get("/healthz/ping").code, 200);
  EXPECT_EQ(get("/nowhere").code, 404);
  EXPECT_EQ(get("/pods/..%2fx").code, 404);
  EXPECT_EQ(post("/pods").code, 405);
  Answer pods = get("/pods");
  EXPECT_TRUE(pods.body.starts_with(
      R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"p")"))
      << pods.body;
  EXPECT_EQ(post("/run/ns/p/c?cmd=ls%20-l").body, "[ls][-l]");
  EXPECT_EQ(post("/run/ns/p/d?cmd=ls").body, "container not found (\"d\")");
  EXPECT_THAT(get("/metrics").body, HasSubstr("kubelet_running_pods 1\n"));
  EXPECT_EQ(get("/configz").body, "{\"kubeletconfig\":{}}");
}

TEST_F(Serving, ChecksAccess) {
  EXPECT_EQ(get("/metrics/resource").code, 200);
  EXPECT_EQ(get("/stats/summary").code, 200);
  EXPECT_EQ(post("/run/ns/p/c?cmd=x").code, 200);
  EXPECT_EQ(get("/logs/").code, 404);
  EXPECT_THAT(auth.seen, ElementsAre("alice get metrics", "alice get stats", "alice create proxy",
                                     "alice get log"));
  auth.forbid = true;
  EXPECT_EQ(get("/pods").code, 403);
}

TEST_F(Serving, TellsUsage) {
  api::cri_v1::ContainerStats& stats = host.stats.stats.emplace_back();
  stats.attributes = api::cri_v1::ContainerAttributes();
  stats.attributes->id = "cid";
  stats.attributes->labels["io.kubernetes.pod.name"] = "p";
  stats.attributes->labels["io.kubernetes.pod.namespace"] = "ns";
  stats.attributes->labels["io.kubernetes.pod.uid"] = "u";
  stats.attributes->labels["io.kubernetes.container.name"] = "c";
  stats.cpu = api::cri_v1::CpuUsage();
  stats.cpu->timestamp = 1'600'000'000'000'000'000;
  stats.cpu->usage_core_nano_seconds.ensure().value = 1'500'000'000;
  stats.memory = api::cri_v1::MemoryUsage();
  stats.memory->timestamp = 1'600'000'000'000'000'000;
  stats.memory->working_set_bytes.ensure().value = 4096;
  std::string metrics = get("/metrics/resource").body;
  EXPECT_THAT(metrics, HasSubstr("container_cpu_usage_seconds_total{container=\"c\",namespace="
                                 "\"ns\",pod=\"p\"} 1.5 1600000000000\n"));
  EXPECT_THAT(
      metrics,
      HasSubstr("pod_memory_working_set_bytes{namespace=\"ns\",pod=\"p\"} 4096 1600000000000\n"));
  EXPECT_THAT(metrics, HasSubstr("scrape_error 0\n"));
  stats.cpu->timestamp += 2'000'000'000;
  stats.cpu->usage_core_nano_seconds->value += 1'000'000'000;
  Result<json::Value> summary = json::parse(get("/stats/summary").body);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->at({"node", "nodeName"}).as_string(), "n");
  const json::Value& pod = summary->at({"pods"}).items().at(0);
  EXPECT_EQ(pod.at({"podRef", "uid"}).as_string(), "u");
  EXPECT_EQ(pod.at({"cpu", "usageNanoCores"}).as_int(), 500'000'000);
  EXPECT_EQ(pod.at({"containers"}).items().at(0).at({"memory", "workingSetBytes"}).as_int(), 4096);
}

TEST_F(Serving, StreamsLogs) {
  host.log_path = dir / "0.log";
  ASSERT_TRUE(write_plain(host.log_path,
                          "2020-01-01T00:00:00Z stdout F one\n2020-01-01T00:00:01Z stderr F two\n",
                          0644)
                  .ok());
  EXPECT_EQ(get("/containerLogs/ns/p/c").body, "one\ntwo\n");
  EXPECT_EQ(get("/containerLogs/ns/p/c?tailLines=1&timestamps=true").body,
            "2020-01-01T00:00:01.000000000Z two\n");
  EXPECT_EQ(get("/containerLogs/ns/p/c?limitBytes=2").body, "on");
  EXPECT_EQ(get("/containerLogs/ns/p/c?sinceTime=2020-01-01T00:00:01Z").body, "two\n");
  EXPECT_EQ(get("/containerLogs/ns/p/c?tailLines=x").code, 400);
  EXPECT_EQ(get("/containerLogs/ns/p/c?tailLines=-1").code, 422);
  EXPECT_EQ(get("/containerLogs/ns/p/c?sinceSeconds=1&sinceTime=2020-01-01T00:00:01Z").code, 422);
  EXPECT_EQ(get("/containerLogs/ns/p/d").body, "container \"d\" not found in pod \"p\"");
  EXPECT_EQ(get("/containerLogs/ns/q/c").code, 404);
  EXPECT_EQ(get("/containerLogs/ns/p/c?previous=true").body,
            "previous terminated container \"c\" in pod \"p\" not found");
  host.running = false;
  EXPECT_EQ(get("/containerLogs/ns/p/c?follow=true").body, "one\ntwo\n");
}

TEST_F(Serving, ServesSystemLogsButNothingElse) {
  ASSERT_TRUE(make_folders(dir / "log/sub", 0755).ok());
  ASSERT_TRUE(write_plain(dir / "log/sub/a&b", "text", 0644).ok());
  ASSERT_EQ(::symlink("/etc/passwd", (dir / "log/out").c_str()), 0);
  EXPECT_EQ(get("/logs/sub/a%26b").body, "text");
  EXPECT_THAT(get("/logs/").body, HasSubstr("<a href=\"sub/\">sub/</a>"));
  EXPECT_THAT(get("/logs/sub/").body, HasSubstr(">a&amp;b</a>"));
  EXPECT_EQ(get("/logs/out").code, 403);
  EXPECT_EQ(get("/logs/sub/gone").code, 404);
  ASSERT_EQ(::mkfifo((dir / "log/fifo").c_str(), 0644), 0);
  EXPECT_EQ(get("/logs/fifo").code, 403);
}

struct Exchange {
  int code = 0;
  std::string seen, echoed, body;
};
Task<Exchange> upgrade_to(net::Client* client, std::string target) {
  net::ClientRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.add("Authorization", "Bearer secret");
  request.headers.add("Connection", "Upgrade");
  request.headers.add("Upgrade", "SPDY/3.1");
  request.headers.add("X-Stream-Protocol-Version", "v4.channel.k8s.io");
  Exchange exchange;
  Result<net::Client::Upgraded> upgraded = co_await client->upgrade(std::move(request));
  if (!upgraded.ok()) {
    exchange.body = message(upgraded.status());
    co_return exchange;
  }
  exchange.code = upgraded->response.status;
  exchange.seen = upgraded->response.headers.get("x-seen");
  if (upgraded->stream == nullptr) {
    Result<std::string> body = co_await upgraded->response.body->read_all(1 << 20);
    exchange.body = body.ok() ? *body : message(body.status());
    co_return exchange;
  }
  std::string_view hello = "hello";
  Status written = co_await upgraded->stream->write(hello);
  EXPECT_TRUE(written.ok());
  upgraded->stream->shutdown_write();
  char buffer[64];
  for (;;) {
    Result<size_t> n = co_await upgraded->stream->read(buffer, sizeof buffer);
    if (!n.ok() || *n == 0) break;
    exchange.echoed.append(buffer, *n);
  }
  co_return exchange;
}

TEST_F(Serving, TunnelsToTheRuntime) {
  auto upgrade = [&](std::string target) {
    return testing::run(context, upgrade_to(client.get(), std::move(target)));
  };
  Exchange exec = upgrade("/exec/ns/p/c?command=sh&command=-c&input=1&output=1&error=1&tty=1");
  EXPECT_EQ(exec.code, 101);
  EXPECT_EQ(exec.seen, "/exec/token v4.channel.k8s.io");
  EXPECT_EQ(exec.echoed, "HELLO");
  EXPECT_EQ(host.last_exec.container_id, "cid");
  EXPECT_EQ(host.last_exec.cmd.size(), 2u);
  EXPECT_TRUE(host.last_exec.tty && host.last_exec.stdin && host.last_exec.stdout);
  EXPECT_FALSE(host.last_exec.stderr);
  EXPECT_EQ(upgrade("/exec/ns/p/u/c?command=sh&output=1").code, 101);
  EXPECT_EQ(upgrade("/exec/ns/p/c?command=sh").body,
            "you must specify at least 1 of stdin, stdout, stderr");
  EXPECT_EQ(upgrade("/exec/ns/p/d?command=sh&output=1").body, "container not found (\"d\")");
  EXPECT_EQ(upgrade("/exec/ns/q/c?command=sh&output=1").code, 404);
  Exchange attach = upgrade("/attach/ns/p/c?output=1");
  EXPECT_EQ(attach.code, 404);
  EXPECT_EQ(attach.body, "gone");
  EXPECT_EQ(upgrade("/portForward/ns/p?port=70000").code, 400);
  EXPECT_EQ(upgrade("/portForward/ns/p").code, 500);
  EXPECT_EQ(post("/exec/ns/p/c?command=sh&output=1").code, 400);
}

}  // namespace
}  // namespace knarr::kubelet
