// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "apiserver/field_errors.h"
#include "apiserver/negotiate.h"
#include "apiserver/request_info.h"
#include "apiserver/storage/continue_token.h"

namespace knarr::apiserver {
namespace {

// "verb group/version ns resource name subresource" of a request.
std::string info_of(std::string_view method, std::string_view target) {
  size_t question = target.find('?');
  auto query = net::parse_query(question == std::string_view::npos ? "" : target.substr(question + 1));
  auto info = parse_request_info(method, target.substr(0, question), *query);
  if (!info.ok()) return "error";
  if (!info->is_resource) return info->verb + " " + info->path;
  return info->verb + " " + info->api_version() + " ns=" + info->namespace_ + " " + info->resource + " name=" + info->name + " sub=" + info->subresource;
}

TEST(RequestInfo, ReadsPathsAsUpstreamDoes) {
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods"), "list v1 ns=a pods name= sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods?watch=true"), "watch v1 ns=a pods name= sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods?watch=0"), "list v1 ns=a pods name= sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx"), "list v1 ns= pods name=x sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods/p/log"), "get v1 ns=a pods name=p sub=log");
  EXPECT_EQ(info_of("POST", "/apis/apps/v1/namespaces/a/deployments"), "create apps/v1 ns=a deployments name= sub=");
  EXPECT_EQ(info_of("PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale"), "update apps/v1 ns=a deployments name=d sub=scale");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a"), "get v1 ns=a namespaces name=a sub=");
  EXPECT_EQ(info_of("PUT", "/api/v1/namespaces/a/finalize"), "update v1 ns=a namespaces name=a sub=finalize");
  EXPECT_EQ(info_of("DELETE", "/api/v1/nodes"), "deletecollection v1 ns= nodes name= sub=");
  EXPECT_EQ(info_of("DELETE", "/api/v1/nodes/n"), "delete v1 ns= nodes name=n sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/watch/namespaces/a/pods/p"), "watch v1 ns=a pods name=p sub=");
  EXPECT_EQ(info_of("GET", "/api/v1/watch"), "error");
  EXPECT_EQ(info_of("GET", "/apis/apps/v1"), "get /apis/apps/v1");
  EXPECT_EQ(info_of("GET", "/healthz"), "get /healthz");
  EXPECT_EQ(info_of("GET", "/"), "get /");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods/%zz"), "error");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods/x%2Fy"), "get v1 ns=a pods name=x/y sub=");
}

using schema::Encoding;

TEST(Negotiate, TakesTheBestOfWhatIsOffered) {
  EXPECT_EQ(negotiate_output("", {})->encoding, Encoding::kJson);
  EXPECT_EQ(negotiate_output("*/*", {})->encoding, Encoding::kJson);
  EXPECT_EQ(negotiate_output("application/vnd.kubernetes.protobuf, application/json", {})->encoding, Encoding::kProtobuf);
  EXPECT_EQ(negotiate_output("application/json;q=0.5, application/yaml", {})->encoding, Encoding::kYaml);
  Offers tables;
  tables.table = true;
  // kubectl get: a table where there is one, else the object.
  std::string_view kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
  EXPECT_EQ(negotiate_output(kubectl, tables)->as, OutputFormat::As::kTable);
  EXPECT_EQ(negotiate_output(kubectl, {})->as, OutputFormat::As::kObject);
  EXPECT_EQ(negotiate_output("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", tables).status().code(), 406);
  Offers lists;
  lists.partial = lists.list = true;
  EXPECT_EQ(negotiate_output("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", lists)->as, OutputFormat::As::kPartial);
  EXPECT_EQ(negotiate_output("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", lists).status().code(), 406);
  EXPECT_EQ(negotiate_output("text/html", {}).status().code(), 406);
  Offers plain;
  plain.protobuf = false;
  EXPECT_EQ(negotiate_output("application/vnd.kubernetes.protobuf", plain).status().code(), 406);
}

TEST(Negotiate, KnowsTheEncodingOfABody) {
  EXPECT_EQ(*negotiate_input(""), Encoding::kJson);
  EXPECT_EQ(*negotiate_input("application/json; charset=utf-8"), Encoding::kJson);
  EXPECT_EQ(*negotiate_input("application/yaml"), Encoding::kYaml);
  EXPECT_EQ(*negotiate_input("application/vnd.kubernetes.protobuf"), Encoding::kProtobuf);
  EXPECT_EQ(negotiate_input("text/plain").status().code(), 415);
}

TEST(ContinueToken, IsUpstreams) {
  // Made by upstream's EncodeContinue("/registry/pods/ns/a\0", "/registry/pods/", 42).
  std::string token = encode_continue({42, std::string("ns/a\0", 5)});
  EXPECT_EQ(token, "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NDIsInN0YXJ0IjoibnMvYVx1MDAwMCJ9");
  auto read = decode_continue(token);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->revision, 42);
  EXPECT_EQ(read->start, std::string("ns/a\0", 5));
}

TEST(ContinueToken, RefusesWhatLeavesThePrefix) {
  for (std::string start : {"../secrets/x", "a/../../b", "", "a//b", "./a"}) EXPECT_EQ(decode_continue(encode_continue({1, start})).status().code(), 400) << start;
  EXPECT_FALSE(decode_continue("%%%").ok());
  EXPECT_FALSE(decode_continue(encode_continue({0, "a"})).ok());
  EXPECT_FALSE(decode_continue(std::string(10000, 'A')).ok());
}

TEST(Path, PrintsAndNests) {
  Path path = Path("spec").child("containers").index(2).child("env").index(0).child("name");
  EXPECT_EQ(path.text(), "spec.containers[2].env[0].name");
  EXPECT_EQ(Path("data").key("a.b").child("x").text(), "data[a.b].x");
  Path deep("a");
  for (int i = 0; i < 30; ++i) deep = deep.child("b").index(7);
  std::string expected = "a";
  for (int i = 0; i < 30; ++i) expected += ".b[7]";
  EXPECT_EQ(deep.text(), expected);
}

TEST(FieldErrors, AreWordedAsUpstreamsAre) {
  FieldErrors errors;
  errors.required(Path("a"), "why");
  errors.invalid(Path("b"), quoted("x\"\n\xff\u00e9"), "no");
  EXPECT_EQ(std::string(invalid_status("apps", "Deployment", "d", errors).message()),
            "Deployment.apps \"d\" is invalid: [a: Required value: why, b: Invalid value: \"x\\\"\\n\\xff\u00e9\": no]");
}

}  // namespace
}  // namespace knarr::apiserver
