// SPDX-License-Identifier: Apache-2.0
// What the vectors (tests/vectors) do not show: bad input, absent against empty, duplicates, sizes.
#include "schema/codec.h"

#include <gtest/gtest.h>

#include "api/admission_v1.h"
#include "api/apiextensions_v1.h"
#include "api/apps_v1.h"
#include "api/core_v1.h"
#include "api/cri_v1.h"

namespace knarr::schema {
namespace {

namespace core = api::core_v1;

template <class T>
std::string failure(std::string_view text) {
  Result<T> decoded = from_json<T>(text);
  return decoded.ok() ? "decoded" : std::string(decoded.status().message());
}

template <class T>
std::string rewrite(std::string_view text) {
  Result<T> decoded = from_json<T>(text);
  return decoded.ok() ? to_json(*decoded) : "failed: " + std::string(decoded.status().message());
}

template <class T>
std::vector<std::string> problems(std::string_view text) {
  DecodeReport report;
  EXPECT_TRUE(from_json<T>(text, &report).ok());
  return report.problems;
}

TEST(CodecJson, WrongTypesAreNamedWithTheirField) {
  EXPECT_EQ(failure<core::Pod>(R"({"spec":{"containers":[{"image":1}]}})"),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of "
            "type string");
  EXPECT_EQ(failure<api::apps_v1::Deployment>(R"({"spec":{"replicas":"x"}})"),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of "
            "type int32");
  EXPECT_EQ(failure<core::Pod>(R"({"spec":{"containers":{}}})"),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type "
            "[]v1.Container");
  EXPECT_EQ(failure<core::Pod>(R"({"metadata":{"labels":{"a":1}}})"),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type "
            "string");
  EXPECT_EQ(failure<core::Pod>("[]"), "json: cannot unmarshal array into Go value of type v1.Pod");
  EXPECT_EQ(failure<core::Pod>(R"({"spec":{"priority":3000000000}})"),
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority "
            "of type int32");
  EXPECT_EQ(
      failure<core::Pod>(R"({"spec":{"priority":1.5}})"),
      "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32");
}

TEST(CodecJson, TheWorstErrorWins) {
  // A syntax error behind a wrong type; then a value that its own parser refuses behind a wrong
  // type.
  EXPECT_EQ(failure<core::Pod>(R"({"spec":{"priority":"x"},})"),
            "invalid character '}' looking for beginning of object key string");
  EXPECT_EQ(failure<core::Pod>(R"({"spec":{"priority":"x","overhead":{"cpu":"1K"}}})"),
            "unable to parse quantity's suffix");
  EXPECT_EQ(failure<core::Service>(R"({"spec":{"ports":[{"targetPort":true}]}})"),
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of "
            "type int32");
  EXPECT_EQ(failure<core::Secret>(R"({"data":{"a":"*"}})"), "illegal base64 data at input byte 0");
}

TEST(CodecJson, NullMeansAbsent) {
  EXPECT_EQ(rewrite<core::ConfigMap>(R"({"metadata":null,"data":null,"immutable":null})"),
            R"({"metadata":{"creationTimestamp":null}})");
  EXPECT_EQ(rewrite<core::ConfigMap>(R"({"immutable":true,"immutable":null})"),
            R"({"metadata":{"creationTimestamp":null}})");
  EXPECT_EQ(rewrite<core::ConfigMap>(R"({"data":{"a":null}})"),
            R"({"metadata":{"creationTimestamp":null},"data":{"a":""}})");
  EXPECT_EQ(failure<core::Pod>("null"), "decoded");
}

TEST(CodecJson, NilAndEmptyListsDiffer) {
  EXPECT_EQ(rewrite<api::meta_v1::APIVersions>("{}"),
            R"({"versions":null,"serverAddressByClientCIDRs":null})");
  EXPECT_EQ(rewrite<api::meta_v1::APIVersions>(R"({"versions":[]})"),
            R"({"versions":[],"serverAddressByClientCIDRs":null})");
  EXPECT_EQ(rewrite<core::Secret>(R"({"data":{"a":"","b":null}})"),
            R"({"metadata":{"creationTimestamp":null},"data":{"a":"","b":null}})");
}

TEST(CodecJson, KeysAreCaseSensitive) {
  EXPECT_EQ(
      problems<core::Pod>(R"({"Spec":{},"spec":{"NodeName":"x"}})"),
      (std::vector<std::string>{R"(unknown field "Spec")", R"(unknown field "spec.NodeName")"}));
}

TEST(CodecJson, ProblemsNameTheirPath) {
  EXPECT_EQ(
      problems<core::Pod>(
          R"({"kind":"Pod","kind":"Pod","metadata":{"labels":{"a":"b","a":"c"}},)"
          R"("spec":{"containers":[{},{"name":"a","name":"b","livenessProbe":{"httpGet":{"x":1}}}]},"foo":{"bar":1}})"),
      (std::vector<std::string>{R"(duplicate field "kind")",
                                R"(duplicate field "metadata.labels.a")",
                                R"(duplicate field "spec.containers[1].name")",
                                R"(unknown field "spec.containers[1].livenessProbe.httpGet.x")",
                                R"(unknown field "foo")"}));
  // Through an inline struct, and again after it.
  EXPECT_EQ(problems<core::PodSpec>(R"({"volumes":[{"name":"a","emptyDir":{},"emptyDir":{}}]})"),
            (std::vector<std::string>{R"(duplicate field "volumes[0].emptyDir")"}));
  std::string many = "{";
  for (int i = 0; i < 300; ++i) many += "\"x" + std::to_string(i) + "\":1,";
  EXPECT_EQ(problems<core::PodSpec>(many + "\"y\":1}").size(), 100u);
}

TEST(CodecJson, TypeMeta) {
  DecodeReport report;
  ASSERT_TRUE(from_json<core::Pod>(R"({"apiVersion":"v1","spec":{},"kind":"Pod"})", &report).ok());
  EXPECT_EQ(report.type_meta.kind + report.type_meta.api_version, "Podv1");
  // A kind inside another keeps none; where upstream shows one it is the field's.
  report = {};
  auto set = from_json<api::apps_v1::StatefulSetSpec>(
      R"({"selector":null,"template":{},"serviceName":"","updateStrategy":{},"volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1","spec":{}}]})",
      &report);
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(report.problems.empty() && report.type_meta.kind.empty());
  EXPECT_NE(to_json(*set).find(R"("volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{)"), std::string::npos);
  EXPECT_EQ(to_json(core::PodList{}).find("Pod"), std::string::npos);

  EXPECT_EQ(peek_json(R"({"metadata":{"kind":"X"},"kind":"Pod","apiVersion":"v1"})")->kind, "Pod");
  EXPECT_EQ(peek_json(R"({"kind":1})").status().message(),
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go "
            "struct field .kind of type string");
  EXPECT_EQ(peek_json("{").status().message(),
            "couldn't get version/kind; json parse error: unexpected end of JSON input");
}

TEST(CodecJson, RawValuesAreCompactedAndEscaped) {
  auto review = from_json<api::admission_v1::AdmissionRequest>(
      R"({"object":{ "a" : [ 1, "<x>" ] },"uid":"u"})");
  ASSERT_TRUE(review.ok());
  EXPECT_EQ(review->object.bytes, R"({"a":[1,"<x>"]})");
  EXPECT_NE(to_json(*review).find(R"("object":{"a":[1,"\u003cx\u003e"]},"oldObject":null)"),
            std::string::npos);
  review->object.bytes = "not json";
  EXPECT_NE(to_json(*review).find(R"("object":null)"), std::string::npos);
  core::ConfigMap map;
  map.data["k"] = "v";
  std::string enveloped;
  encode_envelope(enveloped, core::ConfigMap::kind_info(), &map);
  review->object.bytes = enveloped;
  EXPECT_NE(
      to_json(*review).find(
          R"("object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"creationTimestamp":null},"data":{"k":"v"}})"),
      std::string::npos);
}

TEST(CodecJson, SchemasOfTwoForms) {
  using Schema = api::apiextensions_v1::JSONSchemaProps;
  for (
      std::string_view text :
      {R"({"items":{"type":"string"},"additionalProperties":true})",
       R"({"items":[{"type":"string"}],"additionalProperties":false})",
       R"({"additionalProperties":{"type":"integer"},"dependencies":{"a":["b"],"c":{"type":"x"}}})",
       R"({"default":{"a":[1,null]},"enum":["a",1,null],"x-kubernetes-preserve-unknown-fields":true})"})
    EXPECT_EQ(rewrite<Schema>(text), text);
  EXPECT_EQ(failure<Schema>(R"({"additionalProperties":1})"), "boolean or JSON schema expected");
  Schema copy = *from_json<Schema>(
      R"({"properties":{"a":{"items":{"type":"x"}}},"dependencies":{"c":["d"]}})");
  EXPECT_EQ(from_proto<Schema>(to_proto(copy)).value(), copy);
}

TEST(CodecJson, DepthIsBounded) {
  using Schema = api::apiextensions_v1::JSONSchemaProps;
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += R"({"not":)";
  deep += "{}" + std::string(2000, '}');
  EXPECT_EQ(failure<Schema>(deep), "exceeded max depth");
  std::string message;
  for (int i = 0; i < 3000; ++i) {
    std::string size;
    size_t n = message.size();
    for (; n >= 0x80; n >>= 7) size += static_cast<char>(n | 0x80);
    message = std::string("\xe2\x01", 2) + size + static_cast<char>(n) + message;
  }
  EXPECT_FALSE(from_proto<Schema>(message).ok());
}

TEST(CodecProto, UnknownFieldsArePassedOver) {
  core::ConfigMap map;
  map.metadata.name = "a";
  std::string bytes = to_proto(map);
  bytes += std::string("\x98\x06\x01", 3) + std::string("\xa2\x06\x02xy", 5) +
           std::string(
               "\xa5\x06"
               "1234",
               6) +
           std::string(
               "\xa1\x06"
               "12345678",
               10);
  EXPECT_EQ(from_proto<core::ConfigMap>(bytes).value(), map);
  EXPECT_FALSE(from_proto<core::ConfigMap>(bytes + std::string("\xa3\x06\xa4\x06", 4)).ok())
      << "groups are refused";
}

TEST(CodecProto, MalformedInput) {
  core::Pod pod = *from_json<core::Pod>(
      R"({"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1"}}}]}})");
  std::string bytes = to_proto(pod);
  for (size_t size = 0; size < bytes.size(); ++size)
    (void)from_proto<core::Pod>(bytes.substr(0, size));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x81);
    (void)from_proto<core::Pod>(changed);
  }
  EXPECT_EQ(from_proto<core::Pod>(std::string("\x08\x01", 2)).status().message(),
            "proto: wrong wireType = 0");
  EXPECT_FALSE(
      from_proto<core::Pod>(std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11)).ok());
}

