// SPDX-License-Identifier: Apache-2.0
#include "pki/jwt_verify.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "pki/jwt.h"
#include "pki/pki.h"

namespace knarr::pki {
namespace {

TEST(Base64UrlDecode, TakesOneTextForEachOfBytes) {
  EXPECT_EQ(base64url_decode(""), "");
  EXPECT_EQ(base64url_decode("Zm9v"), "foo");
  EXPECT_EQ(base64url_decode("Zg"), "f");
  EXPECT_EQ(base64url_decode("-_8"), "\xfb\xff");
  for (std::string_view bad : {"Z", "Zh", "Zg==", "Zm+v", "Zm 9", "Zm9vZ"}) EXPECT_FALSE(base64url_decode(bad).has_value()) << bad;
}

TEST(SplitJwt, WantsThreeParts) {
  EXPECT_TRUE(split_jwt("e30.e30.AA").has_value());
  for (std::string_view bad : {"", ".", "e30.e30", "e30.e30.AA.AA", "e30.e3*.AA"}) EXPECT_FALSE(split_jwt(bad).has_value()) << bad;
}

struct TestKey {
  explicit TestKey(EVP_PKEY* k) : key(k) {}
  ~TestKey() { EVP_PKEY_free(key); }
  std::string number(const char* name, size_t size = 0) const {
    BIGNUM* n = nullptr;
    EVP_PKEY_get_bn_param(key, name, &n);
    std::string out(size == 0 ? static_cast<size_t>(BN_num_bytes(n)) : size, '\0');
    BN_bn2binpad(n, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
    BN_free(n);
    return out;
  }
  std::string sign(const EVP_MD* digest, bool pss, std::string_view text) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* key_context = nullptr;
    EVP_DigestSignInit(context, &key_context, digest, nullptr, key);
    if (pss) EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
    if (pss) EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST);
    size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    EVP_DigestSign(context, nullptr, &size, bytes, text.size());
    std::string out(size, '\0');
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size());
    out.resize(size);
    EVP_MD_CTX_free(context);
    return out;
  }
  EVP_PKEY* key;
};

TEST(JwtKey, RsaVerifiesBothPaddingsAndNothingElse) {
  TestKey rsa(EVP_RSA_gen(2048));
  auto key = JwtKey::rsa(rsa.number(OSSL_PKEY_PARAM_RSA_N), rsa.number(OSSL_PKEY_PARAM_RSA_E));
  ASSERT_TRUE(key.ok()) << key.status().message();
  struct Case {
    const char* name;
    const EVP_MD* digest;
    bool pss;
  };
  const Case cases[] = {{"RS256", EVP_sha256(), false}, {"RS384", EVP_sha384(), false}, {"RS512", EVP_sha512(), false},
                        {"PS256", EVP_sha256(), true},  {"PS384", EVP_sha384(), true},  {"PS512", EVP_sha512(), true}};
  for (const Case& signed_as : cases) {
    std::string signature = rsa.sign(signed_as.digest, signed_as.pss, "head.payload");
    for (const Case& checked_as : cases) EXPECT_EQ(key->verify(checked_as.name, "head.payload", signature), &signed_as == &checked_as) << checked_as.name;
    EXPECT_FALSE(key->verify(signed_as.name, "head.payloae", signature));
    for (const char* other : {"none", "", "HS256", "ES256", "RS255"}) EXPECT_FALSE(key->verify(other, "head.payload", signature)) << other;
    EXPECT_FALSE(key->verify(signed_as.name, "head.payload", ""));
  }
  EXPECT_FALSE(JwtKey::rsa("\x05", "\x03").ok());
}

TEST(JwtKey, EllipticCurvesHaveOneAlgorithmEach) {
  struct Case {
    const char* algorithm;
    const char* curve;
    const EVP_MD* digest;
    size_t size;
  };
  const Case cases[] = {{"ES256", "P-256", EVP_sha256(), 32}, {"ES384", "P-384", EVP_sha384(), 48}, {"ES512", "P-521", EVP_sha512(), 66}};
  for (const Case& each : cases) {
    TestKey ec(EVP_EC_gen(each.curve));
    auto key = JwtKey::ec(each.curve, ec.number(OSSL_PKEY_PARAM_EC_PUB_X, each.size), ec.number(OSSL_PKEY_PARAM_EC_PUB_Y, each.size));
    ASSERT_TRUE(key.ok()) << key.status().message();
    std::string der = ec.sign(each.digest, false, "head.payload");
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* parsed = d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size()));
    std::string raw(each.size * 2, '\0');
    auto* out = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(parsed), out, static_cast<int>(each.size));
    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), out + each.size, static_cast<int>(each.size));
    ECDSA_SIG_free(parsed);
    for (const Case& other : cases) EXPECT_EQ(key->verify(other.algorithm, "head.payload", raw), &each == &other);
    EXPECT_FALSE(key->verify(each.algorithm, "head.payload", der));
    raw[5] = static_cast<char>(raw[5] ^ 1);
    EXPECT_FALSE(key->verify(each.algorithm, "head.payload", raw));
  }
  EXPECT_FALSE(JwtKey::ec("secp256k1", std::string(32, 'x'), std::string(32, 'y')).ok());
  EXPECT_FALSE(JwtKey::ec("P-256", std::string(32, 'x'), std::string(32, 'y')).ok());  // a point that is not on the curve
}

TEST(JwtKey, ReadsWhatOurOwnSignerSigns) {
  auto pem = generate_key(KeyType::kEcdsaP256);
  ASSERT_TRUE(pem.ok());
  auto signer = JwtSigner::make(*pem);
  ASSERT_TRUE(signer.ok());
  auto token = (*signer)->sign(R"({"sub":"x"})");
  ASSERT_TRUE(token.ok());
  auto parts = split_jwt(*token);
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->payload, R"({"sub":"x"})");
  auto keys = JwtKey::from_pem(*pem);
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_TRUE(keys[0].verify("ES256", parts->signed_part, parts->signature));
  keys = JwtKey::from_pem(*public_key_of(*pem));
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_TRUE(keys[0].verify("ES256", parts->signed_part, parts->signature));
  EXPECT_TRUE(JwtKey::from_pem("nothing").empty());
}

}  // namespace
}  // namespace knarr::pki
