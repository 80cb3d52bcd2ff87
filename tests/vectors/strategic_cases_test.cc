// SPDX-License-Identifier: Apache-2.0
// Upstream's own cases of strategic merge patch, read out of its test's source: every patch
// (two-way and three-way) applied to the object it is for must give the object that upstream
// expects.
#include <gtest/gtest.h>

#include "schema/codec.h"
#include "schema/patch.h"
#include "vectors/go_module.h"

namespace knarr::schema {
namespace {

// The two types that the cases are about, as a run-time type set.
class MergeItemTypes {
 public:
  MergeItemTypes() {
    constexpr uint8_t kMerge = FieldMeta::kMerge, kRetain = FieldMeta::kRetainKeys,
                      kWhole = FieldMeta::kReplaceWhole;
    begin("MergeItem");
    for (const char* name : {"name", "value", "other"}) field(name, Kind::kString, Shape::kPlain);
    field("mergingList", Kind::kStruct, Shape::kList, 0, kMerge, "name");
    field("nonMergingList", Kind::kStruct, Shape::kList);
    field("mergingIntList", Kind::kInt64, Shape::kList, 0, kMerge);
    field("nonMergingIntList", Kind::kInt64, Shape::kList);
    field("mergeItemPtr", Kind::kStruct, Shape::kOptional, 0, kMerge, "name");
    field("simpleMap", Kind::kString, Shape::kMap);
    field("replacingItem", Kind::kRawExtension, Shape::kPlain, 0, kWhole);
    field("retainKeysMap", Kind::kStruct, Shape::kPlain, 1, kRetain);
    field("retainKeysMergingList", Kind::kStruct, Shape::kList, 0, kMerge | kRetain, "name");
    begin("RetainKeysMergeItem");
    for (const char* name : {"name", "value", "other"}) field(name, Kind::kString, Shape::kPlain);
    field("simpleMap", Kind::kString, Shape::kMap);
    field("mergingIntList", Kind::kInt64, Shape::kList, 0, kMerge);
    field("mergingList", Kind::kStruct, Shape::kList, 0, kMerge, "name");
    field("nonMergingList", Kind::kStruct, Shape::kList);
    set_ = {strings_.data(), types_.data(), fields_.data(),
            metas_.data(),   nullptr,       static_cast<uint32_t>(types_.size())};
    for (Type& type : types_) type.set = &set_;
  }
  MergeItemTypes(const MergeItemTypes&) = delete;
  MergeItemTypes& operator=(const MergeItemTypes&) = delete;
  const Type& merge_item() const { return types_[0]; }

 private:
  uint32_t text(std::string_view value) {
    if (value.empty()) return 0;
    auto at = static_cast<uint32_t>(strings_.size());
    strings_ += static_cast<char>(value.size());
    strings_ += '\0';
    strings_ += value;
    return at;
  }
  void begin(std::string_view name) {
    Type type{};
    type.name = text(name);
    type.first_field = static_cast<uint32_t>(fields_.size());
    types_.push_back(type);
  }
  void field(std::string_view name, Kind kind, Shape shape, uint16_t type = 0, uint8_t strategy = 0,
             std::string_view merge_key = "") {
    fields_.push_back({text(name), type, 0, 0, kind, shape, kOmitEmpty});
    FieldMeta meta{};
    meta.merge_key = text(merge_key);
    meta.patch_strategy = strategy;
    metas_.push_back(meta);
    ++types_.back().field_count;
  }

