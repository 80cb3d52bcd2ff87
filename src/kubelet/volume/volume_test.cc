// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "kubelet/test_support.h"
#include "kubelet/volume/atomic_writer.h"
#include "kubelet/volume/host_path.h"
#include "kubelet/volume/mount_table.h"
#include "kubelet/volume/ownership.h"
#include "kubelet/volume/payload.h"
#include "kubelet/volume/set_up.h"
#include "kubelet/volume/subpath.h"
#include "kubelet/volume/token_source.h"
#include "kubelet/volume/tree.h"
#include "schema/codec.h"

namespace knarr::kubelet {
namespace {

namespace core = api::core_v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RecordingMounter;
using testing::TempDir;
using ::testing::UnorderedElementsAre;

template <class T>
T parsed(std::string_view json) {
  Result<T> value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message();
  return value.ok() ? std::move(*value) : T();
}

std::string read(const std::string& path) {
  Result<std::string> text = read_file(path);
  return text.ok() ? *text : "<" + std::string(text.status().message()) + ">";
}
mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}
std::string message(const Status& status) { return std::string(status.message()); }

TEST(Paths, AreCleanedAsGoDoes) {
  EXPECT_EQ(clean_path("a//b/./c/.."), "a/b");
  EXPECT_EQ(clean_path("/../a"), "/a");
  EXPECT_EQ(clean_path("../a/../.."), "../..");
  EXPECT_EQ(clean_path(""), ".");
  EXPECT_TRUE(check_no_backsteps("a/..b/c").ok());
  EXPECT_EQ(message(check_no_backsteps("a/../c")), "must not contain '..'");
}

TEST(Tree, IsRemovedHoweverDeep) {
  TempDir dir;
  std::string outside = dir / "outside";
  ASSERT_TRUE(make_folders(outside, 0755).ok());
  ASSERT_TRUE(write_plain(outside + "/keep", "x", 0644).ok());
  std::string victim = dir / "victim";
  ASSERT_TRUE(make_folders(victim, 0755).ok());
  ASSERT_EQ(::symlink(outside.c_str(), (victim + "/link").c_str()), 0);
  ASSERT_TRUE(make_folders(victim + "/..knarr-removed-0", 0755).ok());
  ASSERT_TRUE(write_plain(victim + "/..knarr-removed-0/f", "x", 0644).ok());
  // Deeper than any path can name, and than descriptors would last.
  Fd here(::open(victim.c_str(), O_RDONLY | O_DIRECTORY));
  std::string name(50, 'd');
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(::mkdirat(here.get(), name.c_str(), 0755), 0);
    here = Fd(::openat(here.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(here.valid());
  }
  Status removed = remove_tree(victim);
  EXPECT_TRUE(removed.ok()) << removed.message();
  EXPECT_FALSE(file_exists(victim));
  EXPECT_EQ(read(outside + "/keep"), "x");
  EXPECT_TRUE(remove_tree(victim).ok());
}

TEST(MountTable, ListsDeepestFirst) {
  const char* table =
      "22 1 0:20 / / rw - ext4 /dev/vda rw\n"
      "23 22 0:21 / /var/lib/kubelet/pods/u rw shared:1 - tmpfs tmpfs rw\n"
      "24 22 0:22 / /var/lib/kubelet/pods/u/vol\\040x rw - tmpfs tmpfs rw\n"
      "25 22 0:22 / /var/lib/kubelet/pods/uu/v rw - tmpfs tmpfs rw\n"
      "broken\n";
  EXPECT_THAT(mount_points_below(table, "/var/lib/kubelet/pods/u"),
              ElementsAre("/var/lib/kubelet/pods/u/vol x", "/var/lib/kubelet/pods/u"));
}

class Atomic : public ::testing::Test {
 protected:
  Status write(Payload payload, bool* changed = nullptr) {
    AtomicWriter writer(dir.path(), Clock::real(), nullptr);
    return writer.write(payload, nullptr, changed);
  }
  std::vector<std::string> visible() {
    std::vector<std::string> names;
    Result<std::vector<std::string>> all = list_dir(dir.path());
    for (const std::string& name : *all)
      if (!name.starts_with("..")) names.push_back(name);
    return names;
  }
  size_t hidden() {
    size_t count = 0;
    Result<std::vector<std::string>> all = list_dir(dir.path());
    for (const std::string& name : *all) count += name.starts_with("..") ? 1 : 0;
    return count;
  }
  TempDir dir;
};

TEST_F(Atomic, PublishesUpdatesAndRemoves) {
  bool changed = false;
  ASSERT_TRUE(
      write({{"a", {"1", 0644, {}}}, {"sub/b", {"2", 0400, {}}}, {"sub/deep/c", {"3", 0777, {}}}},
            &changed)
          .ok());
  EXPECT_TRUE(changed);
  EXPECT_THAT(visible(), ElementsAre("a", "sub"));
  EXPECT_EQ(read(dir / "a"), "1");
  EXPECT_EQ(read(dir / "sub/b"), "2");
  EXPECT_EQ(mode_of(dir / "..data/sub/b"), 0400u);
  EXPECT_EQ(mode_of(dir / "..data/sub/deep/c"), 0777u);
  char link[256];
  ssize_t size = ::readlink((dir / "a").c_str(), link, sizeof link);
  EXPECT_EQ(std::string(link, static_cast<size_t>(size)), "..data/a");
  EXPECT_EQ(hidden(), 2u);  // ..data and the folder it names

  ASSERT_TRUE(
      write({{"a", {"1", 0644, {}}}, {"sub/b", {"2", 0400, {}}}, {"sub/deep/c", {"3", 0777, {}}}},
            &changed)
          .ok());
  EXPECT_FALSE(changed);

  ASSERT_TRUE(write({{"a", {"changed", 0644, {}}}, {"new", {"4", 0644, {}}}}, &changed).ok());
  EXPECT_TRUE(changed);
  EXPECT_THAT(visible(), ElementsAre("a", "new"));
  EXPECT_EQ(read(dir / "a"), "changed");
  EXPECT_EQ(hidden(), 2u);

  ASSERT_TRUE(write({}, &changed).ok());
  EXPECT_THAT(visible(), ElementsAre());
}

TEST_F(Atomic, TakesOverWhatAKilledWriterLeft) {
  ASSERT_TRUE(write({{"a", {"1", 0644, {}}}}).ok());
  ASSERT_EQ(::symlink("nowhere", (dir / "..data_tmp").c_str()), 0);
  ASSERT_TRUE(write({{"a", {"2", 0644, {}}}}).ok());
  EXPECT_EQ(read(dir / "a"), "2");
  EXPECT_EQ(hidden(), 2u);
}

TEST_F(Atomic, ReadersSeeAllOldOrAllNew) {
  ASSERT_TRUE(write({{"a", {"1", 0644, {}}}, {"b", {"1", 0644, {}}}}).ok());
  Fd old_view(::open((dir / "..data").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_TRUE(write({{"a", {"2", 0644, {}}}, {"b", {"2", 0644, {}}}}).ok());
  // The swap is by symlink: a folder that was opened before never mixes.
  EXPECT_FALSE(Fd(::openat(old_view.get(), "a", O_RDONLY)).valid());
  EXPECT_EQ(read(dir / "b"), "2");
}

TEST_F(Atomic, RefusesPathsThatLeave) {
  auto refused = [&](std::string path) { return message(write({{path, {"x", 0644, {}}}})); };
  EXPECT_EQ(refused("../x"), "invalid path: must not contain '..': ../x");
  EXPECT_EQ(refused("/x"), "invalid path: must be relative path: /x");
  EXPECT_EQ(refused("..x"), "invalid path: must not start with '..': ..x");
  EXPECT_EQ(refused("./..x"), "invalid path: must not start with '..': ..x");
  EXPECT_EQ(refused(""), "invalid path: must not be empty: \"\"");
  EXPECT_EQ(refused(std::string(256, 'n')),
            "invalid path: filenames must be less than or equal to 255 characters");
  EXPECT_TRUE(write({{"a..b", {"x", 0644, {}}}}).ok());
}

TEST_F(Atomic, KeepsTheOldFilesWhenPermissionsFail) {
  ASSERT_TRUE(write({{"a", {"1", 0644, {}}}}).ok());
  AtomicWriter writer(dir.path(), Clock::real(), nullptr);
  Status status = writer.write({{"a", {"2", 0644, {}}}}, [] { return Status::error("no"); });
  EXPECT_EQ(message(status), "no");
  EXPECT_EQ(read(dir / "a"), "1");
  EXPECT_EQ(hidden(), 2u);
}

TEST(PayloadOf, TakesItemsAndModes) {
  auto map = parsed<core::ConfigMap>(R"({"data":{"a":"1","b":"2"},"binaryData":{"c":"AAE="}})");
  Result<Payload> all = config_map_payload({}, map, 0644, false);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)["c"].data, std::string("\0\1", 2));
  auto source = parsed<core::ConfigMapVolumeSource>(
      R"({"items":[{"key":"a","path":"x/y","mode":256},{"key":"gone","path":"z"}]})");
  EXPECT_EQ(message(config_map_payload(source.items, map, 0644, false).status()),
            "configmap references non-existent config key: gone");
  Result<Payload> some = config_map_payload(source.items, map, 0644, true);
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->size(), 1u);
  EXPECT_EQ((*some)["x/y"].mode, 0400);
  EXPECT_EQ(message(secret_payload(source.items, core::Secret(), 0644, false).status()),
            "references non-existent secret key: a");
}

TEST(PayloadOf, AggregatesErrors) {
  EXPECT_TRUE(aggregate_errors({}).ok());
  EXPECT_EQ(message(aggregate_errors({Status::error("a")})), "a");
  EXPECT_EQ(message(aggregate_errors({Status::error("a"), Status::error("b"), Status::error("a")})),
            "[a, b]");
}

TEST(NestedMounts, AreFoundBelowTheVolume) {
  auto pod = parsed<core::Pod>(R"({"spec":{"containers":[{"name":"c","volumeMounts":[
    {"name":"v","mountPath":"/dir"},{"name":"w","mountPath":"/dir/nested/"},{"name":"x","mountPath":"/dir/nested-vol"},
    {"name":"y","mountPath":"/dir/nested/double"},{"name":"z","mountPath":"/dir2"}]}]}})");
  Result<std::vector<std::string>> nested = nested_mount_points("v", pod);
  ASSERT_TRUE(nested.ok());
  EXPECT_THAT(*nested, UnorderedElementsAre("nested", "nested-vol"));
}

