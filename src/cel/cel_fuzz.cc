// SPDX-License-Identifier: Apache-2.0
// Any text as an expression, over data with a schema, data without one, and a typed object.
// Whatever compiles must evaluate within its budget, twice to the same answer.
#include <cstdlib>

#include "api/core_v1.h"
#include "cel/cel.h"

using namespace knarr;       // NOLINT
using namespace knarr::cel;  // NOLINT

namespace {

void check(bool condition) {
  if (!condition) std::abort();
}

constexpr const char* kSchema = R"({"type":"object","properties":{
  "s":{"type":"string"},"i":{"type":"integer"},"d":{"type":"number"},"b":{"type":"boolean"},"t":{"type":"string","format":"date-time"},
  "r":{"type":"string","format":"duration"},"y":{"type":"string","format":"byte"},"n":{"type":"string","nullable":true},
  "l":{"type":"array","items":{"type":"integer"}},"set":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
  "k":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"items":{"type":"object","properties":{"a":{"type":"string"}}}},
  "m":{"type":"object","additionalProperties":{"type":"string"}},"p":{"x-kubernetes-int-or-string":true},
  "u":{"x-kubernetes-preserve-unknown-fields":true},"namespace":{"type":"string"}}})";
constexpr const char* kObject =
    R"({"s":"text","i":7,"d":1.5,"b":true,"t":"2020-01-02T03:04:05Z","r":"1h","y":"aGk=","n":null,"l":[3,1,2],"set":["a","b"],
  "k":[{"a":"x"},{"a":"y"}],"m":{"one":"1","two":"2"},"p":"http","u":{"deep":[1,{"x":null}]},"namespace":"ns"})";

struct World {
  json::Value schema_json = *json::parse(kSchema), object = *json::parse(kObject);
  std::unique_ptr<Schema> schema = Schema::from_json(schema_json);
  std::shared_ptr<Environment> environment = std::make_shared<Environment>(Environment::kNewest);
  const DeclType* declared = declare(*schema, "Root", environment->types());
  api::core_v1::Pod pod;

  World() {
    environment->add_variable("self", declared->type);
    environment->add_variable("any", &types::kDyn);
    environment->add_variable("pod", &types::kDyn);
    pod.metadata.name = "p";
    pod.metadata.labels["app"] = "web";
    pod.spec.containers.emplace_back().name = "c";
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  if (size > 4096) return 0;
  Compilation compiled =
      compile(world.environment, std::string_view(reinterpret_cast<const char*>(data), size));
  (void)compiled.error();
  if (!compiled.ok()) return 0;
  Range estimate = compiled.program->estimate_cost(DeclaredSizes(*world.declared));
  check(estimate.min <= estimate.max);
  std::string answers[2];
  for (std::string& answer : answers) {
    Arena arena(size_t{4} << 20);
    const Value bindings[] = {Value::of(world.object, *world.schema, arena),
                              Value::of(world.object),
                              Value::of(api::core_v1::Pod::kind_info(), &world.pod)};
    Budget budget;
    budget.cost = 20000;
    Outcome outcome = compiled.program->evaluate(bindings, budget, arena);
    check(outcome.stop == Stop::kCost || outcome.cost <= budget.cost);
    if (outcome.stop != Stop::kMemory) answer = display(outcome.value, arena);
  }
  check(answers[0] == answers[1]);
  return 0;
}
