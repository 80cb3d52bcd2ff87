// SPDX-License-Identifier: Apache-2.0
#include "schema/selector.h"

#include <gtest/gtest.h>

#include "api/meta_v1.h"

namespace knarr::schema {
namespace {

std::string canonical(std::string_view text) {
  Result<LabelSelector> selector = LabelSelector::parse(text);
  return selector.ok() ? selector->to_string()
                       : "error: " + std::string(selector.status().message());
}
bool matches(std::string_view text, const Map<Str>& labels) {
  Result<LabelSelector> selector = LabelSelector::parse(text);
  return selector.ok() && selector->matches(labels);
}

TEST(LabelSelector, Parse) {
  EXPECT_EQ(canonical(""), "");
  EXPECT_EQ(canonical(" b != c , a == x,!d, e , f in (z,y,), g notin(1) ,h>3"),
            "a==x,b!=c,!d,e,f in (,y,z),g notin (1),h>3");
  EXPECT_EQ(canonical("a="), "a=");
  EXPECT_EQ(canonical("in in (in,notin)"), "in in (in,notin)");
  EXPECT_EQ(canonical("a in ()"), "a in ()");
  EXPECT_EQ(canonical("example.com/a=b"), "example.com/a=b");
}

TEST(LabelSelector, Errors) {
  EXPECT_EQ(
      canonical("a b"),
      "error: unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
  EXPECT_EQ(canonical("a,"), "error: found '', expected: identifier after ','");
  EXPECT_EQ(canonical("=a"), "error: found '=', expected: !, identifier, or 'end of string'");
  EXPECT_EQ(canonical("a in b"), "error: unable to parse requirement: found 'b' expected: '('");
  EXPECT_EQ(canonical("a=b c"), "error: found 'c', expected: ',' or 'end of string'");
  EXPECT_EQ(canonical("-a"),
            "error: unable to parse requirement: <nil>: Invalid value: \"-a\": name part must "
            "consist of alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  "
            "or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')");
  EXPECT_EQ(canonical("a=-"),
            "error: unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label "
            "must be an empty string or consist of "
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or "
            "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
  EXPECT_EQ(canonical("a>x"),
            "error: unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' "
            "operators, the value must be an integer");
}

TEST(LabelSelector, Matches) {
  Map<Str> labels{{"app", "web"}, {"tier", ""}, {"n", "5"}};
  for (std::string_view text : {"", "app", "app=web", "app!=x", "app in (x,web)", "app notin (x)",
                                "!foo", "foo!=x", "foo notin (x)", "tier=", "n>4", "n<6,app"})
    EXPECT_TRUE(matches(text, labels)) << text;
  for (std::string_view text : {"foo", "app=x", "app!=web", "!app", "app notin (web)", "foo in (x)",
                                "foo=", "n>5", "app>1", "app,foo"})
    EXPECT_FALSE(matches(text, labels)) << text;
  EXPECT_FALSE(LabelSelector::nothing().matches(labels));
  EXPECT_TRUE(LabelSelector::from_set({{"app", "web"}}).matches(labels));
  EXPECT_TRUE(LabelSelector::from_set({}).matches_everything());
}

TEST(LabelSelector, FromObjects) {
  EXPECT_TRUE(LabelSelector::from(nullptr)->matches_nothing());
  api::meta_v1::LabelSelector selector;
  EXPECT_TRUE(LabelSelector::from(&selector)->matches_everything());
  selector.match_labels["a"] = "b";
  auto& expression = selector.match_expressions.emplace_back();
  expression.key = "c";
  expression.operator_ = "In";
  expression.values = {"y", "x"};
  EXPECT_EQ(LabelSelector::from(&selector)->to_string(), "a=b,c in (x,y)");
  expression.values = {};
  EXPECT_EQ(LabelSelector::from(&selector).status().message(),
            "values: Invalid value: []string(nil): for 'in', 'notin' operators, values set can't "
            "be empty");
  expression.operator_ = "Foo";
  EXPECT_EQ(LabelSelector::from(&selector).status().message(),
            "\"Foo\" is not a valid label selector operator");
}

TEST(FieldSelector, ParseAndMatch) {
  auto selector = FieldSelector::parse("spec.nodeName!=b,metadata.name=a\\,c\\=d\\\\,,x==y");
  ASSERT_TRUE(selector.ok());
  EXPECT_EQ(selector->to_string(), "metadata.name=a\\,c\\=d\\\\,spec.nodeName!=b,x=y");
  EXPECT_EQ(*selector->required_value("metadata.name"), "a,c=d\\");
  EXPECT_EQ(selector->required_value("spec.nodeName"), nullptr);
  auto lookup = [](std::string_view node) {
    return [node](std::string_view field) -> std::string_view {
      return field == "metadata.name"   ? "a,c=d\\"
             : field == "x"             ? "y"
             : field == "spec.nodeName" ? node
                                        : "";
    };
  };
  EXPECT_TRUE(selector->matches(lookup("")));
  EXPECT_FALSE(selector->matches(lookup("b")));
  EXPECT_TRUE(FieldSelector::parse("")->matches_everything());
  EXPECT_EQ(FieldSelector::parse("abc").status().message(),
            "invalid selector: 'abc'; can't understand 'abc'");
  EXPECT_EQ(FieldSelector::parse("a=b=c").status().message(),
            "invalid field selector: unescaped character in value: 61");
  EXPECT_EQ(FieldSelector::parse("a=\\x").status().message(),
            "invalid field selector: invalid escape sequence: \\x");
  EXPECT_EQ(FieldSelector::parse("a=\\").status().message(),
            "invalid field selector: invalid escape sequence: \\");
}

}  // namespace
}  // namespace knarr::schema
