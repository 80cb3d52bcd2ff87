// SPDX-License-Identifier: Apache-2.0
#include "schema/structured_merge.h"

#include <gtest/gtest.h>

#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "schema/codec.h"
#include "schema/field_changes.h"

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

class FieldSetTest : public testing::Test {
 protected:
  Arena arena_;
  FieldSet set(std::initializer_list<std::string_view> paths) { return field_set(paths, arena_); }
};
using StructuredMergeTest = FieldSetTest;

class FieldChangesTest : public FieldSetTest {
 protected:
  Result<FieldChanges> changes(const Type& type, std::string_view before, std::string_view after, const Type* unseen = nullptr) {
    Object left(type), right(type);
    EXPECT_TRUE(decode_json(before, type, left.data()).ok()) << before;
    EXPECT_TRUE(decode_json(after, type, right.data()).ok()) << after;
    return compare_objects(type, left.data(), right.data(), unseen, arena_);
  }
};

TEST_F(FieldSetTest, TextIsUpstreams) {
  const std::string text =
      R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{}},)"
      R"("k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"v:\"x\"":{},"i:3":{}}}})";
  auto set = FieldSet::parse(text, arena_);
  ASSERT_TRUE(set.ok());
  // Numbers in keys sort as numbers; a path that only ends has an empty object.
  EXPECT_EQ(text_of(*set), R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{},)"
                           R"("k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"v:\"x\"":{},"i:3":{}}}})");
  for (const char* bad : {"", "[]", R"({"x:a":{}})", R"({"f":{}})", R"({"f:a":1})", R"({"k:[]":{}})", R"({"k:{}":{}})", R"({"i:x":{}})", R"({"v:{":{}})"})
    EXPECT_FALSE(FieldSet::parse(bad, arena_).ok()) << bad;
}

TEST_F(FieldSetTest, KeysAreWrittenOneWay) {
  auto loose = FieldSet::parse(R"({"k:{\"protocol\": \"TCP\", \"port\":80}":{},"k:{\"port\":1e1}":{},"k:{\"a\":\"\\u0062\"}":{}})", arena_);
  ASSERT_TRUE(loose.ok());
  EXPECT_EQ(text_of(*loose), R"({"k:{\"a\":\"b\"}":{},"k:{\"port\":10}":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{}})");
}

TEST_F(FieldSetTest, OrderOfElements) {
  auto key = [](std::string_view text) { return PathElement{PathElement::kKey, text}; };
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

TEST_F(FieldSetTest, Algebra) {
  FieldSet a = set({"spec.replicas", "spec.template", "spec.template.metadata", "status"}), b = set({"spec.template", "status.phase"});
  EXPECT_EQ(a.unite(b, arena_), set({"spec.replicas", "spec.template", "spec.template.metadata", "status", "status.phase"}));
  EXPECT_EQ(a.intersect(b, arena_), set({"spec.template"}));
  EXPECT_EQ(a.subtract(b, arena_), set({"spec.replicas", "spec.template.metadata", "status"}));
  EXPECT_EQ(a.subtract_trees(b, arena_), set({"spec.replicas", "status"}));
  EXPECT_TRUE(a.subtract_trees(set({"spec", "status"}), arena_).empty());
}

TEST_F(StructuredMergeTest, FieldsOfAnAppliedPod) {
  auto set = fields_of(pod(), tree(R"({"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"securityContext":{},"nodeSelector":{"x":"y"},
      "containers":[{"name":"c","args":["1"],"ports":[{"containerPort":80}]}],"volumes":[{"name":"v","emptyDir":{}}]}})"), arena_);
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(text_of(*set), R"({"f:metadata":{"f:labels":{"f:a":{}},"f:name":{}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:args":{},"f:name":{},)"
                           R"("f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:nodeSelector":{},)"
                           R"("f:securityContext":{},"f:volumes":{"k:{\"name\":\"v\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}})");
}

TEST_F(FieldChangesTest, ComparesItemsByKey) {
  auto found = changes(pod(), R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"}]}})",
                       R"({"spec":{"containers":[{"name":"c"},{"name":"a","image":"2"}]}})");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(text_of(found->modified), R"({"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:image":{}}}}})");
  // A container's resources are always in its JSON.
  EXPECT_EQ(text_of(found->added), R"({"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:name":{},"f:resources":{}}}}})");
  EXPECT_EQ(text_of(found->removed), R"({"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{".":{},"f:name":{},"f:resources":{}}}}})");
  auto twice = changes(pod(), "{}", R"({"spec":{"containers":[{"name":"a"},{"name":"a"}]}})");
  EXPECT_EQ(twice.status().message(), "duplicate entries for key [name=\"a\"]");
}

TEST_F(FieldChangesTest, ComparesMapsSetsAndKeysWithDefaults) {
  auto found = changes(pod(), R"({"metadata":{"labels":{"a":"1","b":"2"},"finalizers":["x"]},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}]}})",
                       R"({"metadata":{"labels":{"b":"3","c":"4"},"finalizers":["x","y"]},
                           "spec":{"containers":[{"name":"c","ports":[{"containerPort":80,"protocol":"UDP"}]}]}})");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(text_of(found->removed), R"({"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{"f:ports":{)"
                                     R"("k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}})");
  EXPECT_EQ(text_of(found->modified), R"({"f:metadata":{"f:labels":{"f:b":{}}}})");
  EXPECT_EQ(text_of(found->added), R"({"f:metadata":{"f:finalizers":{"v:\"y\"":{}},"f:labels":{"f:c":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":)"
                                   R"({"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"UDP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}}}}}})");
}

