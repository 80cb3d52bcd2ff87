// SPDX-License-Identifier: Apache-2.0
// The approval subresource of certificatesigningrequests, for the subresource table.
#pragma once

#include "api/certificates_v1.h"
#include "apiserver/strategy.h"

namespace knarr::apiserver {

// PUT and PATCH of certificatesigningrequests/approval change conditions only.
void prepare_csr_approval(WriteContext& context,
                          api::certificates_v1::CertificateSigningRequest& object,
                          const api::certificates_v1::CertificateSigningRequest& old);
void validate_csr_approval(const api::certificates_v1::CertificateSigningRequest& object,
                           const api::certificates_v1::CertificateSigningRequest& old,
                           FieldErrors& errors);

}  // namespace knarr::apiserver
