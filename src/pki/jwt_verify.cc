// SPDX-License-Identifier: Apache-2.0
#include "pki/jwt_verify.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

namespace knarr::pki {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* p) const { Free(p); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;

constexpr int kMinRsaBits = 1024;
constexpr size_t kMaxNumberBytes = 2048;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Number number_of(std::string_view bytes) { return Number(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr)); }

struct Algorithm {
  enum Kind : uint8_t { kNone, kPkcs1, kPss, kEc } kind = kNone;
  const EVP_MD* digest = nullptr;
  int curve_bits = 0;
};
Algorithm algorithm_of(std::string_view name) {
  Algorithm algorithm;
  if (name.size() != 5) return algorithm;
  std::string_view size = name.substr(2);
  if (size == "256") algorithm = {Algorithm::kNone, EVP_sha256(), 256};
  else if (size == "384") algorithm = {Algorithm::kNone, EVP_sha384(), 384};
  else if (size == "512") algorithm = {Algorithm::kNone, EVP_sha512(), 521};
  else return algorithm;
  if (name.starts_with("RS")) algorithm.kind = Algorithm::kPkcs1;
  if (name.starts_with("PS")) algorithm.kind = Algorithm::kPss;
  if (name.starts_with("ES")) algorithm.kind = Algorithm::kEc;
  return algorithm;
}

// JOSE has r and s side by side, OpenSSL wants DER.
std::string ecdsa_der(std::string_view raw) {
  std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> signature(ECDSA_SIG_new());
  Number r = number_of(raw.substr(0, raw.size() / 2)), s = number_of(raw.substr(raw.size() / 2));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.release(), s.release()) != 1) return {};
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

Result<Key> make_key(const char* type, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, params.get()) != 1)
    return Status::error("the numbers of a JSON web key are no key");
  return Key(made);
}

}  // namespace

struct JwtKey::Impl {
  Key key;
};

std::optional<std::string> base64url_decode(std::string_view text) {
  auto value_of = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
  };
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int value = value_of(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  // What is left over must say nothing: one text for one token.
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return out;
}

std::optional<JwtParts> split_jwt(std::string_view token) {
  size_t first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  std::string_view middle = token.substr(first + 1, last - first - 1);
  if (middle.find('.') != std::string_view::npos) return std::nullopt;
  auto header = base64url_decode(token.substr(0, first)), payload = base64url_decode(middle), signature = base64url_decode(token.substr(last + 1));
  if (!header || !payload || !signature) return std::nullopt;
  return JwtParts{std::move(*header), std::move(*payload), std::move(*signature), token.substr(0, last)};
}

std::vector<JwtKey> JwtKey::from_pem(const std::string& pem) {
  std::vector<JwtKey> keys;
  auto add = [&](EVP_PKEY* key) {
    if (key == nullptr) return false;
    auto impl = std::make_shared<Impl>();
    impl->key.reset(key);
    keys.push_back(JwtKey(std::move(impl)));
    return true;
  };
  for (int kind = 0; kind < 3; ++kind) {
    Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    for (bool more = true; more;) {
      if (kind == 0) {
        more = add(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
      } else if (kind == 1) {
        more = add(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
      } else {
        std::unique_ptr<X509, Freed<X509_free>> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        more = certificate != nullptr && add(X509_get_pubkey(certificate.get()));
      }
    }
  }
  return keys;
}

Result<JwtKey> JwtKey::rsa(std::string_view modulus, std::string_view exponent) {
  if (modulus.size() > kMaxNumberBytes || exponent.size() > 8) return Status::error("an RSA key is too large");
  Number n = number_of(modulus), e = number_of(exponent);
  Builder builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder || BN_num_bits(n.get()) < kMinRsaBits || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return Status::error("an RSA key is too small");
  auto impl = std::make_shared<Impl>();
  TRY_ASSIGN(impl->key, make_key("RSA", builder.get()));
  return JwtKey(std::move(impl));
}

Result<JwtKey> JwtKey::ec(std::string_view curve, std::string_view x, std::string_view y) {
  size_t size = curve == "P-256" ? 32 : curve == "P-384" ? 48 : curve == "P-521" ? 66 : 0;
  if (size == 0 || x.size() > size || y.size() > size) return Status::error("an elliptic curve that is not supported");
  std::string point(1, '\x04');
  point.append(size - x.size(), '\0').append(x).append(size - y.size(), '\0').append(y);
  Builder builder(OSSL_PARAM_BLD_new());
  std::string name(curve);
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return Status::error("a key could not be built");
  auto impl = std::make_shared<Impl>();
  TRY_ASSIGN(impl->key, make_key("EC", builder.get()));
  return JwtKey(std::move(impl));
}

bool JwtKey::verify(std::string_view algorithm_name, std::string_view signed_part, std::string_view signature) const {
  Algorithm algorithm = algorithm_of(algorithm_name);
  EVP_PKEY* key = impl_->key.get();
  int type = EVP_PKEY_get_base_id(key);
  std::string der;
  if (algorithm.kind == Algorithm::kEc) {
    if (type != EVP_PKEY_EC || EVP_PKEY_get_bits(key) != algorithm.curve_bits) return false;
    if (signature.size() != static_cast<size_t>((algorithm.curve_bits + 7) / 8) * 2) return false;
    der = ecdsa_der(signature);
    signature = der;
  } else if (algorithm.kind == Algorithm::kNone || type != EVP_PKEY_RSA) {
    return false;
  }
  std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  if (!context || EVP_DigestVerifyInit(context.get(), &key_context, algorithm.digest, nullptr, key) != 1) return false;
  if (algorithm.kind == Algorithm::kPss && (EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) != 1 ||
                                            EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_AUTO) != 1))
    return false;
  return EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(signed_part), signed_part.size()) == 1;
}

}  // namespace knarr::pki
