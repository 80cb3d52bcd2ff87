// SPDX-License-Identifier: Apache-2.0
// What the recorded answers of upstream (tests/vectors) do not reach: budgets, forms of data, the
// authorizer, the parts on their own.
#include "cel/cel.h"

#include <gtest/gtest.h>

#include "api/core_v1.h"
#include "cel/escape.h"

namespace knarr::cel {
namespace {

struct World {
  std::shared_ptr<Environment> environment = std::make_shared<Environment>(28);
  std::vector<Value> bindings;
  Arena arena;
  Budget budget;

  void bind(std::string_view name, const Value& value, const Type* type = &types::kDyn) {
    environment->add_variable(name, type);
    bindings.push_back(value);
  }
  Outcome evaluate(std::string_view text) {
    compilations.push_back(compile(environment, text));
    const Compilation& compiled = compilations.back();
    if (!compiled.ok()) return {Value::error(arena, compiled.error()), 0, Stop::kNone};
    return compiled.program->evaluate(bindings, budget, arena);
  }
  std::string run(std::string_view text) {
    Outcome outcome = evaluate(text);
    return display(outcome.value, arena);
  }

 private:
  std::vector<Compilation> compilations;  // values may be constants of a program
};

TEST(Cel, TypedObjectsLookLikeTheirJson) {
  api::core_v1::Pod pod;
  pod.metadata.name = "p";
  pod.metadata.labels["app"] = "web";
  pod.metadata.labels["tier"] = "front";
  pod.metadata.creation_timestamp = schema::Time::from_unix(1577836800);
  auto& container = pod.spec.containers.emplace_back();
  container.name = "c";
  container.resources.limits["cpu"] = schema::Quantity("100m");
  container.ports.emplace_back().container_port = 80;
  World world;
  world.bind("object", Value::of(api::core_v1::Pod::kind_info(), &pod));
  EXPECT_EQ(world.run("object.kind + object.apiVersion + object.metadata.name"), "Podv1p");
  EXPECT_EQ(world.run("object.metadata.labels.map(k, k + object.metadata.labels[k])"),
            "[appweb, tierfront]");
  EXPECT_EQ(world.run("object.metadata.creationTimestamp"), "2020-01-01T00:00:00Z");
  EXPECT_EQ(world.run("object.spec.containers[0].resources.limits.cpu"), "100m");
  EXPECT_EQ(world.run("object.spec.containers.all(c, c.ports.all(p, p.containerPort == 80))"),
            "true");
  EXPECT_EQ(world.run("has(object.metadata.namespace)"), "false");
  EXPECT_EQ(world.run("has(object.spec.containers)"), "true");
  EXPECT_EQ(world.run("object.metadata.annotations"), "no such key: annotations");
  EXPECT_EQ(world.run("object.spec.containers[1]"), "index out of bounds: 1");
  EXPECT_EQ(world.run("object == object && type(object) == map"), "true");
}

TEST(Cel, LooksAtJsonWithoutConvertingIt) {
  json::Value object = *json::parse(R"({"a":{"b":[1,2.5,"x",null]}})");
  World world;
  world.bind("object", Value::of(object));
  Outcome outcome = world.evaluate("object.a.b[2]");
  EXPECT_EQ(outcome.value.text().data(), object.at({"a", "b"}).items()[2].as_string().data());
  EXPECT_EQ(outcome.cost, 4u);
}

TEST(Cel, StopsAtTheCostLimit) {
  World world;
  world.budget.cost = 1000;
  Outcome outcome = world.evaluate(
      "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, a + b + c > 0))) "
      "|| true");
  EXPECT_EQ(outcome.stop, Stop::kCost);
  EXPECT_EQ(outcome.value.text(), "operation cancelled: actual cost limit exceeded");
  EXPECT_GT(outcome.cost, 1000u);
}

TEST(Cel, StopsWhenInterrupted) {
  World world;
  int asked = 0;
  world.budget.interrupted = [&] { return ++asked == 2; };
  Outcome outcome = world.evaluate(
      "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, a + b + c > "
      "0)))");
  EXPECT_EQ(outcome.stop, Stop::kInterrupted);
  EXPECT_EQ(outcome.value.text(), "operation interrupted");
  EXPECT_EQ(asked, 2);
}

// Replacing is charged for what goes in; what comes out may be its square.
TEST(Cel, StopsBeforeMemoryRunsOut) {
  World world;
  std::string large(1000000, 'a');
  world.bind("large", Value::string(large), &types::kString);
  Outcome outcome = world.evaluate("large.replace('a', large).size() > 0 || true");
  EXPECT_EQ(outcome.stop, Stop::kMemory);
  EXPECT_EQ(outcome.value.text(), "operation cancelled: memory limit exceeded");
}

TEST(Cel, AnArenaServesManyEvaluations) {
  World world;
  Compilation compiled = compile(world.environment, "[1, 2, 3].map(x, string(x)).join('-')");
  for (int i = 0; i < 3; ++i) {
    Outcome outcome = compiled.program->evaluate({}, {}, world.arena);
    EXPECT_EQ(outcome.value.text(), "1-2-3");
    world.arena.reset();
  }
}

TEST(Cel, UnsetVariablesFailOnlyWhenAskedFor) {
  World world;
  world.bind("there", Value::boolean(true), &types::kBool);
  world.bind("missing", Value(), &types::kBool);
  EXPECT_EQ(world.run("there || missing"), "true");
  EXPECT_EQ(world.run("missing && there"), "no such attribute(s): missing");
}

TEST(Cel, KnowsWhichVariablesAreUsed) {
  World world;
  world.bind("self", Value::null());
  world.bind("oldSelf", Value::null());
  Compilation compiled = compile(world.environment, "[1].all(x, oldSelf.a == x)");
  EXPECT_TRUE(compiled.program->uses("oldSelf"));
  EXPECT_FALSE(compiled.program->uses("self"));
  EXPECT_EQ(compiled.program->result_type().kind, Type::Kind::kBool);
}

TEST(Cel, VersionsDecideWhatNewExpressionsMayUse) {
  auto compatible = std::make_shared<Environment>();
  EXPECT_TRUE(compile(compatible, "'a'.find('a') == url('/a').getHost()").ok());
  EXPECT_FALSE(compile(compatible, "quantity('1') == quantity('2')").ok());
  EXPECT_FALSE(compile(compatible, "{'a': 1}.?a.hasValue()").ok());
  EXPECT_FALSE(compile(compatible, "1 < 2.0").ok());
  EXPECT_TRUE(compile(std::make_shared<Environment>(Environment::kNewest),
                      "{'a': 1}.?a.hasValue() && 1 < 2.0")
                  .ok());
}

class Variables : public LazyMap {
 public:
  bool find(std::string_view key, Arena& arena, Value& out) override {
    ++asked;
    if (key != "double") return false;
    out = Value::string(arena.copy("made"));
    return true;
  }
  int asked = 0;
};

TEST(Cel, LazyMapsAreAskedWhenLookedInto) {
  Variables variables;
  World world;
  world.bind("variables", Value::lazy(&variables));
  EXPECT_EQ(world.run("true || variables.double == ''"), "true");
  EXPECT_EQ(variables.asked, 0);
  EXPECT_EQ(world.run("variables.double"), "made");
  EXPECT_EQ(world.run("variables.other"), "no such key: other");
}

class Recorder : public Authorizer {
 public:
  Decision check(const AccessCheck& check) override {
    asked.push_back(std::string(check.account_namespace) + ":" + std::string(check.account) + " " +
                    std::string(check.verb) + " " + std::string(check.path) +
                    std::string(check.group) + "/" + std::string(check.resource) + "/" +
                    std::string(check.subresource) + " " + std::string(check.name_space) + "/" +
                    std::string(check.name));
    return decision;
  }
  Decision decision;
  std::vector<std::string> asked;
};

TEST(Cel, AsksTheAuthorizer) {
  Recorder recorder;
  recorder.decision = {true, false, "because", ""};
  World world;
  world.bind("authorizer", authorizer_value(recorder, world.arena), &types::kAuthorizer);
  Outcome outcome = world.evaluate(
      "authorizer.serviceAccount('ns', "
      "'sa').group('apps').resource('deployments').subresource('status').namespace('n').name('x')."
      "check('get').reason()");
  EXPECT_EQ(outcome.value.text(), "because");
  EXPECT_EQ(outcome.cost, 350008u);
  EXPECT_EQ(recorder.asked, std::vector<std::string>{"ns:sa get apps/deployments/status n/x"});
  EXPECT_EQ(world.run("authorizer.path('/healthz').check('get').allowed()"), "true");
  EXPECT_EQ(world.run("authorizer.path(' ').check('get').allowed()"), "path must not be empty");
  EXPECT_EQ(world.run("authorizer.serviceAccount('ns', 'S A').path('/x').check('get').allowed()"),
            "Invalid service account name");
  EXPECT_EQ(world
                .evaluate("authorizer.path('/a').check('get').allowed() && "
                          "authorizer.path('/b').check('get').allowed() && "
                          "authorizer.path('/c').check('get').allowed()")
                .stop,
            Stop::kCost);
}

TEST(Cel, UndecidedAuthorizationEndsTheEvaluation) {
  Recorder recorder;
  recorder.decision.pending = true;
  World world;
  world.bind("authorizer", authorizer_value(recorder, world.arena), &types::kAuthorizer);
  EXPECT_EQ(world
                .evaluate("authorizer.path('/a').check('get').allowed() || "
                          "authorizer.path('/b').check('get').allowed() || true")
                .stop,
            Stop::kPending);
  EXPECT_EQ(recorder.asked.size(), 1u);
}

// A list that a fold makes grows in place; a program that takes hold of it halfway sees what was
// there then.
TEST(Cel, AccumulatorsTakenHoldOfDoNotChange) {
  World world;
  EXPECT_EQ(world.run("[1, 2, 3].map(x, dyn(__result__))"), "[[], [[]], [[], [[]]]]");
}

TEST(Cel, NestsOnlySoDeep) {
  World world;
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "[";
  EXPECT_NE(world.run(deep).find("expression recursion limit exceeded: 250"), std::string::npos);
  EXPECT_NE(world.run(std::string(100001, ' '))
                .find("expression code point size exceeds limit: size: 100001, limit 100000"),
            std::string::npos);
}

// Upstream's table of costs (its library's cost test), for which nothing is computed beforehand.
TEST(Cel, CostsOfLibraries) {
  struct {
    const char* text;
    Range estimate;
    uint64_t cost;
  } kCases[] = {
      {"[1, 2, 3, 4, 5].sum()", {15, 15}, 15},
      {"[uint(1), uint(2), uint(3), uint(4), uint(5)].sum()", {20, 20}, 20},
      {"['012345678901', '012345678901', '012345678901', '012345678901', "
       "'012345678901'].isSorted()",
       {15, 25},
       15},
      {"[bytes('012345678901'), bytes('012345678901'), bytes('012345678901'), "
       "bytes('012345678901'), bytes('012345678901')].max()",
       {25, 35},
       25},
      {"[1, 2, 3, 4, 5].indexOf(3)", {15, 15}, 15},
      {"'01234567890123456789012345678901234567890123456789'.lastIndexOf('123')", {5, 5}, 5},
      {"url('https:://kubernetes.io/').getScheme()", {4, 4}, 4},
      {"'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", {7, 9}, 9},
      {"'abc 123 def 123'.replace('123', '456')", {3, 3}, 3},
      {"'abc 123 def 123'.split(' ', 1)", {3, 3}, 3},
      {"'  abc 123 def 123  '.trim()", {2, 2}, 2},
      {"['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join(' ')", {11, 23}, 15},
      {"['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join()", {10, 22}, 13},
      {"'abc 123 def 123'.findAll('123', 1)", {2, 2}, 2},
  };
  struct : SizeHints {
    std::optional<Range> size_of(std::span<const std::string>, const Type& type) const override {
      bool is_text = type.kind == Type::Kind::kString || type.kind == Type::Kind::kBytes;
      return is_text ? std::optional<Range>(Range{0, 12}) : std::nullopt;
    }
  } hints;
  for (const auto& c : kCases) {
    World world;
    world.environment->set_folding(false);
    Compilation compiled = compile(world.environment, c.text);
    ASSERT_TRUE(compiled.ok()) << c.text << compiled.error();
    EXPECT_EQ(compiled.program->estimate_cost(hints), c.estimate) << c.text;
    EXPECT_EQ(compiled.program->evaluate({}, {}, world.arena).cost, c.cost) << c.text;
  }
}

TEST(Cel, DeclaredSizes) {
  auto schema = Schema::from_json(*json::parse(
      R"({"type":"object","properties":{"list":{"type":"array","items":{"type":"string","maxLength":3}},"map":{"type":"object","additionalProperties":{"type":"boolean"}}}})"));
  TypePool pool;
  const DeclType* root = declare(*schema, "Root", pool);
  EXPECT_EQ(root->fields.at("list")->max_elements, (3 * 1024 * 1024 - 2) / 3);
  EXPECT_EQ(root->fields.at("list")->element->max_elements, 12);
  EXPECT_EQ(root->fields.at("map")->max_elements, (3 * 1024 * 1024 - 2) / 10);
  EXPECT_EQ(to_string(*root->fields.at("map")->type), "map(string, bool)");
  const std::vector<std::string> path = {"self", "list", "@items"};
  EXPECT_EQ(DeclaredSizes(*root).size_of(path, types::kString), (Range{0, 12}));
}

TEST(Cel, DataThatDoesNotFitItsSchemaIsAnError) {
  auto schema = Schema::from_json(*json::parse(
      R"({"type":"object","properties":{"i":{"type":"integer"},"n":{"type":"string"},"t":{"type":"string","format":"date-time"}}})"));
  json::Value object = *json::parse(R"({"i":"x","n":null,"t":"yesterday"})");
  World world;
  const Type* type = declare(*schema, "Root", world.environment->types())->type;
  world.bind("self", Value::of(object, *schema, world.arena), type);
  EXPECT_EQ(world.run("self.i"), "invalid data, expected int, got string");
  EXPECT_EQ(world.run("self.n"), "no such key: n");
  EXPECT_EQ(world.run("self.i == 1 || true"), "true");
  EXPECT_EQ(world.run("self.t.getHours()").substr(0, 28), "Invalid date-time formatted ");
}

TEST(Escape, FieldNames) {
  EXPECT_EQ(escape_field("a"), "a");
  EXPECT_EQ(escape_field("namespace"), "__namespace__");
  EXPECT_EQ(escape_field("a-b.c/d__e"), "a__dash__b__dot__c__slash__d__underscores__e");
  EXPECT_EQ(escape_field("1a"), std::nullopt);
  EXPECT_EQ(escape_field("a b"), std::nullopt);
  EXPECT_EQ(escape_field(""), std::nullopt);
  for (std::string_view name : {"a", "namespace", "a-b.c/d__e", "___", "_a_", "__dot__"})
    EXPECT_EQ(unescape_field(*escape_field(name)), name);
  EXPECT_EQ(unescape_field("__foo__"), std::nullopt);
  EXPECT_EQ(unescape_field("a__namespace__"), std::nullopt);
}

}  // namespace
}  // namespace knarr::cel