  std::string strings_ = std::string(2, '\0');
  std::vector<Field> fields_;
  std::vector<FieldMeta> metas_;
  std::vector<Type> types_;
  TypeSet set_{};
};

struct Case {
  std::string description, expected_error;
  std::map<std::string, std::string> documents;  // "Original", "TwoWay", ... as YAML
};

// Cases written as Go literals: a Description, then fields that are []byte(`YAML`).
std::vector<Case> read_go_cases(std::string_view source) {
  std::vector<Case> cases;
  auto quoted = [&](size_t at) {
    return std::string(source.substr(at, source.find('"', at) - at));
  };
  for (size_t at = 0; at < source.size();) {
    size_t end = std::min(source.find('\n', at), source.size());
    std::string_view line = source.substr(at, end - at);
    size_t from = at + line.find_first_not_of('\t');
    at = end + 1;
    std::string_view trimmed = source.substr(from, end - from);
    if (trimmed.starts_with("Description: \"")) {
      cases.push_back({quoted(from + 14), "", {}});
    } else if (trimmed.starts_with("ExpectedError: \"") && !cases.empty()) {
      cases.back().expected_error = quoted(from + 16);
    } else if (size_t open = trimmed.find(": []byte(`");
               open != std::string_view::npos && !cases.empty()) {
      size_t text = from + open + 10;
      size_t close = source.find('`', text);
      cases.back().documents[std::string(trimmed.substr(0, open))] =
          source.substr(text, close - text);
      at = close + 1;
    }
  }
  return cases;
}

// Cases written as YAML: a list `testCases` in a variable.
std::vector<Case> read_yaml_cases(std::string_view source, std::string_view variable) {
  std::vector<Case> cases;
  size_t from = source.find("var " + std::string(variable) + " = []byte(`");
  if (from == std::string_view::npos) return cases;
  from = source.find('`', from) + 1;
  Result<std::string> text = yaml_to_json(source.substr(from, source.find('`', from) - from));
  if (!text.ok()) return cases;
  json::Value tree = *json::parse(*text);
  for (const json::Value& item : tree.at({"testCases"}).items()) {
    Case made{item.at({"description"}).as_string(), "", {}};
    for (const auto& [yaml_name, name] :
         {std::pair("original", "Original"), std::pair("twoWay", "TwoWay"),
          std::pair("modified", "Modified"), std::pair("current", "Current"),
          std::pair("threeWay", "ThreeWay"), std::pair("result", "Result"),
          std::pair("twoWayResult", "TwoWayResult")})
      if (const json::Value* value = item.find(yaml_name))
        made.documents[name] = json::to_string(*value);
    cases.push_back(std::move(made));
  }
  return cases;
}

json::Value document(const Case& test, const std::string& name) {
  auto found = test.documents.find(name);
  if (found == test.documents.end()) return json::Value::object();
  Result<std::string> text = yaml_to_json(found->second);
  EXPECT_TRUE(text.ok()) << name << " of " << test.description;
  json::Value value = text.ok() ? *json::parse(*text) : json::Value();
  return value.is_null() ? json::Value::object() : value;
}

void sort_lists(json::Value& value) {
  if (value.is_object())
    for (json::Value::Member& member : value.members()) sort_lists(member.second);
  if (!value.is_array()) return;
  for (json::Value& item : value.items()) sort_lists(item);
  std::sort(value.items().begin(), value.items().end(),
            [](const json::Value& a, const json::Value& b) {
              std::string x, y;
              json::write(x, a, true);
              json::write(y, b, true);
              return x < y;
            });
}

void check(const Case& test, const Type& type, const std::string& original,
           const std::string& patch, const std::string& expected, bool ordered) {
  Result<json::Value> result =
      apply_strategic_patch(document(test, original), document(test, patch), type);
  if (!test.expected_error.empty()) {
    ASSERT_FALSE(result.ok()) << test.description;
    EXPECT_NE(result.status().message().find(test.expected_error), std::string_view::npos)
        << test.description;
    return;
  }
  ASSERT_TRUE(result.ok()) << test.description << ": " << result.status().message();
  json::Value wanted = document(test, expected);
  if (!ordered) {
    sort_lists(*result);
    sort_lists(wanted);
  }
  std::string got_text, wanted_text;
  json::write(got_text, *result, true);
  json::write(wanted_text, wanted, true);
  EXPECT_EQ(got_text, wanted_text)
      << test.description << " (" << patch << " applied to " << original << ")";
}

TEST(StrategicCases, GiveUpstreamsResults) {
  if (!have_go()) GTEST_SKIP() << "no go command: upstream's cases cannot be fetched";
  std::string folder = go_module_folder("k8s.io/apimachinery@v0.28.4");
  std::string source = read_whole_file(folder + "/pkg/util/strategicpatch/patch_test.go");
  ASSERT_FALSE(source.empty());
  MergeItemTypes types;
  size_t two_way = 0, three_way = 0;
  auto run = [&](const std::vector<Case>& cases, bool ordered) {
    for (const Case& test : cases) {
      const auto& documents = test.documents;
      bool result = documents.contains("TwoWayResult");
      if (documents.contains("TwoWay") &&
          (result || documents.contains("Modified") || !test.expected_error.empty())) {
        check(test, types.merge_item(), "Original", "TwoWay", result ? "TwoWayResult" : "Modified",
              ordered);
        ++two_way;
      }
      if (documents.contains("ThreeWay") && documents.contains("Result")) {
        check(test, types.merge_item(), "Current", "ThreeWay", "Result", ordered);
        ++three_way;
      }
    }
  };
  run(read_go_cases(source), true);
  // Upstream sorts the lists of these before it compares.
  run(read_yaml_cases(source, "customStrategicMergePatchTestCaseData"), false);
  run(read_yaml_cases(source, "createStrategicMergePatchTestCaseData"), false);
  EXPECT_GT(two_way, 100u);
  EXPECT_GT(three_way, 90u);
  std::printf("%zu two-way and %zu three-way patches\n", two_way, three_way);
}

}  // namespace
}  // namespace knarr::schema
