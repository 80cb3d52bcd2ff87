// SPDX-License-Identifier: Apache-2.0
#include "kubelet/volume/volume_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "api/authentication_v1.h"
#include "base/files.h"
#include "kubelet/test_support.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

namespace core = api::core_v1;
using ::testing::ElementsAre;
using testing::FakeObjects;
using ::testing::HasSubstr;
using testing::RecordingMounter;
using testing::TempDir;

// An API server that knows nothing but TokenRequest.
class TokenServer final : public client::Transport {
 public:
  Task<Result<client::ApiResponse>> send(client::ApiRequest request) override {
    targets.push_back(request.method + " " + request.target);
    client::ApiResponse response;
    if (fail) {
      response.status = 500;
      response.headers.add("Content-Type", "application/json");
      response.body =
          R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"no tokens","code":500})";
      co_return response;
    }
    api::authentication_v1::TokenRequest made;
    made.spec.expiration_seconds = lifetime;
    made.status.token = "token-" + std::to_string(++issued);
    made.status.expiration_timestamp =
        schema::to_time(Clock::real().now() + std::chrono::seconds(lifetime));
    response.status = 201;
    response.headers.add("Content-Type", "application/json");
    response.body = schema::encode(schema::Encoding::kJson,
                                   api::authentication_v1::TokenRequest::kind_info(), &made);
    co_return response;
  }
  Task<Result<Streaming>> open(client::ApiRequest) override {
    co_return Status::error("nothing to watch");
  }

  std::vector<std::string> targets;
  bool fail = false;
  int64_t lifetime = 3600;
  int issued = 0;
};

template <class T>
T parsed(std::string_view json) {
  Result<T> value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

class Volumes : public ::testing::Test {
 protected:
  Volumes() {
    VolumeManager::Config config;
    config.root_dir = dir.path();
    config.event = [this](const core::Pod&, const std::string& type, const std::string& reason,
                          const std::string& text) {
      events.push_back(type + " " + reason + " " + text);
    };
    manager = make_volume_manager(client, objects, mounter, context.get_executor(), config);
  }
  ~Volumes() override {
    manager.reset();
    context.restart();
    context.run_for(std::chrono::milliseconds(50));
  }

  std::shared_ptr<core::Pod> pod_of(std::string_view volumes, std::string_view mounts,
                                    std::string_view more = "") {
    std::string text =
        R"({"metadata":{"name":"p","namespace":"ns","uid":"u","labels":{"a":"1"}},"spec":{"serviceAccountName":"sa",)" +
        std::string(more) + R"("volumes":[)" + std::string(volumes) +
        R"(],"containers":[{"name":"c","volumeMounts":[)" + std::string(mounts) + "]}]}}";
    return std::make_shared<core::Pod>(parsed<core::Pod>(text));
  }
  Result<MountedVolumes> prepare(PodPtr pod) {
    return testing::run(context, manager->prepare(std::move(pod)));
  }
  std::string read(std::string_view below) {
    Result<std::string> text = read_file(dir / below);
    return text.ok() ? *text : "<none>";
  }
  // Lets the executor work until `done`, at most 5 s.
  void run_until(const std::function<bool()>& done) {
    MonoTime deadline = Clock::real().mono() + std::chrono::seconds(5);
    context.restart();
    while (!done() && Clock::real().mono() < deadline) {
      context.run_one_for(std::chrono::milliseconds(50));
      if (context.stopped()) context.restart();
    }
    EXPECT_TRUE(done());
  }

  TempDir dir;
  boost::asio::io_context context;
  std::shared_ptr<TokenServer> api = std::make_shared<TokenServer>();
  client::Client client{api, "kubelet"};
  FakeObjects objects;
  std::shared_ptr<RecordingMounter> mounter = std::make_shared<RecordingMounter>();
  std::vector<std::string> events;
  std::unique_ptr<VolumeManager> manager;
};

constexpr std::string_view kConfigMapVolume =
    R"({"name":"cm","configMap":{"name":"map","defaultMode":420}})";
constexpr std::string_view kConfigMapMount = R"({"name":"cm","mountPath":"/cm"})";
constexpr std::string_view kConfigMapPath = "pods/u/volumes/kubernetes.io~configmap/cm";

TEST_F(Volumes, MakesWhatContainersMount) {
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"v"}})");
  objects.secrets["ns/sec"] = parsed<core::Secret>(R"({"data":{"s":"eA=="}})");
  auto pod = pod_of(
      R"({"name":"cm","configMap":{"name":"map","defaultMode":420}},{"name":"s","secret":{"secretName":"sec","defaultMode":256}},
      {"name":"e","emptyDir":{}},{"name":"m","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}},{"name":"h","hostPath":{"path":"/etc"}},
      {"name":"unused","emptyDir":{}},
      {"name":"d","downwardAPI":{"defaultMode":420,"items":[{"path":"x/labels","fieldRef":{"fieldPath":"metadata.labels"}}]}})",
      R"({"name":"cm","mountPath":"/cm"},{"name":"s","mountPath":"/s"},{"name":"e","mountPath":"/e"},{"name":"m","mountPath":"/m"},
      {"name":"h","mountPath":"/h"},{"name":"d","mountPath":"/d"})");
  Result<MountedVolumes> mounted = prepare(pod);
  ASSERT_TRUE(mounted.ok()) << mounted.status().message();
  EXPECT_EQ(mounted->size(), 6u);
  EXPECT_EQ((*mounted)["e"].host_path, dir / "pods/u/volumes/kubernetes.io~empty-dir/e");
  EXPECT_EQ((*mounted)["h"].host_path, "/etc");
  EXPECT_FALSE((*mounted)["h"].managed);
  EXPECT_TRUE((*mounted)["s"].read_only);
  EXPECT_FALSE((*mounted)["e"].read_only);
  EXPECT_EQ(read("pods/u/volumes/kubernetes.io~configmap/cm/k"), "v");
  EXPECT_EQ(read("pods/u/volumes/kubernetes.io~secret/s/s"), "x");
  EXPECT_EQ(read("pods/u/volumes/kubernetes.io~downward-api/d/x/labels"), "a=\"1\"");
  EXPECT_EQ(mounter->calls.size(), 3u);  // tmpfs under secret, memory and downward API
  EXPECT_THAT(mounter->calls,
              ::testing::Contains("tmpfs " + (dir / "pods/u/volumes/kubernetes.io~empty-dir/m") +
                                  " 1048576"));
  EXPECT_FALSE(file_exists(dir / "pods/u/volumes/kubernetes.io~empty-dir/unused"));
  EXPECT_THAT(manager->pods_on_disk(), ElementsAre("u"));

  Status cleaned = testing::run(context, manager->cleanup("u"));
  EXPECT_TRUE(cleaned.ok()) << cleaned.message();
  EXPECT_FALSE(file_exists(dir / "pods/u"));
  EXPECT_TRUE(mounter->mounted.empty());
  EXPECT_TRUE(objects.registered.empty());
  EXPECT_TRUE(file_exists("/etc/passwd"));
}

