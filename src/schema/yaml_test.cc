// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schema/codec.h"

namespace knarr::schema {
namespace {

std::string to_json(std::string_view yaml) {
  Result<std::string> json = yaml_to_json(yaml);
  return json.ok() ? *json : "error: " + std::string(json.status().message());
}
std::string to_yaml(std::string_view json) {
  Result<std::string> yaml = json_to_yaml(json);
  return yaml.ok() ? *yaml : "error: " + std::string(yaml.status().message());
}

TEST(YamlReader, PlainScalars) {
  EXPECT_EQ(to_json("a: yes\nb: No\nc: on\nd: ~\ne:\nf: null\ng: 'yes'\n"),
            R"({"a":true,"b":false,"c":true,"d":null,"e":null,"f":null,"g":"yes"})");
  EXPECT_EQ(
      to_json("a: 08\nb: 0x10\nc: 1_000\nd: 0b101\ne: 0o17\nf: +5\ng: .5\nh: 1.\ni: -.5e3\nj: "
              "017\nk: 12e03\n"),
      R"({"a":8,"b":16,"c":1000,"d":5,"e":15,"f":5,"g":0.5,"h":1,"i":-500,"j":15,"k":12000})");
  EXPECT_EQ(to_json("a: 18446744073709551615\nb: 18446744073709551616\n"),
            R"({"a":18446744073709551615,"b":18446744073709552000})");
  EXPECT_EQ(to_json("a: 2001-01-01\nb: 12:30:45\nc: <<\nd: 1.2.3\n"),
            R"({"a":"2001-01-01","b":"12:30:45","c":"\u003c\u003c","d":"1.2.3"})");
  EXPECT_EQ(to_json("a: .nan"), "error: json: unsupported value: NaN");
}

TEST(YamlReader, TagsKeysAndMerges) {
  EXPECT_EQ(to_json("a: !!str 1\nb: !!int \"3\"\nc: !!float 1\nd: !!binary aGVsbG8=\ne: !foo 1\n"),
            R"({"a":"1","b":3,"c":1,"d":"hello","e":"1"})");
  EXPECT_EQ(to_json("a: !!int x"), "error: yaml: cannot decode !!str `x` as a !!int");
  EXPECT_EQ(to_json("yes: 1\n1: 2\n1.5: 3\n"), R"({"1":2,"1.5":3,"true":1})");
  EXPECT_EQ(to_json("a: &x {b: 1, e: 1}\nd:\n  <<: *x\n  e: 2\n"),
            R"({"a":{"b":1,"e":1},"d":{"b":1,"e":2}})");
  EXPECT_EQ(to_json("<<: [{a: 1}, {a: 2, b: 3}]"), R"({"a":1,"b":3})");
  EXPECT_EQ(to_json("<<: 1"),
            "error: yaml: map merge requires map or sequence of maps as the value");
}

TEST(YamlReader, ErrorsReadAsUpstreams) {
  EXPECT_EQ(to_json("a: b: c"), "error: yaml: mapping values are not allowed in this context");
  EXPECT_EQ(to_json("x: 1\na: b: c"),
            "error: yaml: line 2: mapping values are not allowed in this context");
  EXPECT_EQ(to_json("a: *b"), "error: yaml: unknown anchor 'b' referenced");
  EXPECT_EQ(to_json("a: &x [*x]"), "error: yaml: anchor 'x' value contains itself");
  EXPECT_EQ(to_json("a:\n\t- b"),
            "error: yaml: line 2: found character that cannot start any token");
  DecodeReport report;
  EXPECT_TRUE(yaml_to_json("a: 1\nb: 2\na: 3\n", &report).ok());
  EXPECT_EQ(report.problems,
            (std::vector<std::string>{
                "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map"}));
}

TEST(YamlReader, HostileInput) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += last + ",";
    bomb += "]\n";
  }
  EXPECT_EQ(to_json(bomb), "error: yaml: document contains excessive aliasing");
  EXPECT_EQ(to_json(std::string(100000, '[')), "error: yaml: exceeded max depth of 512");
  std::string nested;
  for (size_t i = 0; i < 3000; ++i) nested += std::string(i, ' ') + "a:\n";
  EXPECT_EQ(to_json(nested), "error: yaml: exceeded max depth of 512");
}

TEST(YamlReader, Documents) {
  auto documents = [](std::string_view text) { return yaml_documents_to_json(text).value(); };
  EXPECT_EQ(documents("---\na: 1\n---\n# none\n---\nb: 2\n"),
            (std::vector<std::string>{R"({"a":1})", R"({"b":2})"}));
  EXPECT_EQ(documents("{\"a\": 1}\n{\"b\":2}"),
            (std::vector<std::string>{R"({"a": 1})", R"({"b":2})"}));
  EXPECT_EQ(documents("{a: 1}\n---\nb: 2"), (std::vector<std::string>{R"({"a":1})", R"({"b":2})"}));
  EXPECT_TRUE(documents("").empty());
  EXPECT_EQ(to_json(""), "null");
  EXPECT_FALSE(yaml_documents_to_json("a: 1\n---\na: b: c\n").ok());
}

TEST(YamlWriter, QuotesWhatWouldReadAsSomethingElse) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {R"("a")", "a\n"},
      {R"("")", "\"\"\n"},
      {R"("yes")", "\"yes\"\n"},
      {R"("1")", "\"1\"\n"},
      {R"("1e3")", "\"1e3\"\n"},
      {R"("0x1")", "\"0x1\"\n"},
      {R"("12:30:45")", "\"12:30:45\"\n"},
      {R"("2001-01-01")", "\"2001-01-01\"\n"},
      {R"("<<")", "<<\n"},
      {R"("a: b")", "'a: b'\n"},
      {R"("- a")", "'- a'\n"},
      {R"("a #b")", "'a #b'\n"},
      {R"("it's")", "it's\n"},
      {R"("'x'")", "'''x'''\n"},
      {R"(" a")", "' a'\n"},
      {R"("a\tb")", "\"a\\tb\"\n"},
      {R"("é")", "é\n"},
      {R"("😀")", "\"\\U0001F600\"\n"},
      {R"("a\nb")", "|-\n  a\n  b\n"},
      {R"("a\n")", "|\n  a\n"},
      {R"("a\n\n")", "|+\n  a\n\n"},
      {R"(" a\nb")", "|2-\n   a\n  b\n"},
      {R"("a \nb")", "\"a \\nb\"\n"}};
  for (auto [json, yaml] : kCases) EXPECT_EQ(to_yaml(json), yaml) << json;
}

TEST(YamlWriter, Layout) {
  EXPECT_EQ(to_yaml(R"({"b":[{"c":1,"d":[]},[2,[3]]],"a":{},"k10":1,"k9":null})"),
            "a: {}\nb:\n- c: 1\n  d: []\n- - 2\n  - - 3\nk9: null\nk10: 1\n");
  EXPECT_EQ(to_yaml("1.5e10"), "1.5e+10\n");
  EXPECT_EQ(to_yaml("100000.5"), "100000.5\n");
  std::string key(129, 'k');
  EXPECT_EQ(to_yaml("{\"" + key + "\":{\"a\":1}}"), "? " + key + "\n: a: 1\n");
  EXPECT_EQ(
      to_yaml(
          R"({"a":"one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"})"),
      "a: one two three four five six seven eight nine ten eleven twelve thirteen fourteen\n  "
      "fifteen sixteen\n");
}

}  // namespace
}  // namespace knarr::schema
