// SPDX-License-Identifier: Apache-2.0
#include "schema/structured_merge.h"

#include <gtest/gtest.h>

#include "api/apps_v1.h"
#include "api/core_v1.h"

namespace knarr::schema {
namespace {

json::Value tree(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed.ok() ? std::move(*parsed) : json::Value();
}

std::string text_of(const FieldSet& set) {
  std::string text;
  set.write(text);
  return text;
}

const Type& pod() { return api::core_v1::Pod::table(); }

TEST(FieldSet, TextIsUpstreams) {
  const std::string text =
      R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{}},)"
      R"("k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"v:\"x\"":{},"i:3":{}}}})";
  auto set = FieldSet::parse(text);
  ASSERT_TRUE(set.ok());
  // Numbers in keys sort as numbers; a path that only ends has an empty object.
  EXPECT_EQ(text_of(*set), R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{},)"
                           R"("k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"v:\"x\"":{},"i:3":{}}}})");
  for (const char* bad : {"", "[]", R"({"x:a":{}})", R"({"f":{}})", R"({"f:a":1})", R"({"k:[]":{}})", R"({"k:{}":{}})", R"({"i:x":{}})", R"({"v:{":{}})"})
    EXPECT_FALSE(FieldSet::parse(bad).ok()) << bad;
}

TEST(FieldSet, OrderOfElements) {
  auto key = [](std::string_view text) { return PathElement{PathElement::kKey, std::string(text)}; };
  const std::pair<std::string_view, std::string_view> ascending[] = {
      {R"({"name":"a"})", R"({"name":"ab"})"},           {R"({"name":"a"})", R"({"name":"b"})"},
      {R"({"name":"a!"})", R"({"name":"a\""})"},         {R"({"name":"\n"})", R"({"name":"a"})"},
      {R"({"port":9,"protocol":"UDP"})", R"({"port":10,"protocol":"TCP"})"}, {R"({"port":80,"protocol":"TCP"})", R"({"port":80,"protocol":"UDP"})"},
  };
  for (const auto& [less, more] : ascending) {
    EXPECT_LT(compare(key(less), key(more)), 0) << less;
    EXPECT_GT(compare(key(more), key(less)), 0) << less;
  }
  EXPECT_LT(compare(field_element("z"), key(R"({"a":1})")), 0);
}

TEST(FieldSet, Algebra) {
  FieldSet a = field_set({"spec.replicas", "spec.template", "spec.template.metadata", "status"}), b = field_set({"spec.template", "status.phase"});
  EXPECT_EQ(a.unite(b), field_set({"spec.replicas", "spec.template", "spec.template.metadata", "status", "status.phase"}));
  EXPECT_EQ(a.intersect(b), field_set({"spec.template"}));
  EXPECT_EQ(a.subtract(b), field_set({"spec.replicas", "spec.template.metadata", "status"}));
  EXPECT_EQ(a.subtract_trees(b), field_set({"spec.replicas", "status"}));
  EXPECT_TRUE(a.subtract_trees(field_set({"spec", "status"})).empty());
}

TEST(StructuredMerge, FieldsOfAnAppliedPod) {
  auto set = fields_of(pod(), tree(R"({"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"securityContext":{},"nodeSelector":{"x":"y"},
      "containers":[{"name":"c","args":["1"],"ports":[{"containerPort":80}]}],"volumes":[{"name":"v","emptyDir":{}}]}})"));
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(text_of(*set), R"({"f:metadata":{"f:labels":{"f:a":{}},"f:name":{}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:args":{},"f:name":{},)"
                           R"("f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:nodeSelector":{},)"
                           R"("f:securityContext":{},"f:volumes":{"k:{\"name\":\"v\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}})");
}

TEST(StructuredMerge, ComparesItemsByKey) {
  auto changes = compare_fields(pod(), tree(R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"}]}})"),
                                tree(R"({"spec":{"containers":[{"name":"c"},{"name":"a","image":"2"}]}})"));
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(text_of(changes->modified), R"({"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:image":{}}}}})");
  EXPECT_EQ(text_of(changes->added), R"({"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:name":{}}}}})");
  EXPECT_EQ(text_of(changes->removed), R"({"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}})");
  auto twice = compare_fields(pod(), tree("{}"), tree(R"({"spec":{"containers":[{"name":"a"},{"name":"a"}]}})"));
  EXPECT_EQ(twice.status().message(), "duplicate entries for key [name=\"a\"]");
}

TEST(StructuredMerge, MergeKeepsOrderAndWhatIsNotNamed) {
  auto merged = merge_documents(pod(), tree(R"({"metadata":{"labels":{"a":"1"}},"spec":{"containers":[{"name":"x","image":"i"},{"name":"y"}]}})"),
                                tree(R"({"metadata":{"labels":{"b":"2"}},"spec":{"containers":[{"name":"z"},{"name":"x","args":["1"]}]}})"));
  ASSERT_TRUE(merged.ok());
  EXPECT_EQ(json::to_string(*merged), R"({"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"z"},{"name":"x","image":"i","args":["1"]},)"
                                      R"({"name":"y"}]}})");
  // An atomic list is replaced as a whole.
  merged = merge_documents(pod(), tree(R"({"spec":{"containers":[{"name":"x","args":["1","2"]}]}})"), tree(R"({"spec":{"containers":[{"name":"x","args":["3"]}]}})"));
  EXPECT_EQ(json::to_string(*merged), R"({"spec":{"containers":[{"name":"x","args":["3"]}]}})");
}

TEST(StructuredMerge, RemovesFieldsAndItems) {
  auto set = FieldSet::parse(R"({"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{},"k:{\"name\":\"y\"}":{"f:image":{}}}}})");
  ASSERT_TRUE(set.ok());
  json::Value left = remove_fields(pod(), tree(R"({"metadata":{"labels":{"a":"1"}},"spec":{"containers":[{"name":"x"},{"name":"y","image":"i"}]}})"), *set);
  EXPECT_EQ(json::to_string(left), R"({"metadata":{"labels":null},"spec":{"containers":[{"name":"y"}]}})");
}

TEST(StructuredMerge, SaysWhatIsWrong) {
  EXPECT_EQ(check_document(api::apps_v1::Deployment::table(), tree(R"({"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1}})")).message(), "");
  EXPECT_EQ(check_document(pod(), tree(R"({"spec":{"nope":1}})")).message(), ".spec.nope: field not declared in schema");
  EXPECT_EQ(check_document(pod(), tree(R"({"spec":{"hostname":1,"containers":[{"image":"x"}]}})")).message(),
            "errors:\n  .spec.hostname: expected string, got &value.valueUnstructured{Value:1}\n"
            "  .spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)");
}

}  // namespace
}  // namespace knarr::schema
