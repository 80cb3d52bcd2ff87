// SPDX-License-Identifier: Apache-2.0
#include "cel/cel.h"

#include <gtest/gtest.h>

namespace knarr::cel {
namespace {

std::string run(std::string_view text) {
  auto environment = std::make_shared<Environment>(28);
  Compilation compiled = compile(environment, text);
  if (!compiled.ok()) return compiled.error();
  Arena arena;
  Outcome outcome = compiled.program->evaluate({}, {}, arena);
  return display(outcome.value, arena);
}

TEST(Cel, Arithmetic) { EXPECT_EQ(run("1 + 2 * 3"), "7"); }
TEST(Cel, Macros) {
  EXPECT_EQ(run("[1, 2, 3].map(x, x * 2).filter(x, x > 2)"), "[4, 6]");
  EXPECT_EQ(run("[1, 2, 3].exists(x, x / 0 == 1 || x == 3)"), "true");
}

}  // namespace
}  // namespace knarr::cel
