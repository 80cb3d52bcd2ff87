// SPDX-License-Identifier: Apache-2.0
// RSA keys of 2048 bits, four times as fast as OpenSSL 3's EVP_RSA_gen: that builds its primes from auxiliary ones (FIPS 186-4 B.3.6), which two random
// primes of OpenSSL's own generator do without, as in its versions before and in Go. For this module's .cc files only.
#pragma once

#include <atomic>
#include <string>

#include "base/status.h"
#include "pki/openssl.h"

namespace knarr::pki {

// Ends with an error soon after `stopped` became true.
Result<Key> make_rsa_key(const std::atomic<bool>& stopped);
Result<std::string> make_rsa_key_pem(const std::atomic<bool>& stopped);  // PKCS#8

}  // namespace knarr::pki
