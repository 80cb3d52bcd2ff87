// SPDX-License-Identifier: Apache-2.0
#include "pki/rsa_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

namespace knarr::pki {
namespace {

constexpr int kPrimeBits = 1024;
constexpr unsigned long kExponent = 65537;

using Number = Owned<BIGNUM, BN_clear_free>;
using Scratch = Owned<BN_CTX, BN_CTX_free>;

Number number() {
  Number made(BN_secure_new());
  // Arithmetic on what is secret takes the same time whatever it is.
  BN_set_flags(made.get(), BN_FLG_CONSTTIME);
  return made;
}

int go_on(int, int, BN_GENCB* callback) { return static_cast<const std::atomic<bool>*>(BN_GENCB_get_arg(callback))->load() ? 0 : 1; }

// The two highest bits are set, so that the product of two has all 2048; the exponent has an inverse.
bool make_prime(BIGNUM* prime, BIGNUM* less_one, const BIGNUM* exponent, BN_GENCB* callback, BN_CTX* scratch) {
  Number divisor = number();
  do {
    if (BN_generate_prime_ex2(prime, kPrimeBits, 0, nullptr, nullptr, callback, scratch) != 1 || BN_sub(less_one, prime, BN_value_one()) != 1 ||
        BN_gcd(divisor.get(), less_one, exponent, scratch) != 1)
      return false;
  } while (!BN_is_one(divisor.get()));
  return true;
}

struct Numbers {
  Number p = number(), q = number(), n = number(), e = number(), d = number(), dp = number(), dq = number(), inverse = number();
};

bool make_numbers(Numbers& to, const std::atomic<bool>& stopped) {
  Scratch scratch(BN_CTX_secure_new());
  Owned<BN_GENCB, BN_GENCB_free> callback(BN_GENCB_new());
  BN_GENCB_set(callback.get(), go_on, const_cast<std::atomic<bool>*>(&stopped));
  Number p1 = number(), q1 = number(), common = number(), distance = number();
  BN_set_word(to.e.get(), kExponent);
  if (!make_prime(to.p.get(), p1.get(), to.e.get(), callback.get(), scratch.get())) return false;
  do {
    if (!make_prime(to.q.get(), q1.get(), to.e.get(), callback.get(), scratch.get()) || BN_sub(distance.get(), to.p.get(), to.q.get()) != 1) return false;
    // Primes that are close to each other can be found from their product.
  } while (BN_num_bits(distance.get()) <= kPrimeBits - 100);
  if (BN_cmp(to.p.get(), to.q.get()) < 0) {
    to.p.swap(to.q);
    p1.swap(q1);
  }
  BN_CTX* context = scratch.get();
  // d is the inverse of e modulo the least common multiple of p-1 and q-1.
  return BN_mul(to.n.get(), to.p.get(), to.q.get(), context) == 1 && BN_gcd(common.get(), p1.get(), q1.get(), context) == 1 &&
         BN_div(distance.get(), nullptr, p1.get(), common.get(), context) == 1 && BN_mul(common.get(), distance.get(), q1.get(), context) == 1 &&
         BN_mod_inverse(to.d.get(), to.e.get(), common.get(), context) != nullptr && BN_mod(to.dp.get(), to.d.get(), p1.get(), context) == 1 &&
         BN_mod(to.dq.get(), to.d.get(), q1.get(), context) == 1 && BN_mod_inverse(to.inverse.get(), to.q.get(), to.p.get(), context) != nullptr;
}

}  // namespace

Result<Key> make_rsa_key(const std::atomic<bool>& stopped) {
  Numbers numbers;
  if (!make_numbers(numbers, stopped)) return openssl_error("generating a key");
  Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  const std::pair<const char*, const Number*> parts[] = {
      {OSSL_PKEY_PARAM_RSA_N, &numbers.n},           {OSSL_PKEY_PARAM_RSA_E, &numbers.e},           {OSSL_PKEY_PARAM_RSA_D, &numbers.d},
      {OSSL_PKEY_PARAM_RSA_FACTOR1, &numbers.p},     {OSSL_PKEY_PARAM_RSA_FACTOR2, &numbers.q},     {OSSL_PKEY_PARAM_RSA_EXPONENT1, &numbers.dp},
      {OSSL_PKEY_PARAM_RSA_EXPONENT2, &numbers.dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &numbers.inverse}};
  for (const auto& [name, value] : parts) OSSL_PARAM_BLD_push_BN(builder.get(), name, value->get());
  Owned<OSSL_PARAM, OSSL_PARAM_free> params(OSSL_PARAM_BLD_to_param(builder.get()));
  Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 || EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.get()) != 1)
    return openssl_error("generating a key");
  return Key(made);
}

Result<std::string> make_rsa_key_pem(const std::atomic<bool>& stopped) {
  TRY_ASSIGN(Key key, make_rsa_key(stopped));
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) return openssl_error("writing a private key");
  return bio_text(bio.get());
}

}  // namespace knarr::pki
