// SPDX-License-Identifier: Apache-2.0
// The Common Expression Language of Kubernetes v1.28: rules of custom resources, admission
// policies, match conditions.
//
//   auto environment = std::make_shared<Environment>();
//   environment->add_variable("self", declare(schema, "Root", environment->types())->type);
//   Compilation compiled = compile(environment, "self.replicas <= self.maxReplicas");
//   if (!compiled.ok()) return compiled.error();
//   Arena arena;
//   std::vector<Value> bindings{Value::of(object, schema, arena)};
//   Outcome outcome = compiled.program->evaluate(bindings, {}, arena);
//
// An Environment is filled by one thread and then only read. A Program is immutable and may be
// evaluated by many threads, each with an Arena of its own. Values of an outcome live as long as
// the arena is not reset and the objects that were looked at.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cel/authorizer.h"
#include "cel/cost.h"
#include "cel/environment.h"
#include "cel/issues.h"
#include "cel/schema.h"
#include "cel/value.h"

namespace knarr::cel {

struct Code;

// Limits of upstream, in units of cost.
inline constexpr uint64_t kCostPerCall = 1000000;
inline constexpr uint64_t kCostPerObject = 10000000;
inline constexpr uint64_t kCostPerMatchConditions = 2500000;

struct Budget {
  uint64_t cost = kCostPerCall;
  std::function<bool()> interrupted;  // asked now and then inside loops; empty: never
};

enum class Stop : uint8_t { kNone, kCost, kMemory, kInterrupted, kPending };

struct Outcome {
  Value value;        // an error says why as text()
  uint64_t cost = 0;  // also of what failed
  Stop stop = Stop::kNone;
  bool ok() const { return !value.is_error(); }
};

class Program {
 public:
  Program(std::shared_ptr<const Environment> environment, std::unique_ptr<Ast> ast,
          std::unique_ptr<TypePool> types, std::unique_ptr<Code> code);
  ~Program();
  const Type& result_type() const;
  // `bindings` by the environment's variables; one that is left out or unset is "no such
  // attribute(s)" when it is asked for.
  Outcome evaluate(std::span<const Value> bindings, const Budget& budget, Arena& arena) const;
  Range estimate_cost(const SizeHints& hints) const;
  bool uses(std::string_view variable) const;

 private:
  std::shared_ptr<const Environment> environment_;
  std::unique_ptr<Ast> ast_;
  std::unique_ptr<TypePool> types_;
  std::unique_ptr<Code> code_;
};

struct Compilation {
  std::unique_ptr<Program> program;  // also there, for its type and cost, when only constants
                                     // failed; not to be evaluated then
  Issues issues;                     // of syntax and types
  std::string failure;               // of computing what is constant: a bad regex or timestamp
  bool ok() const { return issues.empty() && failure.empty(); }
  std::string error() const { return issues.empty() ? failure : issues.to_string(); }
};

Compilation compile(std::shared_ptr<const Environment> environment, std::string_view text);

}  // namespace knarr::cel
