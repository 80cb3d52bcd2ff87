// SPDX-License-Identifier: Apache-2.0
// Forms and checks that tools which manage a cluster's files need beside pki.h: OpenSSL's older key files, chains, bundles.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "pki/pki.h"

namespace knarr::pki {

// The same private key as "RSA PRIVATE KEY" (PKCS#1) or "EC PRIVATE KEY" (SEC 1): the form that Go tools write into files.
Result<std::string> traditional_key_pem(const std::string& key_pem);

// A certificate as issue() makes it, but with a beginning of its own: kubeadm's leaves begin when their CA does.
Result<KeyPair> issue_starting(const CertificateSpec& spec, const KeyPair* issuer, KeyType key_type, WallTime not_before, WallTime not_after);

// The certificates of a PEM file, one PEM each, in order. Other blocks are passed over.
std::vector<std::string> split_certificates(std::string_view pem);
// Fails, worded as Go's x509, unless `cert_pem` is signed by the CA.
Status verify_signed_by(const std::string& cert_pem, const std::string& ca_pem);
bool allows_server_auth(const std::string& cert_pem);
bool key_matches(const std::string& cert_pem, const std::string& key_pem);

}  // namespace knarr::pki
