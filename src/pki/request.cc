// SPDX-License-Identifier: Apache-2.0
#include "pki/request.h"

#include <algorithm>
#include <set>

#include "pki/jwt.h"
#include "pki/openssl.h"

namespace knarr::pki {
namespace {

using namespace std::chrono_literals;

constexpr Duration kBackdate = 5min, kShortLife = 8h;

std::string text_of(const ASN1_STRING* value) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)), static_cast<size_t>(ASN1_STRING_length(value)));
}

Result<Request> parse(std::string_view pem) {
  Bio bio = bio_of(pem);
  struct Block {
    char *name = nullptr, *header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    ~Block() {
      OPENSSL_free(name);
      OPENSSL_free(header);
      OPENSSL_free(data);
    }
  } block;
  bool read = PEM_read_bio(bio.get(), &block.name, &block.header, &block.data, &block.size) == 1;
  ERR_clear_error();
  if (!read || std::string_view(block.name) != "CERTIFICATE REQUEST") return Status::error("PEM block type must be CERTIFICATE REQUEST");
  const unsigned char* at = block.data;
  X509_REQ* request = d2i_X509_REQ(nullptr, &at, block.size);
  if (request == nullptr) return openssl_error("asn1: malformed certificate request");
  return Request(request);
}

// The alternative names that a request asks for; null when there are none.
Names alternative_names(X509_REQ* request) {
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  Names names(static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return names;
}

bool is_forwarded(const GENERAL_NAME* name) {
  return name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI || name->type == GEN_IPADD;
}

// ---- usages: bits of the keyUsage extension by number, or purposes of extendedKeyUsage.
struct KnownUsage {
  std::string_view name;
  int bit;  // -1: a purpose
  int nid;
};
constexpr KnownUsage kUsages[] = {
    {"signing", 0, 0},
    {"digital signature", 0, 0},
    {"content commitment", 1, 0},
    {"key encipherment", 2, 0},
    {"data encipherment", 3, 0},
    {"key agreement", 4, 0},
    {"cert sign", 5, 0},
    {"crl sign", 6, 0},
    {"encipher only", 7, 0},
    {"decipher only", 8, 0},
    {"any", -1, NID_anyExtendedKeyUsage},
    {"server auth", -1, NID_server_auth},
    {"client auth", -1, NID_client_auth},
    {"code signing", -1, NID_code_sign},
    {"email protection", -1, NID_email_protect},
    {"s/mime", -1, NID_email_protect},
    {"ipsec end system", -1, NID_ipsecEndSystem},
    {"ipsec tunnel", -1, NID_ipsecTunnel},
    {"ipsec user", -1, NID_ipsecUser},
    {"timestamping", -1, NID_time_stamp},
    {"ocsp signing", -1, NID_OCSP_sign},
    {"microsoft sgc", -1, NID_ms_sgc},
    {"netscape sgc", -1, NID_ns_sgc},
};

struct Usages {
  std::set<int> bits;
  std::vector<int> purposes;  // in the table's order, which is crypto/x509's
};

Result<Usages> usages_of(const std::vector<std::string>& names) {
  Usages found;
  std::string unknown;
  for (const std::string& name : names) {
    auto known = std::find_if(std::begin(kUsages), std::end(kUsages), [&](const KnownUsage& usage) { return usage.name == name; });
    if (known == std::end(kUsages)) unknown += (unknown.empty() ? "\"" : " \"") + name + "\"";
    if (known != std::end(kUsages) && known->bit >= 0) found.bits.insert(known->bit);
  }
  if (!unknown.empty()) return Status::error("unrecognized usage values: [" + unknown + "]");
  for (const KnownUsage& usage : kUsages) {
    bool wanted = usage.bit < 0 && std::find(names.begin(), names.end(), usage.name) != names.end();
    if (wanted && std::find(found.purposes.begin(), found.purposes.end(), usage.nid) == found.purposes.end()) found.purposes.push_back(usage.nid);
  }
  return found;
}

Status add_value(X509* certificate, int nid, void* value, bool critical) {
  if (X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_APPEND) == 1) return {};
  return openssl_error("adding an X.509 extension");
}

