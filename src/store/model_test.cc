// SPDX-License-Identifier: Apache-2.0
// The fuzzer's harness on seeded random inputs, so that every build runs some of it.
#include <gtest/gtest.h>

#include <random>

#include "store/model_check.h"

namespace knarr::store {
namespace {

TEST(ModelCheck, AgreesOnRandomOperations) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<uint8_t> bytes(1500);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    SCOPED_TRACE(seed);
    ModelCheck(bytes.data(), bytes.size()).run();
  }
}

}  // namespace
}  // namespace knarr::store
