// SPDX-License-Identifier: Apache-2.0
// certificatesigningrequest-signing: signs approved requests of the kubernetes.io signers, each with its own pair or all with one.
#include "api/certificates_v1.h"
#include "base/files.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/csr_rules.h"

namespace knarr::controller {
namespace {

using csr::Request;

constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kMostRetry = std::chrono::seconds(1000);

// Read anew for each signature: a renewed pair counts from then on, and requests are few.
Result<pki::KeyPair> load_issuer(const SigningFiles& files) {
  pki::KeyPair issuer;
  TRY_ASSIGN(issuer.cert_pem, read_file(files.cert_file));
  TRY_ASSIGN(issuer.key_pem, read_file(files.key_file));
  return issuer;
}

struct SignerEntry {
  std::string_view signer, queue;
  SigningFiles CertificateSigningOptions::* files;
};
constexpr SignerEntry kSigners[] = {
    {csr::kKubeletServing, "csrsigning-kubelet-serving", &CertificateSigningOptions::kubelet_serving},
    {csr::kKubeletClient, "csrsigning-kubelet-client", &CertificateSigningOptions::kubelet_client},
    {csr::kApiServerClient, "csrsigning-kube-apiserver-client", &CertificateSigningOptions::apiserver_client},
    {csr::kLegacyUnknown, "csrsigning-legacy-unknown", &CertificateSigningOptions::legacy_unknown},
};

bool any_specific(const CertificateSigningOptions& options) {
  for (const SignerEntry& entry : kSigners)
    if (!(options.*entry.files).none()) return true;
  return false;
}

// Files of one signer switch the common ones off for all.
const SigningFiles& files_of(const CertificateSigningOptions& options, const SignerEntry& entry) {
  return any_specific(options) ? options.*entry.files : options.cluster;
}

struct Signer : std::enable_shared_from_this<Signer> {
  Signer(ContextPtr c, const SignerEntry& entry)
      : context(std::move(c)),
        name(entry.signer),
        files(files_of(context->options.signing, entry)),
        requests(context->informers.get<Request>()),
        queue(context->make_queue("certificate", kFirstRetry, kMostRetry)) {}
  ContextPtr context;
  const std::string_view name;
  const SigningFiles files;
  client::Informer<Request> requests;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> fail(Request request, std::string problem) {
    auto& condition = request.status.conditions.emplace_back();
    condition.type = "Failed";
    condition.status = "True";
    condition.reason = "SignerValidationFailure";
    condition.message = problem;
    condition.last_update_time = context->now();
    auto updated = co_await context->client.update_status(std::move(request));
    if (!updated.ok() && updated.status().code() != 409) co_return updated.status().with_context("error adding failure condition for csr");
    co_return updated.status();
  }

  Task<Status> reconcile(std::string key) {
    auto request = requests.get(key);
    if (request == nullptr || request->spec.signer_name != name || !request->status.certificate.empty()) co_return Status();
    if (!csr::is_approved(*request) || csr::has_failed(*request)) co_return Status();
    auto names = pki::read_certificate_request(request->spec.request);
    if (!names.ok()) co_return names.status().with_context("unable to parse csr \"" + key + "\"");
    std::vector<std::string> usages = csr::usages_of(*request);
    std::string problem = csr::problem_for_signer(name, *names, usages);
    Request copy = *request;
    if (!problem.empty()) {
      Status failed = co_await fail(std::move(copy), std::move(problem));
      co_return failed;
    }
    auto issuer = load_issuer(files);
    if (!issuer.ok()) co_return issuer.status().with_context("error auto signing csr");
    pki::SigningPolicy policy{csr::lifetime_of(*request, context->options.signing.duration), std::move(usages)};
    auto certificate = pki::sign_certificate_request(request->spec.request, *issuer, policy, context->clock);
    if (!certificate.ok()) co_return certificate.status().with_context("error auto signing csr");
    copy.status.certificate = *certificate;
    auto updated = co_await context->client.update_status(std::move(copy));
    if (!updated.ok() && updated.status().code() != 409) co_return updated.status().with_context("error updating signature for csr");
    co_return updated.status();
  }
};

}  // namespace

Status check_signing(const CertificateSigningOptions& options) {
  if (options.cluster.complete() && any_specific(options)) return Status::error("cannot specify default and per controller certs at the same time");
  for (const SignerEntry& entry : kSigners) {
    const SigningFiles& files = files_of(options, entry);
    if (files.none() || (!any_specific(options) && !files.complete())) continue;
    auto issuer = load_issuer(files);
    Status status = issuer.status();
    if (issuer.ok()) status = pki::inspect(issuer->cert_pem).status();
    if (status.ok()) status = pki::public_key_of(issuer->key_pem).status();
    if (!status.ok()) {
      return status.with_context("error reading CA cert file \"" + files.cert_file + "\"")
          .with_context("failed to start " + std::string(entry.signer) + " certificate controller");
    }
  }
  return {};
}

void start_csr_signing(const ContextPtr& context) {
  for (const SignerEntry& entry : kSigners) {
    if (!files_of(context->options.signing, entry).complete()) continue;
    auto self = std::make_shared<Signer>(context, entry);
    self->requests.add_handler([self](const auto&, const auto& now) {
      if (now != nullptr) self->queue->add(now->metadata.name.str());
    });
    context->run_when_synced({self->requests.core_ptr()}, self->queue, std::string(entry.queue), 5,
                             [self](std::string key) { return self->reconcile(std::move(key)); });
  }
}

}  // namespace knarr::controller
