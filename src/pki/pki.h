// SPDX-License-Identifier: Apache-2.0
// Keys and X.509 certificates: what a cluster needs to make for itself. PEM in, PEM out; OpenSSL stays in the .cc.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace knarr::pki {

enum class KeyType { kEcdsaP256, kRsa2048 };

Result<std::string> generate_key(KeyType type);               // PKCS#8 PEM
Result<std::string> generate_ec_key();                         // P-256 as "EC PRIVATE KEY", the form client-go writes
Result<std::string> public_key_of(const std::string& key_pem);  // SubjectPublicKeyInfo PEM

struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names, ip_addresses;            // subjectAltName
  bool is_ca = false;
  bool server_auth = false, client_auth = false;               // extended key usage
  Duration lifetime = std::chrono::hours(24 * 365);
  std::string key_pem;                                          // a key that is there already; "" = a new one of the wanted type
};

struct KeyPair {
  std::string cert_pem, key_pem;
};

// Self-signed when `issuer` is null. Starts five minutes back, for clocks that differ.
Result<KeyPair> issue(const CertificateSpec& spec, const KeyPair* issuer, KeyType key_type, const Clock& clock);

// What a server without a given certificate serves, as client-go makes it: for `host` and these addresses, one year, issued by a CA of its own
// that follows in cert_pem and whose key is forgotten.
Result<KeyPair> issue_self_signed_serving(const std::string& host, const std::vector<std::string>& ip_addresses, const Clock& clock);

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses;
  WallTime not_before, not_after;
  bool is_ca = false;
};
Result<CertificateInfo> inspect(const std::string& cert_pem);
// "sha256:<hex>" of the certificate's SubjectPublicKeyInfo, as kubeadm join wants it.
Result<std::string> public_key_hash(const std::string& cert_pem);

}  // namespace knarr::pki
