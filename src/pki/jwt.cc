// SPDX-License-Identifier: Apache-2.0
#include "pki/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <vector>

namespace knarr::pki {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

bool is_rsa(EVP_PKEY* key) { return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA; }

// Bytes of one coordinate, or of r and s each.
size_t coordinate_size(EVP_PKEY* key) { return static_cast<size_t>(EVP_PKEY_get_bits(key) + 7) / 8; }

struct Algorithm {
  const char* name;
  const char* curve;  // of a JSON web key; null for RSA
  const EVP_MD* digest;
};
Result<Algorithm> algorithm_of(EVP_PKEY* key) {
  if (is_rsa(key)) return Algorithm{"RS256", nullptr, EVP_sha256()};
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
    switch (EVP_PKEY_get_bits(key)) {
      case 256: return Algorithm{"ES256", "P-256", EVP_sha256()};
      case 384: return Algorithm{"ES384", "P-384", EVP_sha384()};
      case 521: return Algorithm{"ES512", "P-521", EVP_sha512()};
    }
  }
  return Status::error("unknown private key type; use RSA or an elliptic curve P-256, P-384 or P-521");
}

Result<std::string> key_id_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return Status::error("the public key could not be encoded");
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<size_t>(size), digest);
  OPENSSL_free(der);
  return base64url({reinterpret_cast<char*>(digest), sizeof digest});
}

std::string padded(const BIGNUM* number, size_t size) {
  std::string out(size, '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size));
  return out;
}

// JOSE wants r and s side by side, OpenSSL gives DER.
Result<std::string> raw_signature(std::string_view der, size_t size) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size())), ECDSA_SIG_free);
  if (!signature) return Status::error("the signature could not be read back");
  return padded(ECDSA_SIG_get0_r(signature.get()), size) + padded(ECDSA_SIG_get0_s(signature.get()), size);
}

class Signer final : public JwtSigner {
 public:
  Signer(Key key, Algorithm algorithm, std::string key_id)
      : key_(std::move(key)), algorithm_(algorithm), key_id_(std::move(key_id)),
        head_(base64url("{\"alg\":\"" + std::string(algorithm.name) + "\",\"kid\":\"" + key_id_ + "\"}")) {}

  Result<std::string> sign(std::string_view claims) const override {
    std::string text = head_ + "." + base64url(claims);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, algorithm_.digest, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1)
      return Status::error("signing failed");
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes, text.size()) != 1)
      return Status::error("signing failed");
    signature.resize(size);
    if (!is_rsa(key_.get())) {
      TRY_ASSIGN(signature, raw_signature(signature, coordinate_size(key_.get())));
    }
    return text + "." + base64url(signature);
  }
  const std::string& key_id() const override { return key_id_; }

 private:
  Key key_;
  Algorithm algorithm_;
  std::string key_id_;
  std::string head_;
};

std::string number_of(EVP_PKEY* key, const char* parameter, size_t size) {
  BIGNUM* raw = nullptr;
  EVP_PKEY_get_bn_param(key, parameter, &raw);
  Number number(raw, BN_free);
  if (!number) return {};
  return base64url(padded(number.get(), size == 0 ? static_cast<size_t>(BN_num_bytes(number.get())) : size));
}

Result<std::string> json_web_key(EVP_PKEY* key) {
  TRY_ASSIGN(Algorithm algorithm, algorithm_of(key));
  TRY_ASSIGN(std::string id, key_id_of(key));
  std::string head = R"({"use":"sig","kty":")" + std::string(is_rsa(key) ? "RSA" : "EC") + R"(","kid":")" + id + R"(",)";
  std::string tail = R"("alg":")" + std::string(algorithm.name) + R"(",)";
  if (is_rsa(key)) {
    return head + tail + R"("n":")" + number_of(key, OSSL_PKEY_PARAM_RSA_N, 0) + R"(","e":")" + number_of(key, OSSL_PKEY_PARAM_RSA_E, 0) + "\"}";
  }
  size_t size = coordinate_size(key);
  return head + R"("crv":")" + algorithm.curve + R"(",)" + tail + R"("x":")" + number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, size) + R"(","y":")" +
         number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, size) + "\"}";
}

}  // namespace

std::string base64url(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int count = 0;
  for (char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), size);
}

Result<std::unique_ptr<JwtSigner>> JwtSigner::make(const std::string& private_key_pem) {
  Bio bio(BIO_new_mem_buf(private_key_pem.data(), static_cast<int>(private_key_pem.size())), BIO_free);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (!key) return Status::error("no private key in PEM form");
  TRY_ASSIGN(Algorithm algorithm, algorithm_of(key.get()));
  TRY_ASSIGN(std::string id, key_id_of(key.get()));
  return std::unique_ptr<JwtSigner>(std::make_unique<Signer>(std::move(key), algorithm, std::move(id)));
}

Result<std::string> json_web_key_set(const std::string& pem) {
  std::string out;
  for (bool secret : {false, true}) {
    Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    for (;;) {
      Key key(secret ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr) : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr),
              EVP_PKEY_free);
      if (!key) break;
      TRY_ASSIGN(std::string one, json_web_key(key.get()));
      out += (out.empty() ? "" : ",") + one;
    }
  }
  if (out.empty()) return Status::error("no public key in PEM form");
  return "{\"keys\":[" + out + "]}";
}

}  // namespace knarr::pki
