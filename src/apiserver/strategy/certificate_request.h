// SPDX-License-Identifier: Apache-2.0
// What a PEM certificate request says. OpenSSL stays in the .cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace knarr::apiserver {

struct CertificateRequestInfo {
  std::string problem;  // "" when the request is well formed and its signature is its key's
  std::string common_name;
  std::vector<std::string> organizations;
};
CertificateRequestInfo read_certificate_request(std::string_view pem);
// "" when `pem` holds nothing but certificates, at least one.
std::string certificate_chain_problem(std::string_view pem);

}  // namespace knarr::apiserver