Status add_usages(X509* certificate, const Usages& usages) {
  if (!usages.bits.empty()) {
    Owned<ASN1_BIT_STRING, ASN1_BIT_STRING_free> bits(ASN1_BIT_STRING_new());
    for (int bit : usages.bits) ASN1_BIT_STRING_set_bit(bits.get(), bit, 1);
    TRY(add_value(certificate, NID_key_usage, bits.get(), true));
  }
  if (!usages.purposes.empty()) {
    Owned<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free> purposes(EXTENDED_KEY_USAGE_new());
    for (int nid : usages.purposes) sk_ASN1_OBJECT_push(purposes.get(), OBJ_nid2obj(nid));
    TRY(add_value(certificate, NID_ext_key_usage, purposes.get(), false));
  }
  Owned<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free> constraints(BASIC_CONSTRAINTS_new());
  return add_value(certificate, NID_basic_constraints, constraints.get(), true);
}

Status add_issuer_key(X509* certificate, X509* issuer) {
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(issuer);
  if (id == nullptr) return {};
  Owned<AUTHORITY_KEYID, AUTHORITY_KEYID_free> key(AUTHORITY_KEYID_new());
  key->keyid = ASN1_OCTET_STRING_dup(id);
  return add_value(certificate, NID_authority_key_identifier, key.get(), false);
}

Status add_requested_names(X509* certificate, X509_REQ* request) {
  Names asked = alternative_names(request);
  if (asked == nullptr) return {};
  Names kept(sk_GENERAL_NAME_new_null());
  for (int i = 0; i < sk_GENERAL_NAME_num(asked.get()); ++i) {
    GENERAL_NAME* name = sk_GENERAL_NAME_value(asked.get(), i);
    if (is_forwarded(name)) sk_GENERAL_NAME_push(kept.get(), GENERAL_NAME_dup(name));
  }
  if (sk_GENERAL_NAME_num(kept.get()) == 0) return {};
  bool nameless = X509_NAME_entry_count(X509_get_subject_name(certificate)) == 0;
  return add_value(certificate, NID_subject_alt_name, kept.get(), nameless);
}

Status set_lifetime(X509* certificate, X509* issuer, Duration lifetime, const Clock& clock) {
  auto seconds = [](WallTime time) {
    return static_cast<time_t>(std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
  };
  WallTime now = clock.now(), issuer_end = to_wall_time(X509_get0_notAfter(issuer));
  WallTime end = std::min(now + lifetime - (lifetime < kShortLife ? Duration::zero() : kBackdate), issuer_end);
  if (now >= issuer_end) return Status::error("refusing to sign a certificate that expired in the past");
  ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(now - kBackdate));
  ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(end));
  return {};
}

}  // namespace

Result<std::string> make_certificate_request(const RequestedNames& names, const std::string& key_pem) {
  TRY_ASSIGN(Key key, key_from_pem(key_pem));
  Request request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  for (const std::string& organization : names.organizations) add_name(subject, NID_organizationName, organization);
  add_name(subject, NID_commonName, names.common_name);
  X509_REQ_set_pubkey(request.get(), key.get());
  if (!names.dns_names.empty() || !names.ip_addresses.empty()) {
    TRY_ASSIGN(Names alternative, make_alternative_names(names.dns_names, names.ip_addresses));
    STACK_OF(X509_EXTENSION)* extensions = nullptr;
    X509V3_add1_i2d(&extensions, NID_subject_alt_name, alternative.get(), 0, 0);
    bool added = X509_REQ_add_extensions(request.get(), extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    if (!added) return openssl_error("adding alternative names");
  }
  if (X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) return openssl_error("signing a certificate request");
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) return openssl_error("writing a certificate request");
  return bio_text(bio.get());
}