TEST_F(Volumes, WaitForWhatIsMissing) {
  auto pod = pod_of(kConfigMapVolume, kConfigMapMount);
  std::optional<Result<MountedVolumes>> result;
  spawn(context.get_executor(), testing::store_result(manager->prepare(pod), &result));
  run_until([&] { return !events.empty(); });
  EXPECT_THAT(events, ElementsAre("Warning FailedMount MountVolume.SetUp failed for volume \"cm\" "
                                  ": configmap \"map\" not found"));
  EXPECT_FALSE(result.has_value());
  MonoTime before = Clock::real().mono();
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"v"}})");
  objects.listener("u");
  run_until([&] { return result.has_value(); });
  ASSERT_TRUE(result->ok());
  // By the event, not by the next try.
  EXPECT_LT(Clock::real().mono() - before, std::chrono::milliseconds(400));
  EXPECT_EQ(read(std::string(kConfigMapPath) + "/k"), "v");
}

TEST_F(Volumes, FollowTheirSources) {
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"v"}})");
  auto pod = pod_of(
      R"({"name":"cm","configMap":{"name":"map","defaultMode":420}},
         {"name":"d","downwardAPI":{"defaultMode":420,"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}})",
      R"({"name":"cm","mountPath":"/cm"},{"name":"d","mountPath":"/d"})");
  ASSERT_TRUE(prepare(pod).ok());
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"w","l":"new"}})");
  objects.listener("u");
  run_until([&] { return read(std::string(kConfigMapPath) + "/l") == "new"; });
  EXPECT_EQ(read(std::string(kConfigMapPath) + "/k"), "w");

  auto newer = std::make_shared<core::Pod>(*pod);
  newer->metadata.labels["b"] = "2";
  manager->pod_updated(newer);
  run_until([&] {
    return read("pods/u/volumes/kubernetes.io~downward-api/d/labels") == "a=\"1\"\nb=\"2\"";
  });

  // A source that goes away leaves the files, with an event.
  objects.config_maps.clear();
  objects.listener("u");
  run_until([&] { return !events.empty(); });
  EXPECT_EQ(read(std::string(kConfigMapPath) + "/k"), "w");
  EXPECT_THAT(events.front(), HasSubstr("configmap \"map\" not found"));
}

