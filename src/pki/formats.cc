// SPDX-License-Identifier: Apache-2.0
#include "pki/formats.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

namespace knarr::pki {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio reader(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free); }
Bio writer() { return Bio(BIO_new(BIO_s_mem()), BIO_free); }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

Status openssl_error(std::string_view what) {
  char text[256] = "unknown error";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Status::error(std::string(what) + ": " + text);
}

Key read_key(const std::string& pem) {
  Bio bio = reader(pem);
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
}
Certificate read_certificate(std::string_view pem) {
  Bio bio = reader(pem);
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
}

void set_time(ASN1_TIME* to, WallTime time) {
  ASN1_TIME_set(to, static_cast<time_t>(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count()));
}

}  // namespace

Result<std::string> traditional_key_pem(const std::string& key_pem) {
  Key key = read_key(key_pem);
  if (!key) return openssl_error("reading a private key");
  Bio bio = writer();
  if (PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("writing a private key");
  return text_of(bio.get());
}

Result<KeyPair> issue_starting(const CertificateSpec& spec, const KeyPair* issuer, KeyType key_type, WallTime not_before, WallTime not_after) {
  TRY_ASSIGN(KeyPair made, issue(spec, issuer, key_type, Clock::real()));
  Certificate certificate = read_certificate(made.cert_pem);
  Key signer = read_key(issuer != nullptr ? issuer->key_pem : made.key_pem);
  if (!certificate || !signer) return openssl_error("reading a certificate");
  set_time(X509_getm_notBefore(certificate.get()), not_before);
  set_time(X509_getm_notAfter(certificate.get()), not_after);
  if (X509_sign(certificate.get(), signer.get(), EVP_sha256()) == 0) return openssl_error("signing a certificate");
  Bio bio = writer();
  if (PEM_write_bio_X509(bio.get(), certificate.get()) != 1) return openssl_error("writing a certificate");
  made.cert_pem = text_of(bio.get());
  return made;
}

std::vector<std::string> split_certificates(std::string_view pem) {
  std::vector<std::string> certificates;
  Bio bio = reader(pem);
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    Certificate certificate(one, X509_free);
    Bio out = writer();
    if (PEM_write_bio_X509(out.get(), one) == 1) certificates.push_back(text_of(out.get()));
  }
  ERR_clear_error();
  return certificates;
}

Status verify_signed_by(const std::string& cert_pem, const std::string& ca_pem) {
  Certificate certificate = read_certificate(cert_pem), ca = read_certificate(ca_pem);
  if (!certificate || !ca) return openssl_error("reading a certificate");
  if (X509_verify(certificate.get(), X509_get0_pubkey(ca.get())) != 1 ||
      X509_NAME_cmp(X509_get_issuer_name(certificate.get()), X509_get_subject_name(ca.get())) != 0) {
    ERR_clear_error();
    return Status::error("x509: certificate signed by unknown authority");
  }
  return {};
}

bool allows_server_auth(const std::string& cert_pem) {
  Certificate certificate = read_certificate(cert_pem);
  return certificate && (X509_get_extension_flags(certificate.get()) & EXFLAG_XKUSAGE) != 0 &&
         (X509_get_extended_key_usage(certificate.get()) & XKU_SSL_SERVER) != 0;
}

bool key_matches(const std::string& cert_pem, const std::string& key_pem) {
  Certificate certificate = read_certificate(cert_pem);
  Key key = read_key(key_pem);
  bool matches = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return matches;
}

}  // namespace knarr::pki
