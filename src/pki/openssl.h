// SPDX-License-Identifier: Apache-2.0
// Owners and readers of OpenSSL objects. For this module's .cc files only.
#pragma once

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::pki {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = Owned<X509, X509_free>;
using Request = Owned<X509_REQ, X509_REQ_free>;
using Names = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using Bio = Owned<BIO, BIO_free>;

inline Status openssl_error(std::string_view what) {
  char text[256] = "unknown error";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Status::error(std::string(what) + ": " + text);
}

inline std::string bio_text(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

inline Bio bio_of(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

inline Result<Key> key_from_pem(const std::string& pem) {
  Bio bio = bio_of(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
  if (key == nullptr) return openssl_error("reading a private key");
  return Key(key);
}

inline Result<Certificate> certificate_from_pem(const std::string& pem) {
  Bio bio = bio_of(pem);
  X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  if (certificate == nullptr) return openssl_error("reading a certificate");
  return Certificate(certificate);
}

inline WallTime to_wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

// In pki.cc.
void add_name(X509_NAME* name, int nid, const std::string& value);
Status set_random_serial(X509* certificate);
std::vector<std::string> name_entries(X509_NAME* name, int nid);
// Built as objects, not as configuration text, so that no name can smuggle in another.
Result<Names> make_alternative_names(const std::vector<std::string>& dns_names, const std::vector<std::string>& ip_addresses);
// "" when the bytes are no address.
std::string ip_text(const ASN1_OCTET_STRING* address);

}  // namespace knarr::pki