TEST(CodecProto, MapsTakeAnyOrder) {
  // value before key, and the key again with another value: the last wins
  std::string bytes = std::string("\x12\x06\x12\x01v\x0a\x01k", 8) +
                      std::string("\x12\x06\x0a\x01k\x12\x01w", 8) +
                      std::string(
                          "\x12\x03\x0a\x01"
                          "a",
                          5);
  auto map = from_proto<core::ConfigMap>(bytes);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->data, (Map<Str>{{"a", ""}, {"k", "w"}}));
}

TEST(CodecProto, Proto3LeavesZerosOutAndPacks) {
  api::cri_v1::LinuxContainerSecurityContext context;
  EXPECT_EQ(to_proto(context), "");
  context.supplemental_groups = {1, 300};
  EXPECT_EQ(from_proto<api::cri_v1::LinuxContainerSecurityContext>(to_proto(context)).value(),
            context);
  std::string bytes = to_proto(context);
  EXPECT_EQ(bytes.substr(bytes.size() - 4), std::string("\x03\x01\xac\x02", 4));
}

TEST(CodecProto, ExtremeTimes) {
  core::ObjectReference unused;
  for (std::string seconds :
       {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"}) {
    std::string stamp = "\x08" + seconds;
    std::string meta = std::string("\x42") + static_cast<char>(stamp.size()) + stamp;
    auto decoded = from_proto<api::meta_v1::ObjectMeta>(meta);
    ASSERT_TRUE(decoded.ok());
    EXPECT_FALSE(to_json(*decoded).empty());
  }
}

TEST(Envelope, OpensWhatItMade) {
  core::ConfigMap map;
  map.metadata.name = "a";
  std::string bytes = encode(Encoding::kProtobuf, core::ConfigMap::kind_info(), &map);
  auto envelope = open_envelope(bytes);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->type_meta.kind + envelope->type_meta.api_version, "ConfigMapv1");
  std::string raw(envelope->raw);
  EXPECT_EQ(envelope_head("v1", "ConfigMap", raw.size()) + raw + std::string(kEnvelopeTail), bytes);
  EXPECT_FALSE(open_envelope("k8s").ok());
  for (size_t size = 4; size < bytes.size(); ++size)
    (void)open_envelope(std::string_view(bytes).substr(0, size));
}

TEST(Envelope, ResourceVersionIsSetInPlace) {
  for (std::string_view before : {"", "1", "99999999999999999999"}) {
    core::ConfigMap map;
    map.metadata.name = "a";
    map.metadata.resource_version = before;
    map.metadata.generation = 7;
    map.data["k"] = "v";
    auto changed = with_resource_version(to_proto(map), "12345");
    ASSERT_TRUE(changed.ok());
    map.metadata.resource_version = "12345";
    EXPECT_EQ(*changed, to_proto(map));
  }
  EXPECT_FALSE(with_resource_version("", "1").ok());
  EXPECT_FALSE(with_resource_version("\x12\x01x", "1").ok());
}

TEST(Kinds, OptionsAreKnownEverywhere) {
  ASSERT_NE(find_kind("apps/v1", "DeleteOptions"), nullptr);
  EXPECT_EQ(find_kind("apps/v1", "DeleteOptions")->type, &api::meta_v1::DeleteOptions::table());
  EXPECT_EQ(api::meta_v1::Status::kind_info().api_version, "v1");
  EXPECT_EQ(api::meta_v1::Table::kind_info().api_version, "meta.k8s.io/v1");
}

}  // namespace
}  // namespace knarr::schema