TEST_F(Volumes, AreTakenOverAfterARestart) {
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"v"}})");
  auto pod = pod_of(kConfigMapVolume, kConfigMapMount);
  manager->pod_updated(pod);  // no folder: never prepared
  EXPECT_TRUE(objects.registered.empty());
  ASSERT_TRUE(make_folders(dir / "pods/u", 0750).ok());
  manager->pod_updated(pod);
  run_until([&] { return read(std::string(kConfigMapPath) + "/k") == "v"; });
  objects.config_maps["ns/map"] = parsed<core::ConfigMap>(R"({"data":{"k":"w"}})");
  objects.listener("u");
  run_until([&] { return read(std::string(kConfigMapPath) + "/k") == "w"; });
}

TEST_F(Volumes, EndWhenReleased) {
  auto pod = pod_of(kConfigMapVolume, kConfigMapMount);
  std::optional<Result<MountedVolumes>> result;
  spawn(context.get_executor(), testing::store_result(manager->prepare(pod), &result));
  run_until([&] { return !events.empty(); });
  manager->release("u");
  run_until([&] { return result.has_value(); });
  EXPECT_EQ(result->status().reason(), "Cancelled");
}

TEST_F(Volumes, ProjectTokens) {
  objects.config_maps["ns/ca"] = parsed<core::ConfigMap>(R"({"data":{"ca.crt":"CA"}})");
  auto pod = pod_of(R"({"name":"t","projected":{"defaultMode":420,"sources":[
      {"serviceAccountToken":{"path":"token","expirationSeconds":3607,"audience":"x"}},{"configMap":{"name":"ca","items":[{"key":"ca.crt","path":"ca.crt"}]}},
      {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"fieldPath":"metadata.namespace"}}]}}]}})",
                    R"({"name":"t","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"})",
                    R"("securityContext":{"fsGroup":7,"runAsUser":5},)");
  ASSERT_TRUE(prepare(pod).ok());
  std::string base = "pods/u/volumes/kubernetes.io~projected/t/";
  EXPECT_EQ(read(base + "token"), "token-1");
  EXPECT_EQ(read(base + "ca.crt"), "CA");
  EXPECT_EQ(read(base + "namespace"), "ns");
  EXPECT_THAT(api->targets,
              ElementsAre(HasSubstr("POST /api/v1/namespaces/ns/serviceaccounts/sa/token")));
  struct stat info {};
  ASSERT_EQ(::stat((dir / (base + "token")).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  ASSERT_TRUE(prepare(pod).ok());  // the token is still good
  EXPECT_EQ(api->issued, 1);
}

TEST_F(Volumes, SayWhyThereIsNoToken) {
  api->fail = true;
  auto pod = pod_of(
      R"({"name":"t","projected":{"defaultMode":420,"sources":[{"serviceAccountToken":{"path":"token"}},{"configMap":{"name":"ca"}}]}})",
      R"({"name":"t","mountPath":"/t"})");
  std::optional<Result<MountedVolumes>> result;
  spawn(context.get_executor(), testing::store_result(manager->prepare(pod), &result));
  run_until([&] { return !events.empty(); });
  EXPECT_EQ(events.front(),
            "Warning FailedMount MountVolume.SetUp failed for volume \"t\" : [failed to fetch "
            "token: no tokens, configmap \"ca\" not found]");
  manager->release("u");
  run_until([&] { return result.has_value(); });
}

TEST_F(Volumes, RefuseNamesThatClimb) {
  auto pod = pod_of("", "");
  pod->metadata.uid = "../x";
  EXPECT_FALSE(prepare(pod).ok());
  EXPECT_FALSE(testing::run(context, manager->cleanup("..")).ok());
  EXPECT_FALSE(testing::run(context, manager->cleanup("")).ok());
}

}  // namespace
}  // namespace knarr::kubelet
