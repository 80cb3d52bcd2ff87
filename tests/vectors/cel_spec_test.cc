// SPDX-License-Identifier: Apache-2.0
// The conformance tests of the language (cel-spec v0.9.0, fetched by the go command when the tests
// start). Left out are protobuf messages, which Kubernetes' data has none of, tests that turn the
// checker or macros off, and what cel-go v0.16.1 itself leaves out.
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <set>

#include "cel/cel.h"
#include "vectors/go_module.h"
#include "vectors/text_proto.h"

namespace knarr::cel {
namespace {

const json::Value* find(const json::Value& message, std::string_view name) {
  return message.find(name);
}

std::string text(const json::Value* field) {
  if (field == nullptr) return "";
  const std::string& raw = field->as_string();
  return raw.starts_with('"') ? raw.substr(1) : raw;
}

Value value_of(const json::Value& message, Arena& arena);

Value object_of(const json::Value& any) {
  for (const auto& [name, message] : any.members()) {
    auto number = [&](std::string_view key) {
      return find(message, key) == nullptr ? int64_t{0} : std::stoll(text(find(message, key)));
    };
    if (name.find("google.protobuf.Duration") != std::string::npos)
      return Value::duration(number("seconds") * 1000000000 + number("nanos"));
    if (name.find("google.protobuf.Timestamp") != std::string::npos)
      return Value::timestamp(number("seconds"), static_cast<uint32_t>(number("nanos")));
  }
  return Value();
}

Value list_of(const json::Value& message, Arena& arena) {
  std::vector<Value> items;
  for (const auto& [name, item] : message.members())
    if (name == "values") items.push_back(value_of(item, arena));
  Value* kept = arena.values(items.size());
  std::copy(items.begin(), items.end(), kept);
  return Value::list(kept, items.size());
}

Value map_of(const json::Value& message, Arena& arena) {
  MadeMap* made = MadeMap::make(message.members().size(), arena);
  for (const auto& [name, entry] : message.members())
    if (name == "entries")
      made->set(value_of(*find(entry, "key"), arena), value_of(*find(entry, "value"), arena));
  return Value::map(made);
}

Value value_of(const json::Value& message, Arena& arena) {
  for (const auto& [name, field] : message.members()) {
    if (name == "value") return value_of(field, arena);
    if (name == "int64_value") return Value::integer(std::stoll(text(&field), nullptr, 0));
    if (name == "uint64_value") return Value::uinteger(std::stoull(text(&field), nullptr, 0));
    if (name == "double_value") return Value::number(std::strtod(text(&field).c_str(), nullptr));
    if (name == "bool_value") return Value::boolean(text(&field) == "true");
    if (name == "string_value") return Value::string(arena.copy(text(&field)));
    if (name == "bytes_value") return Value::bytes(arena.copy(text(&field)));
    if (name == "null_value") return Value::null();
    if (name == "type_value") return Value::type(arena.copy(text(&field)));
    if (name == "list_value") return list_of(field, arena);
    if (name == "map_value") return map_of(field, arena);
    if (name == "object_value") return object_of(field);
  }
  return Value();
}

const Type* type_of(const json::Value& message, TypePool& pool) {
  if (message.members().empty()) return nullptr;
  const auto& [name, field] = message.members()[0];
  if (name == "primitive") {
    static const std::map<std::string, const Type*> kTypes = {
        {"INT64", &types::kInt},     {"UINT64", &types::kUint}, {"BOOL", &types::kBool},
        {"STRING", &types::kString}, {"BYTES", &types::kBytes}, {"DOUBLE", &types::kDouble}};
    return kTypes.at(text(&field));
  }
  if (name == "well_known")
    return text(&field) == "DURATION"    ? &types::kDuration
           : text(&field) == "TIMESTAMP" ? &types::kTimestamp
                                         : &types::kAny;
  if (name == "dyn") return &types::kDyn;
  if (name == "null") return &types::kNull;
  if (name == "list_type") return pool.list(type_of(*find(field, "elem_type"), pool));
  if (name == "map_type")
    return pool.map(type_of(*find(field, "key_type"), pool),
                    type_of(*find(field, "value_type"), pool));
  return nullptr;
}

// Empty when the answer is right or, with `skipped`, when the test is none of ours.
std::string run(const json::Value& test, bool& skipped) {
  skipped = true;
  std::string expr = text(find(test, "expr"));
  if (text(find(test, "disable_check")) == "true" || text(find(test, "disable_macros")) == "true" ||
      find(test, "container") != nullptr)
    return "";
  for (std::string_view word :
       {"TestAll", "NestedTest", "GlobalEnum", "google.protobuf.", "google.expr"})
    if (expr.find(word) != std::string::npos &&
        expr.find("google.protobuf.Timestamp") == std::string::npos &&
        expr.find("google.protobuf.Duration") == std::string::npos)
      return "";
  Arena arena;
  auto environment = std::make_shared<Environment>(28);
  environment->set_mixed_literals(true);
  std::vector<Value> bindings;
  for (const auto& [name, declaration] : test.members()) {
    if (name != "type_env") continue;
    const json::Value* ident = find(declaration, "ident");
    const Type* type =
        ident == nullptr ? nullptr : type_of(*find(*ident, "type"), environment->types());
    if (type == nullptr) return "";
    environment->add_variable(text(find(declaration, "name")), type);
    bindings.emplace_back();
  }
  for (const auto& [name, binding] : test.members()) {
    if (name != "bindings") continue;
    int place = environment->find_variable(text(find(binding, "key")));
    if (place < 0) return "";
    bindings[static_cast<size_t>(place)] = value_of(*find(binding, "value"), arena);
  }
  skipped = false;
  Compilation compiled = compile(environment, expr);
  Outcome outcome;
  if (compiled.ok()) outcome = compiled.program->evaluate(bindings, {}, arena);
  if (find(test, "eval_error") != nullptr)
    return compiled.issues.empty() && (!compiled.ok() || !outcome.ok())
               ? ""
               : "no error: " + compiled.error();
  if (!compiled.ok()) return compiled.error();
  const json::Value* wanted = find(test, "value");
  Value expected = wanted == nullptr ? Value::boolean(true) : value_of(*wanted, arena);
  std::string ours = display(outcome.value, arena), theirs = display(expected, arena);
  bool same = outcome.value.kind() == expected.kind() &&
              (equals(outcome.value, expected, arena).is_true() || ours == theirs);
  return same ? "" : ours + " instead of " + theirs;
}

// Left out by cel-go v0.16.1 itself (its conformance/BUILD.bazel), or because Kubernetes' set-up
// differs.
const std::set<std::string>& left_out() {
  static const std::set<std::string> names = {
      "eq_mixed_types_error",
      "eq_list_elem_mixed_types_error",
      "eq_map_value_mixed_types_error",
      "ne_mixed_types_error",
      "elem_in_mixed_type_list_error",
      "key_in_mixed_key_type_map_error",
      "list_elem_type_exhaustive",
      "map_key_type_exhaustive",
      "map_key_float",
      "map_key_null",
      "map_value_repeat_key",
      "get_milliseconds",
  };
  return names;
}

TEST(CelSpec, Conformance) {
  if (!have_go()) GTEST_SKIP() << "no go command";
  // The checksum database does not know this module everywhere.
  setenv("GONOSUMDB", "github.com/google/cel-spec", 1);
  std::string folder = go_module_folder("github.com/google/cel-spec@v0.9.0");
  unsetenv("GONOSUMDB");
  ASSERT_NE(folder, "") << "the module cannot be fetched";
  size_t passed = 0, skipped_count = 0;
  for (std::string_view file :
       {"basic", "comparisons", "conversions", "dynamic", "fields", "fp_math", "integer_math",
        "lists", "logic", "macros", "namespace", "parse", "plumbing", "string", "timestamps"}) {
    json::Value root = TextProto(read_whole_file(folder + "/tests/simple/testdata/" +
                                                 std::string(file) + ".textproto"))
                           .message();
    for (const auto& [name, section] : root.members()) {
      if (name != "section") continue;
      for (const auto& [kind, test] : section.members()) {
        if (kind != "test") continue;
        bool skipped = false;
        std::string wrong = left_out().contains(text(find(test, "name"))) ? (skipped = true, "")
                                                                          : run(test, skipped);
        (skipped ? skipped_count : passed) += wrong.empty();
        EXPECT_EQ(wrong, "") << file << "/" << text(find(section, "name")) << "/"
                             << text(find(test, "name")) << ": "
                             << text(find(test, "expr")).substr(0, 200);
      }
    }
  }
  std::cout << passed << " passed, " << skipped_count << " left out\n";
  EXPECT_GT(passed, 500u);
}

}  // namespace
}  // namespace knarr::cel
