// SPDX-License-Identifier: Apache-2.0
// What an expression may refer to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/string_map.h"
#include "cel/library.h"
#include "cel/type.h"

namespace knarr::cel {

// Variables with their types, and the version of Kubernetes whose language is spoken. Filled by one
// thread, then only read; programs keep theirs alive.
class Environment {
 public:
  // Minor versions of Kubernetes. New expressions are held to the version before the server's, so
  // that it can be gone back to; stored ones may use all that is known (kNewest).
  static constexpr int kCompatible = 27, kNewest = 28;
  explicit Environment(int minor_version = kCompatible);

  // Names may have dots. Types are constants, of types(), or of an object that outlives this one.
  // Returns the variable's place in the bindings of an evaluation.
  size_t add_variable(std::string_view name, const Type* type);
  // The pool for types and declarations of variables; lives as long as this.
  TypePool& types() { return *types_; }

  // Makes literals of constants at run time, as a plain cel-go program does: for comparing costs
  // with upstream's tests.
  void set_folding(bool folding) { folding_ = folding; }

  // Lists and maps may hold values of several types, as the language has it and Kubernetes has not.
  void set_mixed_literals(bool mixed) { mixed_literals_ = mixed; }

  // For the parts of this module.
  int find_variable(std::string_view name) const;  // -1 when there is none
  const Type* variable_type(size_t i) const { return variables_[i].type; }
  std::string_view variable_name(size_t i) const { return variables_[i].name; }
  size_t variable_count() const { return variables_.size(); }
  const Type* find_type_name(
      std::string_view name) const;  // `int` is a name for a type; null when it is none
  const Function* find_function(std::string_view name) const;
  uint32_t libraries() const { return libraries_; }
  bool has(const Overload& overload) const {
    return libraries_ >> static_cast<unsigned>(overload.library) & 1;
  }
  bool cross_type_comparisons() const { return minor_version_ >= 28; }
  bool optional_syntax() const { return minor_version_ >= 28; }
  bool folding() const { return folding_; }
  bool mixed_literals() const { return mixed_literals_; }

 private:
  struct Variable {
    std::string name;
    const Type* type;
  };
  int minor_version_;
  uint32_t libraries_;
  bool folding_ = true, mixed_literals_ = false;
  std::unique_ptr<TypePool> types_;
  std::vector<Variable> variables_;
  StringMap<size_t> places_;
};

}  // namespace knarr::cel
