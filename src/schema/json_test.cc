// SPDX-License-Identifier: Apache-2.0
#include "schema/json.h"

#include <gtest/gtest.h>

#include "schema/json_reader.h"
#include "schema/json_text.h"

namespace knarr::json {
namespace {

std::string failure(std::string_view text) {
  Result<Value> value = parse(text);
  return value.ok() ? "parsed" : std::string(value.status().message());
}

std::string rewrite(std::string_view text) {
  Result<Value> value = parse(text);
  return value.ok() ? to_string(*value) : "failed: " + std::string(value.status().message());
}

TEST(Json, KeepsWhatItRead) {
  for (std::string_view text :
       {"null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5",
        "\"\"", "[]", "{}", "[1,[2,[3]]]", R"({"b":1,"a":{"c":[null,true,"x"]}})",
        R"("\u003ctag\u003e \u0026 \u2028")", R"("\"\\\n\t\r")"})
    EXPECT_EQ(rewrite(text), text);
}

TEST(Json, NumbersAreWrittenAsGoWritesThem) {
  EXPECT_EQ(rewrite("1.0"), "1");
  EXPECT_EQ(rewrite("1e3"), "1000");
  EXPECT_EQ(rewrite("1e21"), "1e+21");
  EXPECT_EQ(rewrite("123456789012345678901"), "123456789012345680000");
  EXPECT_EQ(rewrite("1e-7"), "1e-7");
  EXPECT_EQ(rewrite("0.000001"), "0.000001");
  EXPECT_EQ(rewrite("-0"), "0");
  EXPECT_EQ(rewrite("1e-400"), "0");
  EXPECT_EQ(failure("1e400"), "json: cannot unmarshal number 1e400 into Go value of type float64");
}

TEST(Json, StringsAreRepaired) {
  EXPECT_EQ(parse(R"("\ud83d\ude00")")->as_string(), "\xf0\x9f\x98\x80");
  EXPECT_EQ(parse(R"("\ud83d")")->as_string(), "\xef\xbf\xbd");
  EXPECT_EQ(parse("\"a\xff\"")->as_string(), "a\xef\xbf\xbd");
  EXPECT_EQ(parse("\"\xed\xa0\x80\"")->as_string(), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(to_string(Value("a\xff\x01")), R"("a\ufffd\u0001")");
}

TEST(Json, SyntaxErrorsReadAsGosDo) {
  EXPECT_EQ(failure(""), "unexpected end of JSON input");
  EXPECT_EQ(failure("{"), "unexpected end of JSON input");
  EXPECT_EQ(failure("\"a"), "unexpected end of JSON input");
  EXPECT_EQ(failure("x"), "invalid character 'x' looking for beginning of value");
  EXPECT_EQ(failure("tru}"), "invalid character '}' in literal true (expecting 'e')");
  EXPECT_EQ(failure("{a:1}"), "invalid character 'a' looking for beginning of object key string");
  EXPECT_EQ(failure("{\"a\" 1}"), "invalid character '1' after object key");
  EXPECT_EQ(failure("{\"a\":1 \"b\"}"), "invalid character '\"' after object key:value pair");
  EXPECT_EQ(failure("[1 2]"), "invalid character '2' after array element");
  EXPECT_EQ(failure("[1,]"), "invalid character ']' looking for beginning of value");
  EXPECT_EQ(failure("1 2"), "invalid character '2' after top-level value");
  EXPECT_EQ(failure("01"), "invalid character '1' after top-level value");
  EXPECT_EQ(failure("-x"), "invalid character 'x' in numeric literal");
  EXPECT_EQ(failure("1.x"), "invalid character 'x' after decimal point in numeric literal");
  EXPECT_EQ(failure("1ex"), "invalid character 'x' in exponent of numeric literal");
  EXPECT_EQ(failure("\"\\x\""), "invalid character 'x' in string escape code");
  EXPECT_EQ(failure("\"\\u12g4\""), "invalid character 'g' in \\u hexadecimal character escape");
  EXPECT_EQ(failure("\"a\nb\""), "invalid character '\\n' in string literal");
  EXPECT_EQ(failure("'"), "invalid character '\\'' looking for beginning of value");
}

TEST(Json, DepthIsBounded) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(failure(nested(2000)), "parsed");
  EXPECT_EQ(failure(nested(2001)), "exceeded max depth");
  EXPECT_TRUE(schema::is_valid_json(nested(10000)));
  EXPECT_FALSE(schema::is_valid_json(nested(10001)));
  EXPECT_FALSE(schema::is_valid_json(std::string(1000000, '[')));
}

TEST(Json, DuplicateKeysAreReportedAndTheLastWins) {
  std::vector<std::string> duplicates;
  Result<Value> value = parse(R"({"a":1,"b":[{"c":1,"c":2}],"a":3})", &duplicates);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(to_string(*value), R"({"a":3,"b":[{"c":2}]})");
  EXPECT_EQ(duplicates, (std::vector<std::string>{"b[0].c", "a"}));
  std::string wide = "{";
  for (int i = 0; i < 100; ++i) wide += "\"k" + std::to_string(i) + "\":1,";
  EXPECT_EQ(parse(wide + "\"k50\":2}")->members().size(), 100u);
}

TEST(Json, Equality) {
  EXPECT_EQ(*parse(R"({"a":1,"b":2})"), *parse(R"({"b":2,"a":1.0})"));
  EXPECT_FALSE(*parse(R"({"a":1})") == *parse(R"({"a":1,"b":2})"));
  EXPECT_FALSE(*parse("[1,2]") == *parse("[2,1]"));
  EXPECT_FALSE(*parse("null") == *parse("false"));
}

TEST(Json, TreeEditing) {
  Value value;
  value["a"]["b"] = 1;
  value["list"].push_back("x");
  EXPECT_EQ(to_string(value), R"({"a":{"b":1},"list":["x"]})");
  EXPECT_EQ(value.at({"a", "b"}).as_int(), 1);
  EXPECT_TRUE(value.at({"a", "x", "y"}).is_null());
  EXPECT_TRUE(value.erase("a"));
  EXPECT_FALSE(value.erase("a"));
  Value copy = value;
  copy["list"].push_back(2);
  EXPECT_EQ(value.at({"list"}).items().size(), 1u);
  EXPECT_EQ(Value("x").items().size() + Value(1).members().size(), 0u);
  EXPECT_EQ(to_pretty(*parse(R"({"a":[1,{}],"b":[]})")),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
  std::string sorted;
  write(sorted, *parse(R"({"b":1,"a":{"d":1,"c":2}})"), true);
  EXPECT_EQ(sorted, R"({"a":{"c":2,"d":1},"b":1})");
}

TEST(Json, DoublesAsIntegersStayInRange) {
  EXPECT_EQ(Value(1e300).as_int(), INT64_MAX);
  EXPECT_EQ(Value(-1e300).as_int(), INT64_MIN);
  EXPECT_EQ(Value(1.9).as_int(), 1);
}

TEST(JsonText, Base64) {
  std::string out;
  size_t bad = 0;
  EXPECT_TRUE(schema::parse_base64("aGVs\nbG8=", out, bad));
  EXPECT_EQ(out, "hello");
  EXPECT_TRUE(schema::parse_base64("", out, bad));
  EXPECT_FALSE(schema::parse_base64("aGVsbG8", out, bad));
  EXPECT_FALSE(schema::parse_base64("aGVs*", out, bad));
  EXPECT_EQ(bad, 4u);
  EXPECT_FALSE(schema::parse_base64("aGVsbG8=x", out, bad));
  std::string text;
  schema::append_base64(text, std::string("\xff\x00\x10", 3));
  EXPECT_EQ(text, "/wAQ");
}

TEST(CompactJson, DropsSpaceBetweenTokensOnly) {
  auto compact = [](std::string_view text, bool html) {
    std::string out;
    schema::append_compact_json(out, text, html);
    return out;
  };
  EXPECT_EQ(compact(" { \"a b\" :\t[ 1 ,\n\"c \\\" d\\\\\" , \"\" ] } ", true), R"({"a b":[1,"c \" d\\",""]})");
  EXPECT_EQ(compact("\"<a>&\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac\"", true), "\"\\u003ca\\u003e\\u0026\\u2028\\u2029\xe2\x82\xac\"");
  EXPECT_EQ(compact("\"<a>&\xe2\x80\xa8\"", false), "\"<a>&\xe2\x80\xa8\"");
  EXPECT_EQ(compact("12", true), "12");
  EXPECT_EQ(compact("", true), "");
}

}  // namespace
}  // namespace knarr::json