TEST(HostPath, ChecksTypes) {
  TempDir dir;
  ASSERT_TRUE(write_plain(dir / "file", "", 0644).ok());
  auto check = [&](std::string path, const char* type) {
    core::HostPathVolumeSource source;
    source.path = path;
    source.type = type;
    return message(set_up_host_path(source));
  };
  EXPECT_EQ(check(dir / "file", "File"), "");
  EXPECT_EQ(check(dir / "file", "Directory"),
            "hostPath type check failed: " + (dir / "file") + " is not a directory");
  EXPECT_EQ(check(dir / "gone", "File"),
            "hostPath type check failed: " + (dir / "gone") + " is not a file");
  EXPECT_EQ(check(dir / "gone", ""), "");
  EXPECT_EQ(check(dir / "new/dir", "DirectoryOrCreate"), "");
  EXPECT_EQ(mode_of(dir / "new/dir"), 0755u);
  EXPECT_EQ(check(dir / "new/file", "FileOrCreate"), "");
  EXPECT_EQ(check(dir / "file", "Socket"),
            "hostPath type check failed: " + (dir / "file") + " is not a socket file");
  EXPECT_EQ(check("/dev/null", "CharDevice"), "");
  EXPECT_EQ(check(dir / "file", "BlockDevice"),
            "hostPath type check failed: " + (dir / "file") + " is not a block device");
  EXPECT_EQ(check("/a/../b", ""), "invalid HostPath `/a/../b`: must not contain '..'");
  EXPECT_EQ(check("/", "Foo"), "Foo is an invalid volume type");
}

