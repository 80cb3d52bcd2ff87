// SPDX-License-Identifier: Apache-2.0
#include "schema/patch.h"

#include <gtest/gtest.h>

#include "api/core_v1.h"
#include "api/policy_v1.h"

namespace knarr::schema {
namespace {

json::Value tree(std::string_view text) {
  Result<json::Value> value = json::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : json::Value();
}

std::string show(const Result<json::Value>& result) {
  return result.ok() ? json::to_string(*result)
                     : std::to_string(result.status().code()) + " " +
                           std::string(result.status().message());
}
std::string json_patch(std::string_view doc, std::string_view patch) {
  return show(apply_json_patch(tree(doc), tree(patch)));
}
std::string merge_patch(std::string_view doc, std::string_view patch) {
  return json::to_string(apply_merge_patch(tree(doc), tree(patch)));
}
std::string strategic(std::string_view doc, std::string_view patch,
                      const Type& type = api::core_v1::PodSpec::table()) {
  return show(apply_strategic_patch(tree(doc), tree(patch), type));
}

TEST(JsonPatch, Operations) {
  EXPECT_EQ(
      json_patch(
          R"({"a":1})",
          R"([{"op":"add","path":"/b","value":{"c":[1]}},{"op":"add","path":"/b/c/-","value":2},{"op":"add","path":"/b/c/0","value":0}])"),
      R"({"a":1,"b":{"c":[0,1,2]}})");
  EXPECT_EQ(json_patch(R"({"a":[1,2,3],"b~/c":4})",
                       R"([{"op":"remove","path":"/a/-1"},{"op":"remove","path":"/b~0~1c"}])"),
            R"({"a":[1,2]})");
  EXPECT_EQ(
      json_patch(
          R"({"a":1,"b":{}})",
          R"([{"op":"move","from":"/a","path":"/b/a"},{"op":"copy","from":"/b/a","path":"/c"}])"),
      R"({"b":{"a":1},"c":1})");
  EXPECT_EQ(
      json_patch(
          R"({"a":{"x":1,"y":2}})",
          R"([{"op":"test","path":"/a","value":{"y":2,"x":1}},{"op":"replace","path":"/a","value":null}])"),
      R"({"a":null})");
  EXPECT_EQ(json_patch(R"({"a":1})", R"([{"op":"replace","path":"/b","value":2}])"),
            R"({"a":1,"b":2})");
}

TEST(JsonPatch, Errors) {
  EXPECT_EQ(
      json_patch("{}", R"([{"op":"remove","path":"/x"}])"),
      "422 error in remove for path: '/x': Unable to remove nonexistent key: x: missing value");
  EXPECT_EQ(json_patch("{}", R"([{"op":"add","path":"/a/b","value":1}])"),
            "422 add operation does not apply: doc is missing path: \"/a/b\": missing value");
  EXPECT_EQ(json_patch(R"({"a":[1]})", R"([{"op":"replace","path":"/a/5","value":1}])"),
            "422 replace operation does not apply: doc is missing key: /a/5: missing value");
  EXPECT_EQ(json_patch(R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])"),
            "422 testing value /a failed: test failed");
  EXPECT_EQ(json_patch("{}", R"([{"op":"fly"}])"), "422 Unexpected kind: fly");
  EXPECT_EQ(json_patch(R"({"a":[]})", R"([{"op":"add","path":"/a/x","value":1}])"),
            "422 error in add for path: '/a/x': value was not a proper array index: 'x': "
            "strconv.Atoi: parsing \"x\": invalid syntax");
  EXPECT_EQ(json_patch("{}", "{}"),
            "400 error decoding patch: json: cannot unmarshal object into Go value of type "
            "[]handlers.jsonPatchOp");
}

TEST(JsonPatch, Limits) {
  json::Value patch = json::Value::array();
  for (size_t i = 0; i <= kMaxJsonPatchOperations; ++i)
    patch.push_back(tree(R"({"op":"add","path":"/a","value":1})"));
  EXPECT_EQ(apply_json_patch(tree("{}"), patch).status().code(), 413);
  // Copies that double a document.
  std::string doubling = "[";
  for (int i = 0; i < 60; ++i) doubling += R"({"op":"copy","from":"/a","path":"/a/-"},)";
  doubling.back() = ']';
  EXPECT_EQ(apply_json_patch(tree(R"({"a":["xxxxxxxxxxxxxxxxxxxxxxxx"]})"), tree(doubling))
                .status()
                .code(),
            422);
}

TEST(MergePatch, Rfc7386) {
  EXPECT_EQ(merge_patch(R"({"a":"b"})", R"({"a":"c"})"), R"({"a":"c"})");
  EXPECT_EQ(merge_patch(R"({"a":"b","b":"c"})", R"({"a":null})"), R"({"b":"c"})");
  EXPECT_EQ(merge_patch(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})"), R"({"a":{"b":"d"}})");
  EXPECT_EQ(merge_patch(R"({"a":[{"b":"c"}]})", R"({"a":[1]})"), R"({"a":[1]})");
  EXPECT_EQ(merge_patch("{}", R"({"a":{"bb":{"ccc":null}}})"), R"({"a":{"bb":{}}})");
  EXPECT_EQ(merge_patch(R"(["a"])", R"({"a":null,"b":1})"), R"({"b":1})");
  EXPECT_EQ(merge_patch(R"({"a":1})", "[1]"), "[1]");
}

TEST(MergePatch, WideObjectsStayLinear) {
  json::Value doc, patch;
  for (int i = 0; i < 50000; ++i) {
    doc.members().emplace_back("k" + std::to_string(i), i);
    patch.members().emplace_back("k" + std::to_string(i + 25000),
                                 i % 2 == 0 ? json::Value() : json::Value("x"));
  }
  json::Value merged = apply_merge_patch(doc, patch);
  EXPECT_EQ(merged.members().size(), 25000u + 25000u);
  json::Value labels;
  labels["metadata"]["labels"] = doc;
  json::Value change;
  change["metadata"]["labels"] = patch;
  EXPECT_TRUE(apply_strategic_patch(labels, change, api::core_v1::Pod::table()).ok());
}

TEST(StrategicPatch, ListsMergeByTheirKey) {
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]})",
                      R"({"containers":[{"name":"b","image":"3"},{"name":"c"}]})"),
            R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"3"},{"name":"c"}]})");
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a"},{"name":"b"}]})",
                      R"({"containers":[{"name":"a","$patch":"delete"}]})"),
            R"({"containers":[{"name":"b"}]})");
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a"},{"name":"b"}]})",
                      R"({"containers":[{"name":"c"},{"$patch":"replace"}]})"),
            R"({"containers":[{"name":"c"}]})");
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a","command":["x"]}]})",
                      R"({"containers":[{"name":"a","command":["y","z"]}]})"),
            R"({"containers":[{"name":"a","command":["y","z"]}]})");
  // Lists without a merge strategy, nested merge keys, inline structs.
  EXPECT_EQ(strategic(R"({"tolerations":[{"key":"a"}]})", R"({"tolerations":[{"key":"b"}]})"),
            R"({"tolerations":[{"key":"b"}]})");
  EXPECT_EQ(
      strategic(R"({"volumes":[{"name":"v","secret":{"secretName":"a","items":[{"key":"k"}]}}]})",
                R"({"volumes":[{"name":"v","secret":{"secretName":"b"}}]})"),
      R"({"volumes":[{"name":"v","secret":{"secretName":"b","items":[{"key":"k"}]}}]})");
}