TEST_F(FieldChangesTest, WhatIsNewIsAddedAsAWhole) {
  auto found = changes(pod(), "{}", R"({"metadata":{"labels":{"a":"1"},"annotations":{}},"spec":{"securityContext":{},"nodeSelector":{"x":"y"},
                                        "tolerations":[{"key":"k"}],"volumes":[{"name":"v","emptyDir":{}}]}})");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(text_of(found->added), R"({"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:nodeSelector":{},"f:securityContext":{},"f:tolerations":{},)"
                                   R"("f:volumes":{".":{},"k:{\"name\":\"v\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}})");
  EXPECT_TRUE(found->modified.empty());
  EXPECT_TRUE(changes(pod(), R"({"metadata":{"name":"p"}})", R"({"metadata":{"name":"p","labels":{}}})")->none());
}

TEST_F(FieldChangesTest, ComparesValuesWithoutTablesByMember) {
  const Type& revision = api::apps_v1::ControllerRevision::table();
  auto found = changes(revision, R"({"data":{"a":1,"b":{"c":[1]}}})", R"({"data":{"b":{"c":[2],"d":null},"a":1}})");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(text_of(found->modified), R"({"f:data":{"f:b":{"f:c":{}}}})");
  EXPECT_EQ(text_of(found->added), R"({"f:data":{"f:b":{"f:d":{}}}})");
}

TEST_F(FieldChangesTest, DoesNotLookAtWhatIsUnseen) {
  const Type* unseen = &api::meta_v1::ManagedFieldsEntry::table();
  EXPECT_TRUE(changes(pod(), "{}", R"({"metadata":{"managedFields":[{"manager":"m"}]}})", unseen)->none());
  EXPECT_FALSE(changes(pod(), "{}", R"({"metadata":{"managedFields":[{"manager":"m"}]}})")->none());
}

TEST_F(FieldChangesTest, LongListsAreIndexed) {
  std::string before = R"({"spec":{"containers":[)", after = before;
  for (int i = 0; i < 100; ++i) {
    if (i != 0) before += ',', after += ',';
    before += R"({"name":"c)" + std::to_string(i) + "\"}";
    after += R"({"name":"c)" + std::to_string(99 - i) + (i == 7 ? R"(","image":"x"})" : "\"}");
  }
  auto found = changes(pod(), before + "]}}", after + "]}}");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(text_of(found->added), R"({"f:spec":{"f:containers":{"k:{\"name\":\"c92\"}":{"f:image":{}}}}})");
  EXPECT_TRUE(found->removed.empty());
}

TEST_F(StructuredMergeTest, MergeKeepsOrderAndWhatIsNotNamed) {
  auto merged = merge_documents(pod(), tree(R"({"metadata":{"labels":{"a":"1"}},"spec":{"containers":[{"name":"x","image":"i"},{"name":"y"}]}})"),
                                tree(R"({"metadata":{"labels":{"b":"2"}},"spec":{"containers":[{"name":"z"},{"name":"x","args":["1"]}]}})"));
  ASSERT_TRUE(merged.ok());
  EXPECT_EQ(json::to_string(*merged), R"({"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"z"},{"name":"x","image":"i","args":["1"]},)"
                                      R"({"name":"y"}]}})");
  // An atomic list is replaced as a whole.
  merged = merge_documents(pod(), tree(R"({"spec":{"containers":[{"name":"x","args":["1","2"]}]}})"), tree(R"({"spec":{"containers":[{"name":"x","args":["3"]}]}})"));
  EXPECT_EQ(json::to_string(*merged), R"({"spec":{"containers":[{"name":"x","args":["3"]}]}})");
}

TEST_F(StructuredMergeTest, RemovesFieldsAndItems) {
  auto set = FieldSet::parse(R"({"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{},"k:{\"name\":\"y\"}":{"f:image":{}}}}})", arena_);
  ASSERT_TRUE(set.ok());
  json::Value left = remove_fields(pod(), tree(R"({"metadata":{"labels":{"a":"1"}},"spec":{"containers":[{"name":"x"},{"name":"y","image":"i"}]}})"), *set);
  EXPECT_EQ(json::to_string(left), R"({"metadata":{"labels":null},"spec":{"containers":[{"name":"y"}]}})");
}

TEST_F(StructuredMergeTest, SaysWhatIsWrong) {
  EXPECT_EQ(check_document(api::apps_v1::Deployment::table(), tree(R"({"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1}})")).message(), "");
  EXPECT_EQ(check_document(pod(), tree(R"({"spec":{"nope":1}})")).message(), ".spec.nope: field not declared in schema");
  EXPECT_EQ(check_document(pod(), tree(R"({"spec":{"hostname":1,"containers":[{"image":"x"}]}})")).message(),
            "errors:\n  .spec.hostname: expected string, got &value.valueUnstructured{Value:1}\n"
            "  .spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)");
}

}  // namespace
}  // namespace knarr::schema
