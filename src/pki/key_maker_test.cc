// SPDX-License-Identifier: Apache-2.0
#include "pki/key_maker.h"

#include <gtest/gtest.h>

#include <set>

#include "pki/pki.h"
#include "pki/rsa_key.h"

namespace knarr::pki {
namespace {

TEST(RsaKey, IsWholeAndOfFullLength) {
  std::atomic<bool> stopped{false};
  for (int i = 0; i < 3; ++i) {
    auto key = make_rsa_key(stopped);
    ASSERT_TRUE(key.ok()) << key.status().message();
    EXPECT_EQ(EVP_PKEY_get_bits(key->get()), 2048);
    Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new(key->get(), nullptr));
    // Primes are primes, and all numbers belong to each other.
    EXPECT_EQ(EVP_PKEY_check(context.get()), 1);
    EXPECT_EQ(EVP_PKEY_pairwise_check(context.get()), 1);
  }
}

TEST(RsaKey, IsGivenUpWhenStopped) {
  std::atomic<bool> stopped{true};
  EXPECT_FALSE(make_rsa_key(stopped).ok());
}

TEST(KeyMaker, GivesEachKeyOnceAndMakesMore) {
  KeyMaker keys;
  keys.start(3);
  std::set<std::string> seen;
  for (int i = 0; i < 4; ++i) {
    auto key = keys.take();
    ASSERT_TRUE(key.ok());
    EXPECT_TRUE(public_key_of(*key).ok());
    EXPECT_TRUE(seen.insert(*key).second);
  }
}

TEST(KeyMaker, EndsWithoutWaitingForAll) {
  KeyMaker keys;
  keys.start(100000);
}

TEST(KeyMaker, MakesThemWhenNeverStarted) {
  KeyMaker keys;
  EXPECT_TRUE(keys.take().ok());
}

TEST(Pki, IssuesForAGivenKey) {
  KeyMaker keys;
  CertificateSpec spec;
  spec.common_name = "x";
  spec.key_pem = *keys.take();
  FakeClock clock(WallTime(std::chrono::seconds(1800000000)));
  auto made = issue(spec, nullptr, KeyType::kEcdsaP256, clock);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->key_pem, spec.key_pem);
}

}  // namespace
}  // namespace knarr::pki
