// SPDX-License-Identifier: Apache-2.0
#include "pki/jwt.h"

#include <gtest/gtest.h>

#include "pki/pki.h"

namespace knarr::pki {
namespace {

TEST(Base64Url, HasNoPadding) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg");
  EXPECT_EQ(base64url("fo"), "Zm8");
  EXPECT_EQ(base64url("foo"), "Zm9v");
  EXPECT_EQ(base64url("\xfb\xff"), "-_8");
}

TEST(Jwt, NamesAlgorithmAndKey) {
  for (KeyType type : {KeyType::kRsa2048, KeyType::kEcdsaP256}) {
    auto key = generate_key(type);
    ASSERT_TRUE(key.ok());
    auto signer = JwtSigner::make(*key);
    ASSERT_TRUE(signer.ok()) << signer.status().message();
    auto token = (*signer)->sign("{\"sub\":\"x\"}");
    ASSERT_TRUE(token.ok());
    std::string alg = type == KeyType::kRsa2048 ? "RS256" : "ES256";
    std::string head = base64url("{\"alg\":\"" + alg + "\",\"kid\":\"" + (*signer)->key_id() + "\"}");
    EXPECT_EQ(token->substr(0, head.size()), head);
    // 256 bytes of RSA, 64 of two coordinates.
    EXPECT_EQ(token->size() - token->rfind('.') - 1, type == KeyType::kRsa2048 ? 342u : 86u);

    auto keys = json_web_key_set(*public_key_of(*key));
    ASSERT_TRUE(keys.ok());
    EXPECT_NE(keys->find("\"kid\":\"" + (*signer)->key_id() + "\""), std::string::npos);
    EXPECT_NE(keys->find(alg), std::string::npos);
  }
  EXPECT_FALSE(JwtSigner::make("nothing").ok());
}

}  // namespace
}  // namespace knarr::pki
