// SPDX-License-Identifier: Apache-2.0
// Decodes each of upstream's test vectors in each encoding and demands upstream's bytes back in all
// three.
//
// The vectors come with the Go module k8s.io/api, found through the go command when the tests
// start. Without go there is nothing to test and the cases are skipped; with go, failing to find
// them is a failure.
#include <gtest/gtest.h>

#include <filesystem>

#include "api/meta_v1.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "vectors/go_module.h"

namespace knarr::schema {
namespace {

namespace fs = std::filesystem;

std::string find_testdata() {
  if (const char* folder = std::getenv("KNARR_API_TESTDATA")) return folder;
  return go_module_folder("k8s.io/api@v0.28.4") + "/testdata";
}

const std::string& testdata() {
  static const std::string folder = find_testdata();
  return folder;
}

std::string read_file(const fs::path& path) { return read_whole_file(path); }

// "v1.26.0/apps.v1.Deployment": a file of each encoding lies behind it.
std::vector<std::string> list_vectors() {
  std::vector<std::string> names;
  for (std::string_view set : {"HEAD", "v1.26.0", "v1.27.0"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(testdata() + "/" + std::string(set), error)) {
      std::string stem = entry.path().stem();
      if (entry.path().extension() == ".json" && !stem.ends_with(".after_roundtrip"))
        names.push_back(std::string(set) + "/" + stem);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Vectors : public testing::TestWithParam<std::string> {
 protected:
  static std::string base() { return testdata() + "/" + GetParam(); }

  // What re-encoding must give: older objects gain the fields that are always written.
  static std::string expected(const std::string& extension) {
    std::string changed = base() + ".after_roundtrip" + extension;
    return read_file(fs::exists(changed) ? changed : base() + extension);
  }

  static Result<const KindInfo*> kind() {
    // Two names that no scheme of ours has: an event is no kind, and Status is everywhere the core
    // group's.
    static const KindInfo kEvent{"", "", "", "", &api::meta_v1::WatchEvent::table()};
    static const KindInfo kStatus{"resource.k8s.io", "v1alpha2", "Status",
                                  "resource.k8s.io/v1alpha2", &api::meta_v1::Status::table()};
    if (GetParam().ends_with("/core.v1.WatchEvent")) return &kEvent;
    if (GetParam().ends_with("/resource.k8s.io.v1alpha2.Status")) return &kStatus;
    TRY_ASSIGN(TypeMeta meta, peek_json(read_file(base() + ".json")));
    return find_kind(meta.api_version, meta.kind);
  }

  // Upstream's codecs alone leave the kind of claim templates out; its server, whose answers ours are, fills them in.
  static json::Value without_claim_kinds(json::Value tree) {
    if (!GetParam().ends_with("/apps.v1.StatefulSet")) return tree;
    for (json::Value& claim : tree["spec"]["volumeClaimTemplates"].items()) {
      EXPECT_TRUE(claim.erase("kind") && claim.erase("apiVersion"));
    }
    return tree;
  }
  static void check_yaml(const std::string& yaml, const std::string& from) {
    if (!GetParam().ends_with("/apps.v1.StatefulSet")) {
      EXPECT_EQ(yaml, expected(".yaml")) << "YAML, decoded from " << from;
      return;
    }
    Result<std::string> ours = yaml_to_json(yaml), theirs = yaml_to_json(expected(".yaml"));
    ASSERT_TRUE(ours.ok() && theirs.ok());
    EXPECT_EQ(without_claim_kinds(*json::parse(*ours)), *json::parse(*theirs));
  }

  static void check_encodings(const KindInfo& kind, const void* object, const std::string& from) {
    Result<json::Value> tree = json::parse(encode(Encoding::kJson, kind, object));
    ASSERT_TRUE(tree.ok()) << from << ": " << tree.status().message();
    EXPECT_EQ(json::to_pretty(without_claim_kinds(std::move(*tree))), expected(".json")) << "JSON, decoded from " << from;
    check_yaml(encode(Encoding::kYaml, kind, object), from);
    EXPECT_TRUE(encode(Encoding::kProtobuf, kind, object) == expected(".pb"))
        << "protobuf, decoded from " << from;
  }
};

// Kinds that upstream dropped since; their vectors stay in the older sets.
bool is_dropped(std::string_view name) {
  return name.find("resource.k8s.io.v1alpha1.") != std::string_view::npos ||
         name.find("PodSecurityPolicy") != std::string_view::npos;
}

TEST_P(Vectors, RoundTrip) {
  Result<const KindInfo*> kind = this->kind();
  ASSERT_TRUE(kind.ok()) << kind.status().message();
  if (*kind == nullptr && is_dropped(GetParam())) return;
  ASSERT_NE(*kind, nullptr) << "no such kind";
  for (auto [encoding, extension] :
       {std::pair(Encoding::kJson, ".json"), std::pair(Encoding::kYaml, ".yaml"),
        std::pair(Encoding::kProtobuf, ".pb")}) {
    Object object(*(*kind)->type);
    DecodeReport report;
    Status status =
        decode(encoding, read_file(base() + extension), *(*kind)->type, object.data(), &report);
    ASSERT_TRUE(status.ok()) << extension << ": " << status.message();
    EXPECT_EQ(report.type_meta.kind, (*kind)->kind);
    EXPECT_TRUE(report.problems.empty() || !GetParam().starts_with("HEAD"))
        << report.problems.front();
    check_encodings(**kind, object.data(), extension);
    Object copy(object);
    EXPECT_TRUE(equal(*(*kind)->type, object.data(), copy.data()));
    check_encodings(**kind, copy.data(), std::string("a copy of ") + extension);
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Vectors, testing::ValuesIn(list_vectors()), test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Vectors);

TEST(VectorSets, AreComplete) {
  if (!have_go() && std::getenv("KNARR_API_TESTDATA") == nullptr)
    GTEST_SKIP() << "no go command: upstream's vectors cannot be fetched";
  std::vector<std::string> names = list_vectors();
  auto count = [&names](std::string_view set) {
    return std::count_if(names.begin(), names.end(),
                         [set](const std::string& name) { return name.starts_with(set); });
  };
  EXPECT_EQ(count("HEAD/"), 158);
  EXPECT_EQ(count("v1.26.0/"), 153);
  EXPECT_EQ(count("v1.27.0/"), 155);
}

}  // namespace
}  // namespace knarr::schema
