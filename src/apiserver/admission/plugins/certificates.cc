// SPDX-License-Identifier: Apache-2.0
// CertificateApproval, CertificateSigning and CertificateSubjectRestriction.
#include "api/certificates_v1.h"
#include "apiserver/admission/plugins/plugins.h"
#include "apiserver/authz/authorizer.h"
#include "apiserver/core.h"
#include "apiserver/strategy/certificate_request.h"

namespace knarr::apiserver::admission {

namespace {

using Request = api::certificates_v1::CertificateSigningRequest;

bool is_request(const Attributes& a, std::string_view subresource) {
  return a.context.resource.group == "certificates.k8s.io" &&
         a.context.resource.plural == "certificatesigningrequests" &&
         a.context.subresource == subresource;
}

Task<bool> allowed(const Attributes& a, std::string_view verb, std::string_view name) {
  authz::Attributes asked{.user = a.context.user,
                          .verb = verb,
                          .is_resource = true,
                          .group = "certificates.k8s.io",
                          .version = "*",
                          .resource = "signers",
                          .subresource = {},
                          .namespace_ = {},
                          .name = name,
                          .path = {}};
  auto& authorizer = static_cast<Core&>(server_of(a)).authorizer();
  authz::Verdict verdict = co_await authz::decide(authorizer, asked);
  co_return verdict.decision == authz::Decision::kAllow;
}

// By the signer's full name, or by all of its domain.
Task<bool> may(const Attributes& a, std::string_view verb, std::string_view signer) {
  bool by_name = co_await allowed(a, verb, signer);
  if (by_name) co_return true;
  std::string domain = std::string(signer.substr(0, signer.find('/'))) + "/*";
  bool by_domain = co_await allowed(a, verb, domain);
  co_return by_domain;
}

Task<Status> check_approval(Attributes& a) {
  const auto* old = old_as<Request>(a);
  if (!is_request(a, "approval") || old == nullptr) co_return Status();
  bool approves = co_await may(a, "approve", old->spec.signer_name);
  if (!approves)
    co_return forbid(a, "user not permitted to approve requests with signerName " +
                            quoted(old->spec.signer_name));
  co_return Status();
}

Task<Status> check_signing(Attributes& a) {
  const auto *now = object_as<Request>(a), *old = old_as<Request>(a);
  if (!is_request(a, "status") || old == nullptr || now == nullptr) co_return Status();
  if (now->status.certificate == old->status.certificate &&
      now->status.conditions == old->status.conditions)
    co_return Status();
  bool signs = co_await may(a, "sign", old->spec.signer_name);
  if (!signs)
    co_return forbid(
        a, "user not permitted to sign requests with signerName " + quoted(old->spec.signer_name));
  co_return Status();
}

Task<Status> check_subject(Attributes& a) {
  const auto* request = object_as<Request>(a);
  if (!is_request(a, "") || a.operation != Operation::kCreate || request == nullptr)
    co_return Status();
  if (!(request->spec.signer_name == "kubernetes.io/kube-apiserver-client")) co_return Status();
  CertificateRequestInfo info = read_certificate_request(request->spec.request);
  if (!info.problem.empty()) co_return forbid(a, "failed to parse CSR: " + info.problem);
  for (const std::string& group : info.organizations)
    if (group == "system:masters")
      co_return forbid(a,
                       "use of kubernetes.io/kube-apiserver-client signer with system:masters "
                       "group is not allowed");
  co_return Status();
}

}  // namespace

Plugin certificate_approval() { return {"CertificateApproval", true, nullptr, &check_approval}; }
Plugin certificate_signing() { return {"CertificateSigning", true, nullptr, &check_signing}; }
Plugin certificate_subject_restriction() {
  return {"CertificateSubjectRestriction", true, nullptr, &check_subject};
}

}  // namespace knarr::apiserver::admission