Result<RequestedNames> read_certificate_request(std::string_view pem) {
  TRY_ASSIGN(Request request, parse(pem));
  RequestedNames names;
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  names.organizations = name_entries(subject, NID_organizationName);
  std::vector<std::string> common_names = name_entries(subject, NID_commonName);
  if (!common_names.empty()) names.common_name = common_names.back();
  Names alternative = alternative_names(request.get());
  for (int i = 0; alternative && i < sk_GENERAL_NAME_num(alternative.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternative.get(), i);
    if (name->type == GEN_DNS) names.dns_names.push_back(text_of(name->d.dNSName));
    if (name->type == GEN_EMAIL) names.emails.push_back(text_of(name->d.rfc822Name));
    if (name->type == GEN_URI) names.uris.push_back(text_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) names.ip_addresses.push_back(ip_text(name->d.iPAddress));
  }
  ERR_clear_error();
  return names;
}

bool is_request_of_key(std::string_view request_pem, const std::string& key_pem) {
  auto request = parse(request_pem);
  auto key = key_from_pem(key_pem);
  if (!request.ok() || !key.ok()) return false;
  EVP_PKEY* asked = X509_REQ_get0_pubkey(request->get());
  bool same = asked != nullptr && EVP_PKEY_eq(asked, key->get()) == 1 && X509_REQ_verify(request->get(), key->get()) == 1;
  ERR_clear_error();
  return same;
}

Result<std::string> public_key_der(const std::string& key_pem) {
  TRY_ASSIGN(Key key, key_from_pem(key_pem));
  unsigned char* der = nullptr;
  int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return openssl_error("encoding a public key");
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

Result<std::string> digested_request_name(const std::string& key_pem, const RequestedNames& names, const std::vector<std::string>& usages) {
  TRY_ASSIGN(std::string text, public_key_der(key_pem));
  // '|' is no letter of the alphabet: two lists of parts cannot look alike.
  text = base64url(text) + "|" + base64url(names.common_name) + "|";
  for (const std::string& organization : names.organizations) text += base64url(organization) + "|";
  for (const std::string& usage : usages) text += base64url(usage) + "|";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha512_256(), nullptr) != 1) return openssl_error("digesting a request");
  return "node-csr-" + base64url(std::string_view(reinterpret_cast<char*>(digest), size));
}

Result<std::string> sign_certificate_request(std::string_view request_pem, const KeyPair& issuer, const SigningPolicy& policy, const Clock& clock) {
  TRY_ASSIGN(Request request, parse(request_pem));
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) return openssl_error("unable to verify certificate request signature");
  TRY_ASSIGN(Certificate issuer_certificate, certificate_from_pem(issuer.cert_pem));
  TRY_ASSIGN(Key issuer_key, key_from_pem(issuer.key_pem));
  TRY_ASSIGN(Usages usages, usages_of(policy.usages));
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  TRY(set_random_serial(certificate.get()));
  TRY(set_lifetime(certificate.get(), issuer_certificate.get(), policy.lifetime, clock));
  X509_set_subject_name(certificate.get(), X509_REQ_get_subject_name(request.get()));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer_certificate.get()));
  X509_set_pubkey(certificate.get(), key);
  TRY(add_usages(certificate.get(), usages));
  TRY(add_issuer_key(certificate.get(), issuer_certificate.get()));
  TRY(add_requested_names(certificate.get(), request.get()));
  // Ed25519 signs without a separate digest.
  const EVP_MD* digest = EVP_PKEY_is_a(issuer_key.get(), "ED25519") ? nullptr : EVP_sha256();
  if (X509_sign(certificate.get(), issuer_key.get(), digest) == 0) return openssl_error("failed to sign certificate");
  Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate.get()) != 1) return openssl_error("writing a certificate");
  return bio_text(bio.get());
}

}  // namespace knarr::pki
