// SPDX-License-Identifier: Apache-2.0
// Pieces of the recorded expressions put together anew, through the fuzzer's checks: a short run
// that every `make test` has.
#include <gtest/gtest.h>

#include <random>

#include "vectors/go_module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace knarr::cel {
namespace {

TEST(CelMutations, NothingBreaks) {
  std::vector<std::string> texts;
  std::istringstream file(read_whole_file(KNARR_VECTORS "/cel_expressions.jsonl"));
  for (std::string line; std::getline(file, line);) {
    Result<json::Value> parsed = json::parse(line);
    if (parsed.ok() && parsed->find("expr") != nullptr)
      texts.push_back(parsed->find("expr")->as_string());
  }
  ASSERT_GT(texts.size(), 900u);
  const char* rounds = std::getenv("KNARR_CEL_ROUNDS");
  std::mt19937 random(1);
  auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  auto piece = [&](const std::string& text) {
    size_t from = below(text.size() + 1);
    return text.substr(from, below(text.size() - from + 1));
  };
  for (int i = 0, n = rounds == nullptr ? 5000 : std::atoi(rounds); i < n; ++i) {
    std::string text = texts[below(texts.size())];
    if (text.size() > 400) continue;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      size_t from = below(text.size() + 1);
      const std::string& other = texts[below(texts.size())];
      text.replace(from, below(8),
                   other.size() > 60 ? piece(other)
                   : below(2) == 0   ? other
                                     : piece(other));
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace knarr::cel