TEST(StrategicPatch, Directives) {
  EXPECT_EQ(
      strategic(
          R"({"volumes":[{"name":"v","emptyDir":{}}]})",
          R"({"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/"}}]})"),
      R"({"volumes":[{"name":"v","hostPath":{"path":"/"}}]})");
  EXPECT_EQ(strategic(R"({"volumes":[{"name":"v"}]})",
                      R"({"volumes":[{"name":"v","$retainKeys":["name"],"emptyDir":{}}]})"),
            "400 invalid patch format of retainKeys");
  const Type& pod = api::core_v1::Pod::table();
  EXPECT_EQ(strategic(R"({"metadata":{"finalizers":["a","b","c"]}})",
                      R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}})", pod),
            R"({"metadata":{"finalizers":["a","c"]}})");
  EXPECT_EQ(
      strategic(R"({"metadata":{"finalizers":["a","b"]}})",
                R"({"metadata":{"$setElementOrder/finalizers":["c","a"],"finalizers":["c"]}})",
                pod),
      R"({"metadata":{"finalizers":["c","a","b"]}})");
  EXPECT_EQ(
      strategic(
          R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
          R"({"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],"containers":[{"name":"a","image":"x"}]})"),
      R"({"containers":[{"name":"b"},{"name":"c"},{"name":"a","image":"x"}]})");
  EXPECT_EQ(strategic(R"({"nodeSelector":{"a":"b"}})",
                      R"({"nodeSelector":{"$patch":"replace","c":"d"}})"),
            R"({"nodeSelector":{"c":"d"}})");
  EXPECT_EQ(strategic(R"({"nodeSelector":{"a":"b"}})", R"({"nodeSelector":{"$patch":"delete"}})"),
            R"({"nodeSelector":{}})");
  EXPECT_EQ(strategic(R"({"nodeSelector":{"a":"b"}})", R"({"nodeSelector":{"$patch":"x"}})"),
            "500 unknown patch type: x in map: map[$patch:x]");
}

TEST(StrategicPatch, NullsAndTypes) {
  EXPECT_EQ(strategic(R"({"nodeName":"a","hostname":"b"})",
                      R"({"nodeName":null,"overhead":{"cpu":null}})"),
            R"({"hostname":"b","overhead":{}})");
  EXPECT_EQ(strategic(R"({"selector":{"matchLabels":{"a":"b"}}})",
                      R"({"selector":{"matchLabels":{"c":"d"}}})",
                      api::policy_v1::PodDisruptionBudgetSpec::table()),
            R"({"selector":{"matchLabels":{"c":"d"}}})")
      << "a selector is replaced whole";
  EXPECT_EQ(strategic(R"({"foo":{"a":1}})", R"({"foo":{"b":1}})"),
            "500 unable to find api field in struct PodSpec for the json field \"foo\"");
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a"}]})", R"({"containers":[{"image":"x"}]})"),
            "500 map: map[image:x] does not contain declared merge key: name");
  EXPECT_EQ(strategic(R"({"containers":[{"name":"a"}]})", R"({"containers":["x"]})"),
            "500 list element types are not identical: [[map[name:a]] [x]]");
  EXPECT_EQ(strategic("{}", "[]"),
            "400 json: cannot unmarshal array into Go value of type map[string]interface {}");
}

}  // namespace
}  // namespace knarr::schema
