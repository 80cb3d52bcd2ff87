// SPDX-License-Identifier: Apache-2.0
#include "pki/pki.h"

#include <openssl/sha.h>

#include <arpa/inet.h>

#include <cstring>

#include "pki/openssl.h"
#include "pki/rsa_key.h"

namespace knarr::pki {
namespace {

Result<Key> make_key(KeyType type) {
  static const std::atomic<bool> kNeverStopped{false};
  if (type == KeyType::kRsa2048) return make_rsa_key(kNeverStopped);
  EVP_PKEY* key = EVP_EC_gen("P-256");
  if (key == nullptr) return openssl_error("generating a key");
  return Key(key);
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("writing a private key");
  return bio_text(bio.get());
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_error("adding an X.509 extension");
  return {};
}

Status add_usages(X509* certificate, X509* issuer, const CertificateSpec& spec, EVP_PKEY* key) {
  TRY(add_extension(certificate, issuer, NID_basic_constraints, spec.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE"));
  std::string usage = "critical,digitalSignature";
  if (EVP_PKEY_is_a(key, "RSA") || spec.is_ca) usage += ",keyEncipherment";
  if (spec.is_ca) usage += ",keyCertSign";
  TRY(add_extension(certificate, issuer, NID_key_usage, usage));
  std::string extended;
  if (spec.server_auth) extended = "serverAuth";
  if (spec.client_auth) extended += extended.empty() ? "clientAuth" : ",clientAuth";
  if (!extended.empty()) TRY(add_extension(certificate, issuer, NID_ext_key_usage, extended));
  if (spec.is_ca) TRY(add_extension(certificate, issuer, NID_subject_key_identifier, "hash"));
  // A self-signed root names itself by its own key identifier; the issuer's is in place by then.
  if (!spec.is_ca) TRY(add_extension(certificate, issuer, NID_authority_key_identifier, "keyid"));
  return {};
}

Status add_alternative_names(X509* certificate, const CertificateSpec& spec) {
  if (spec.dns_names.empty() && spec.ip_addresses.empty()) return {};
  TRY_ASSIGN(Names names, make_alternative_names(spec.dns_names, spec.ip_addresses));
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) != 1) return openssl_error("adding alternative names");
  return {};
}

}  // namespace

void add_name(X509_NAME* name, int nid, const std::string& value) {
  X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

Status set_random_serial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return openssl_error("random bytes");
  bytes[0] &= 0x7f;
  Owned<BIGNUM, BN_free> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
  return {};
}

std::vector<std::string> name_entries(X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    values.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                        static_cast<size_t>(ASN1_STRING_length(data)));
  }
  return values;
}

Result<Names> make_alternative_names(const std::vector<std::string>& dns_names, const std::vector<std::string>& ip_addresses) {
  Names names(sk_GENERAL_NAME_new_null());
  for (const std::string& dns : dns_names) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size()));
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  for (const std::string& ip : ip_addresses) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(ip.c_str());
    if (address == nullptr) return Status::error("\"" + ip + "\" is not an IP address");
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  return names;
}

std::string ip_text(const ASN1_OCTET_STRING* address) {
  int size = ASN1_STRING_length(address);
  char text[INET6_ADDRSTRLEN] = "";
  if (size == 4 || size == 16) inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof text);
  return text;
}

Result<std::string> generate_key(KeyType type) {
  TRY_ASSIGN(Key key, make_key(type));
  return key_to_pem(key.get());
}

Result<std::string> public_key_of(const std::string& key_pem) {
  TRY_ASSIGN(Key key, key_from_pem(key_pem));
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(bio.get(), key.get()) != 1) return openssl_error("writing a public key");
  return bio_text(bio.get());
}

Result<KeyPair> issue(const CertificateSpec& spec, const KeyPair* issuer, KeyType key_type, const Clock& clock) {
  TRY_ASSIGN(Key key, spec.key_pem.empty() ? make_key(key_type) : key_from_pem(spec.key_pem));
  Certificate issuer_certificate;
  Key issuer_key;
  if (issuer != nullptr) {
    TRY_ASSIGN(issuer_certificate, certificate_from_pem(issuer->cert_pem));
    TRY_ASSIGN(issuer_key, key_from_pem(issuer->key_pem));
  }
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  TRY(set_random_serial(certificate.get()));
  auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch()).count();
  auto lifetime = std::chrono::duration_cast<std::chrono::seconds>(spec.lifetime).count();
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), static_cast<time_t>(now - 300));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), static_cast<time_t>(now + lifetime));

  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (const std::string& organization : spec.organizations) add_name(subject, NID_organizationName, organization);
  add_name(subject, NID_commonName, spec.common_name);
  X509* parent = issuer_certificate ? issuer_certificate.get() : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(parent));
  X509_set_pubkey(certificate.get(), key.get());
  TRY(add_usages(certificate.get(), parent, spec, key.get()));
  TRY(add_alternative_names(certificate.get(), spec));
  if (X509_sign(certificate.get(), issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) == 0)
    return openssl_error("signing a certificate");

  KeyPair made;
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate.get()) != 1) return openssl_error("writing a certificate");
  made.cert_pem = bio_text(bio.get());
  TRY_ASSIGN(made.key_pem, key_to_pem(key.get()));
  return made;
}

Result<KeyPair> issue_self_signed_serving(const std::string& host, const std::vector<std::string>& ip_addresses, const Clock& clock) {
  std::string stamp = "@" + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch()).count());
  CertificateSpec ca_spec;
  ca_spec.common_name = host + "-ca" + stamp;
  ca_spec.is_ca = true;
  TRY_ASSIGN(KeyPair ca, issue(ca_spec, nullptr, KeyType::kEcdsaP256, clock));
  CertificateSpec spec;
  spec.common_name = host + stamp;
  spec.server_auth = true;
  spec.ip_addresses = ip_addresses;
  in6_addr address{};
  bool is_address = inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
  (is_address ? spec.ip_addresses : spec.dns_names).push_back(host);
  TRY_ASSIGN(KeyPair pair, issue(spec, &ca, KeyType::kEcdsaP256, clock));
  pair.cert_pem += ca.cert_pem;
  return pair;
}

Result<std::string> generate_ec_key() {
  TRY_ASSIGN(Key key, make_key(KeyType::kEcdsaP256));
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("writing a private key");
  return bio_text(bio.get());
}

Result<CertificateInfo> inspect(const std::string& cert_pem) {
  TRY_ASSIGN(Certificate certificate, certificate_from_pem(cert_pem));
  CertificateInfo info;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  info.organizations = name_entries(subject, NID_organizationName);
  std::vector<std::string> common_names = name_entries(subject, NID_commonName);
  if (!common_names.empty()) info.common_name = common_names.front();
  info.not_before = to_wall_time(X509_get0_notBefore(certificate.get()));
  info.not_after = to_wall_time(X509_get0_notAfter(certificate.get()));
  info.is_ca = X509_check_ca(certificate.get()) == 1;
  Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      info.dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                  static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      info.ip_addresses.push_back(ip_text(name->d.iPAddress));
    }
  }
  return info;
}

Result<std::string> public_key_hash(const std::string& cert_pem) {
  TRY_ASSIGN(Certificate certificate, certificate_from_pem(cert_pem));
  unsigned char* der = nullptr;
  int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
  if (size <= 0) return openssl_error("encoding a public key");
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<size_t>(size), digest);
  OPENSSL_free(der);
  std::string text = "sha256:";
  static constexpr char kHex[] = "0123456789abcdef";
  for (unsigned char byte : digest) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

}  // namespace knarr::pki