TEST(SubPath, StaysInsideTheVolume) {
  TempDir dir;
  std::string volume = dir / "volume";
  ASSERT_TRUE(make_folders(volume, 0755).ok());
  ASSERT_TRUE(make_folders(dir / "outside/inner", 0755).ok());
  ASSERT_TRUE(write_plain(dir / "outside/file", "secret", 0644).ok());
  auto link = [&](const char* target, std::string name) {
    ASSERT_EQ(::symlink(target, (volume + "/" + name).c_str()), 0);
  };
  link((dir / "outside").c_str(), "absolute");
  link("../outside", "relative");
  link("../outside/file", "file");
  link("loop", "loop");
  ASSERT_TRUE(make_folders(volume + "/real/inner", 0755).ok());
  link("real", "inside");
  link((volume + "/real").c_str(), "absolute-inside");
  for (const char* path : {"absolute", "relative", "file", "loop", "absolute/inner", "relative/new",
                           "absolute/new/deep", "/etc", "a/../../x"})
    EXPECT_FALSE(open_sub_path(volume, path, true).ok()) << path;
  EXPECT_FALSE(file_exists(dir / "outside/new"));
  for (const char* path :
       {"real/inner", "inside/inner", "absolute-inside", "inside/made/deep", ".", "new"})
    EXPECT_TRUE(open_sub_path(volume, path, true).ok()) << path;
  EXPECT_TRUE(file_exists(volume + "/real/made/deep"));
  EXPECT_FALSE(open_sub_path(volume, "absent", false).ok());
}

