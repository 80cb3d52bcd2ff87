// SPDX-License-Identifier: Apache-2.0
// PKCS#10 certificate requests: made by who wants a certificate, read and signed by the controllers of certificates.k8s.io.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "pki/pki.h"

namespace knarr::pki {

// Subject and alternative names of a request.
struct RequestedNames {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses;
  std::vector<std::string> emails, uris;  // read, never written
  bool operator==(const RequestedNames&) const = default;
};
// "CERTIFICATE REQUEST" PEM, signed with that key.
Result<std::string> make_certificate_request(const RequestedNames& names, const std::string& key_pem);
// Worded as upstream where the PEM is of another kind.
Result<RequestedNames> read_certificate_request(std::string_view pem);
// Whether a request carries this key's public half and its signature.
bool is_request_of_key(std::string_view request_pem, const std::string& key_pem);
// DER of the SubjectPublicKeyInfo.
Result<std::string> public_key_der(const std::string& key_pem);

// "node-csr-" and a digest of key, subject and usages: who asks again with the same key asks for the same object.
Result<std::string> digested_request_name(const std::string& key_pem, const RequestedNames& names, const std::vector<std::string>& usages);

// What upstream's signers do: names of the request, usages of the API object; lifetimes below eight hours count from now, longer ones from five
// minutes ago, when all of them begin; none outlives the signer.
struct SigningPolicy {
  Duration lifetime;
  std::vector<std::string> usages;  // of certificates.k8s.io: "client auth", "digital signature"
};
// PEM of the certificate. Fails for a usage that X.509 does not know, a bad signature, a signer that has expired.
Result<std::string> sign_certificate_request(std::string_view request_pem, const KeyPair& issuer, const SigningPolicy& policy, const Clock& clock);

}  // namespace knarr::pki
