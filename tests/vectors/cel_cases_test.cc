// SPDX-License-Identifier: Apache-2.0
// Upstream's answers to a thousand expressions (cel_cases.jsonl, recorded by tools/cel-oracle):
// issues with their places, types, values, errors, costs and estimates.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "cel/cel.h"
#include "vectors/go_module.h"

namespace knarr::cel {
namespace {

struct Case {
  json::Value line;
  const json::Value* with;  // the schema and the object

  std::string text(std::string_view key) const {
    const json::Value* found = line.find(key);
    return found == nullptr     ? ""
           : found->is_string() ? found->as_string()
                                : json::to_string(*found);
  }
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    static std::map<std::string, json::Value> definitions;
    std::vector<Case> made;
    // KNARR_CEL_CASES: other answers that the oracle recorded.
    const char* other = std::getenv("KNARR_CEL_CASES");
    std::istringstream file(
        read_whole_file(other == nullptr ? KNARR_VECTORS "/cel_cases.jsonl" : other));
    for (std::string line; std::getline(file, line);) {
      Result<json::Value> parsed = json::parse(line);
      if (!parsed.ok()) continue;
      if (const json::Value* name = parsed->find("define")) {
        definitions[name->as_string()] = *parsed;
      } else {
        made.push_back({*parsed, nullptr});
      }
    }
    for (Case& c : made) {
      auto found = definitions.find(c.text("with"));
      c.with = found == definitions.end() ? &c.line : &found->second;
    }
    return made;
  }();
  return all;
}

// One text for each value, as the oracle writes it.
std::string show(const Value& v, Arena& arena) {
  using Kind = Value::Kind;
  switch (v.kind()) {
    case Kind::kNull:
      return "NULL_VALUE";
    case Kind::kUint:
      return display(v, arena) + "u";
    case Kind::kDouble:
      return display(v, arena) + "d";
    case Kind::kString:
      return "'" + std::string(v.text()) + "'";
    case Kind::kBytes: {
      std::string out = "b'";
      for (char c : v.text()) {
        static constexpr char kDigits[] = "0123456789abcdef";
        out += kDigits[static_cast<uint8_t>(c) >> 4];
        out += kDigits[static_cast<uint8_t>(c) & 15];
      }
      return out + "'";
    }
    case Kind::kDuration:
    case Kind::kTimestamp:
      return std::string(v.type_name()) + "(" + display(v, arena) + ")";
    case Kind::kOptional:
      return v.held() == nullptr ? "none" : "optional " + show(*v.held(), arena);
    case Kind::kMap: {
      std::vector<std::string> all;
      Value keys = map_keys(v, arena);
      for (size_t i = 0; i < list_size(keys); ++i) {
        Value key = list_at(keys, i, arena), member;
        // An object does not tell of its null fields.
        if (!map_find(v, key, arena, member))
          member = Value::error(arena, "no such key: " + display(key, arena));
        all.push_back(show(key, arena) + ": " + show(member, arena));
      }
      std::sort(all.begin(), all.end());
      std::string out;
      for (const std::string& one : all) out += (out.empty() ? "" : ", ") + one;
      return "{" + out + "}";
    }
    case Kind::kList: {
      std::string out;
      for (size_t i = 0; i < list_size(v); ++i)
        out += (i == 0 ? "" : ", ") + show(list_at(v, i, arena), arena);
      return "[" + out + "]";
    }
    case Kind::kType:
      return "type " + std::string(v.text());
    case Kind::kOpaque:
      return std::string(v.type_name());
    default:
      return display(v, arena);
  }
}

// Everything that is compared, a line each.
std::string answer(const Case& c) {
  auto number = [&](std::string_view key, int64_t fallback) {
    return c.line.find(key) == nullptr ? fallback : c.line.at({key}).as_int();
  };
  auto environment = std::make_shared<Environment>(static_cast<int>(number("minor", 28)));
  Arena arena;
  DeclType nothing;
  nothing.type = &types::kDyn;
  const DeclType* root = &nothing;
  Value self;
  const json::Value* object = c.with->find("self");
  std::unique_ptr<Schema> schema;
  if (const json::Value* openapi = c.with->find("schema")) {
    schema = Schema::from_json(*openapi);
    root = declare(*schema, "Root", environment->types());
    self = object == nullptr ? Value::null() : Value::of(*object, *schema, arena);
    environment->add_variable("self", root->type);
    environment->add_variable("oldSelf", root->type);
  } else {
    self = object == nullptr ? Value::null() : Value::of(*object);
    environment->add_variable("self", &types::kDyn);
  }
  Compilation compiled = compile(environment, c.text("expr"));
  if (!compiled.issues.empty()) return "issues: " + compiled.issues.to_string();
  struct NoSizes : SizeHints {
    std::optional<Range> size_of(std::span<const std::string>, const Type&) const override {
      return std::nullopt;
    }
  } no_sizes;
  DeclaredSizes sizes(*root);
  Range estimate = compiled.program->estimate_cost(
      schema != nullptr ? static_cast<const SizeHints&>(sizes) : no_sizes);
  std::string out =
      "estimate: " + std::to_string(estimate.min) + " " + std::to_string(estimate.max) + "\n";
  if (!compiled.ok()) return out + "program: " + compiled.failure;
  Budget budget;
  budget.cost = static_cast<uint64_t>(number("limit", 1000000));
  const Value bindings[] = {self, self};
  Outcome outcome = compiled.program->evaluate(bindings, budget, arena);
  // Where exactly the limit was passed, nobody sees.
  out += outcome.stop == Stop::kCost ? "" : "cost: " + std::to_string(outcome.cost) + "\n";
  return out + (outcome.ok() ? "value: " + show(outcome.value, arena)
                             : "error: " + std::string(outcome.value.text()));
}

std::string expected(const Case& c) {
  if (c.line.find("issues") != nullptr) return "issues: " + c.text("issues");
  std::string out = "estimate: " + c.text("min") + " " + c.text("max") + "\n";
  if (c.line.find("program") != nullptr) return out + "program: " + c.text("program");
  bool was_stopped = c.text("error").find("actual cost limit") != std::string::npos;
  if (!was_stopped)
    out += "cost: " + (c.line.find("cost") == nullptr ? "none" : c.text("cost")) + "\n";
  return out + (c.line.find("error") != nullptr ? "error: " + c.text("error")
                                                : "value: " + c.text("value"));
}

// What upstream answers for reasons that are not the language's.
const std::map<std::string, std::string>& known_differences() {
  static const std::map<std::string, std::string> all = {
      {"{b'a':1}", "panics; here it is an error"},
      {"google.protobuf.Timestamp{}", "protobuf messages cannot be made here"},
      {"optional.none().optMap(x, x + 1)",
       "upstream's checker trips over a node that the macro doubled"},
      {"[1, 2].map(__result__, __result__)", "likewise"},
      {"- ", "upstream's generated parser gets lost and says more"},
      {"!", "likewise"},
  };
  return all;
}

TEST(CelCases, AnswersAsUpstream) {
  ASSERT_GT(cases().size(), 900u);
  size_t wrong = 0;
  for (const Case& c : cases()) {
    std::string ours = answer(c), theirs = expected(c);
    if (ours == theirs || known_differences().contains(c.text("expr"))) continue;
    ++wrong;
    ADD_FAILURE() << c.text("expr").substr(0, 300) << "\n  ours:   " << ours.substr(0, 500)
                  << "\n  theirs: " << theirs.substr(0, 500);
  }
  RecordProperty("different", static_cast<int>(wrong));
}

}  // namespace
}  // namespace knarr::cel