TEST(SubPath, MakesFoldersWithTheVolumesMode) {
  TempDir dir;
  std::string volume = dir / "volume";
  ASSERT_TRUE(make_folders(volume, 02770).ok());
  ASSERT_TRUE(open_sub_path(volume, "a/b", true).ok());
  EXPECT_EQ(mode_of(volume + "/a"), 02770u);
  EXPECT_EQ(mode_of(volume + "/a/b"), 02770u);
}

TEST(SubPath, BindsWhatWasOpened) {
  TempDir dir;
  RecordingMounter mounter;
  std::string volume = dir / "volume";
  ASSERT_TRUE(make_folders(volume, 0755).ok());
  ASSERT_TRUE(write_plain(volume + "/file", "x", 0644).ok());
  ASSERT_TRUE(bind_sub_path(mounter, volume, "file", dir / "binds/v/c/0").ok());
  ASSERT_TRUE(bind_sub_path(mounter, volume, "folder", dir / "binds/v/c/1").ok());
  EXPECT_THAT(mounter.calls, ElementsAre("bind " + volume + "/file " + (dir / "binds/v/c/0"),
                                         "bind " + volume + "/folder " + (dir / "binds/v/c/1")));
}

TEST(ContainerMounts, AreUpstreams) {
  TempDir dir;
  RecordingMounter mounter;
  auto pod = std::make_shared<core::Pod>(parsed<core::Pod>(
      R"json({"metadata":{"name":"p","uid":"u"},"spec":{"containers":[{"name":"c","volumeMounts":[
    {"name":"v","mountPath":"/v","mountPropagation":"Bidirectional"},{"name":"cm","mountPath":"rel","readOnly":false},
    {"name":"v","mountPath":"/s","subPathExpr":"logs/$(POD)","readOnly":true}]}]}})json"));
  VolumeManager::ContainerContext context;
  context.pod = pod;
  context.container = &pod->spec.containers[0];
  context.env = {{"POD", "p-1"}};
  context.pod_ips = {"10.0.0.1"};
  context.hostname = "p";
  ASSERT_TRUE(make_folders(dir / "v", 0755).ok());
  context.volumes = {{"v", {dir / "v", false, true}}, {"cm", {dir / "cm", true, true}}};
  auto mounts = make_container_mounts(context, dir / "pod", mounter);
  ASSERT_TRUE(mounts.ok()) << mounts.status().message();
  ASSERT_EQ(mounts->size(), 4u);
  EXPECT_EQ((*mounts)[0].container_path, "/v");
  EXPECT_EQ((*mounts)[0].propagation, 2);
  EXPECT_EQ((*mounts)[1].container_path, "/rel");
  EXPECT_TRUE((*mounts)[1].readonly);
  EXPECT_EQ((*mounts)[2].host_path, (dir / "pod") + "/volume-subpaths/v/c/2");
  EXPECT_TRUE((*mounts)[2].readonly);
  EXPECT_EQ((*mounts)[3].container_path, "/etc/hosts");
  EXPECT_THAT(read((*mounts)[3].host_path.str()), HasSubstr("10.0.0.1\tp\n"));

  auto fails = [&](std::string_view volume_mount) {
    auto broken = std::make_shared<core::Pod>(*pod);
    broken->spec.containers[0].volume_mounts.clear();
    broken->spec.containers[0].volume_mounts.push_back(parsed<core::VolumeMount>(volume_mount));
    context.pod = broken;
    context.container = &broken->spec.containers[0];
    return message(make_container_mounts(context, dir / "pod", mounter).status());
  };
  EXPECT_EQ(fails(R"({"name":"w","mountPath":"/w"})"),
            "cannot find volume \"w\" to mount into container \"c\"");
  EXPECT_EQ(fails(R"({"name":"v","mountPath":"/w","subPath":"/x"})"),
            "error SubPath `/x` must not be an absolute path");
  EXPECT_EQ(fails(R"({"name":"v","mountPath":"/w","subPath":"a/../x"})"),
            "unable to provision SubPath `a/../x`: must not contain '..'");
  EXPECT_EQ(fails(R"json({"name":"v","mountPath":"/w","subPathExpr":"$(NOPE)/$(ALSO)"})json"),
            "missing value for ALSO, NOPE");
  ASSERT_EQ(::symlink("/etc", (dir / "v/out").c_str()), 0);
  EXPECT_EQ(fails(R"({"name":"v","mountPath":"/w","subPath":"out"})"),
            "failed to prepare subPath for volumeMount \"v\" of container \"c\"");
}

