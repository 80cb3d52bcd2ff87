// SPDX-License-Identifier: Apache-2.0
// Asking the API server for a certificate: a CertificateSigningRequest, and the wait until somebody has approved and signed it.
#pragma once

#include <string>
#include <vector>

#include "base/task.h"
#include "client/client.h"
#include "pki/request.h"

namespace knarr::kubelet {

struct WantedCertificate {
  std::string name;  // of the object; "" = generated
  std::string signer;
  pki::RequestedNames names;
  std::vector<std::string> usages;
};

// PEM of the certificate for this key. An object of that name that asks for the same is used again. Fails when it is denied, fails or goes
// away, and after `patience`. `client` outlives the task.
Task<Result<std::string>> obtain_certificate(client::Client* client, Executor executor, WantedCertificate wanted, std::string key_pem, Duration patience);

pki::RequestedNames node_names(const std::string& node_name);
std::vector<std::string> client_usages();
std::vector<std::string> serving_usages();

}  // namespace knarr::kubelet