TEST(Ownership, AddsGroupBits) {
  TempDir dir;
  RecordingMounter mounter;
  ASSERT_TRUE(make_folders(dir / "v/d", 0755).ok());
  ASSERT_TRUE(write_plain(dir / "v/d/f", "", 0600).ok());
  ASSERT_EQ(::symlink("f", (dir / "v/d/l").c_str()), 0);
  ASSERT_TRUE(set_volume_ownership(mounter, dir / "v", 2000, false).ok());
  EXPECT_EQ(mounter.owners[dir / "v/d/f"], std::make_pair(int64_t{-1}, int64_t{2000}));
  EXPECT_EQ(mounter.owners.count(dir / "v/d/l"), 1u);
  EXPECT_EQ(mode_of(dir / "v/d/f"), 0660u);
  EXPECT_EQ(mode_of(dir / "v/d"), 02775u);
  ASSERT_TRUE(write_plain(dir / "v/ro", "", 0600).ok());
  ASSERT_TRUE(set_volume_ownership(mounter, dir / "v/ro", 2000, true).ok());
  EXPECT_EQ(mode_of(dir / "v/ro"), 0640u);
}

TEST(Ownership, FindsTheCommonUser) {
  auto user = [](std::string_view spec) { return common_user(parsed<core::Pod>(spec)); };
  EXPECT_EQ(user(R"({"spec":{"containers":[{"name":"a"}]}})"), std::nullopt);
  EXPECT_EQ(
      user(
          R"({"spec":{"securityContext":{"runAsUser":5},"containers":[{"name":"a"},{"name":"b","securityContext":{"runAsUser":5}}]}})"),
      5);
  EXPECT_EQ(
      user(
          R"({"spec":{"securityContext":{"runAsUser":5},"containers":[{"name":"a"},{"name":"b","securityContext":{"runAsUser":6}}]}})"),
      std::nullopt);
}

TEST(MemorySize, IsTheLeastLimit) {
  schema::Map<schema::Quantity> node;
  node["memory"] = schema::Quantity("8Gi");
  auto size = [&](const char* pod, const char* volume) {
    return memory_volume_size(parsed<core::EmptyDirVolumeSource>(volume), parsed<core::Pod>(pod),
                              node);
  };
  const char* unlimited = R"({"spec":{"containers":[{"name":"a"}]}})";
  const char* limited =
      R"({"spec":{"containers":[{"name":"a","resources":{"limits":{"memory":"1Gi"}}}]}})";
  EXPECT_EQ(size(unlimited, "{}"), int64_t{8} << 30);
  EXPECT_EQ(size(limited, "{}"), int64_t{1} << 30);
  EXPECT_EQ(size(limited, R"({"sizeLimit":"64Mi"})"), 64 << 20);
  EXPECT_EQ(size(limited, R"({"sizeLimit":"2Gi"})"), int64_t{1} << 30);
}

TEST(SetUp, MakesAnEmptyDirOnce) {
  TempDir dir;
  RecordingMounter mounter;
  SetUpJob job;
  job.path = dir / "volumes/kubernetes.io~empty-dir/v";
  job.ready_file = dir / "plugins/kubernetes.io~empty-dir/v/ready";
  job.medium = "Memory";
  job.tmpfs = true;
  job.size_bytes = 4096;
  job.fs_group = 7;
  ASSERT_TRUE(run_set_up(job, mounter, Clock::real()).ok());
  ASSERT_TRUE(run_set_up(job, mounter, Clock::real()).ok());
  EXPECT_THAT(mounter.calls, ElementsAre("tmpfs " + job.path + " 4096"));
  EXPECT_EQ(mode_of(job.path), 02777u);
  job.medium = "Floppy";
  EXPECT_EQ(message(run_set_up(job, mounter, Clock::real())), "unknown storage medium \"Floppy\"");
}

TEST(TokenRefresh, ComesBeforeExpiryOrAfterADay) {
  WallTime now{std::chrono::seconds(1'000'000'000)};
  auto after = [&](int64_t life) {
    WallTime at = token_refresh_time(now + std::chrono::seconds(life), life, Duration::zero());
    return std::chrono::duration_cast<std::chrono::seconds>(at - now).count();
  };
  EXPECT_EQ(after(3600), 2880);
  EXPECT_EQ(after(3607), 2886);
  EXPECT_EQ(after(30 * 86400), 86400);
}

}  // namespace
}  // namespace knarr::kubelet
