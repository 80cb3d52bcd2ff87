// SPDX-License-Identifier: Apache-2.0
// certificatesigningrequest-approving: approves what a kubelet asks for itself, when whoever asked may have that
// (certificatesigningrequests/nodeclient and /selfnodeclient in RBAC).
#include "api/authorization_v1.h"
#include "api/certificates_v1.h"
#include "controller/controller.h"
#include "controller/csr_rules.h"

namespace knarr::controller {
namespace {

using api::authorization_v1::SubjectAccessReview;
using csr::Request;

constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
constexpr Duration kMostRetry = std::chrono::seconds(1000);

struct Recognizer {
  std::string_view subresource, message;
  bool only_itself;
};
constexpr Recognizer kRecognizers[] = {
    {"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.", true},
    {"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.", false},
};

SubjectAccessReview review_of(const Request& request, std::string_view subresource) {
  SubjectAccessReview review;
  review.spec.user = request.spec.username;
  review.spec.uid = request.spec.uid;
  review.spec.groups = request.spec.groups;
  review.spec.extra = request.spec.extra;
  api::authorization_v1::ResourceAttributes attributes;
  attributes.group = "certificates.k8s.io";
  attributes.resource = "certificatesigningrequests";
  attributes.verb = "create";
  attributes.subresource = subresource;
  attributes.version = "*";
  review.spec.resource_attributes = std::move(attributes);
  return review;
}

struct Approver : std::enable_shared_from_this<Approver> {
  explicit Approver(ContextPtr c)
      : context(std::move(c)), requests(context->informers.get<Request>()), queue(context->make_queue("certificate", kFirstRetry, kMostRetry)) {}
  ContextPtr context;
  client::Informer<Request> requests;
  std::shared_ptr<client::WorkQueue> queue;

  Task<Status> approve(Request request, std::string_view message) {
    auto& condition = request.status.conditions.emplace_back();
    condition.type = "Approved";
    condition.status = "True";
    condition.reason = "AutoApproved";
    condition.message = message;
    std::string subresource = "approval";
    auto updated = co_await context->client.update(std::move(request), std::move(subresource));
    if (!updated.ok() && updated.status().code() != 409) co_return updated.status().with_context("error updating approval for csr");
    co_return updated.status();
  }

  Task<Status> reconcile(std::string name) {
    auto request = requests.get(name);
    if (request == nullptr || !request->status.certificate.empty()) co_return Status();
    if (csr::has_condition(*request, "Approved") || csr::has_condition(*request, "Denied")) co_return Status();
    auto names = pki::read_certificate_request(request->spec.request);
    if (!names.ok()) co_return names.status().with_context("unable to parse csr \"" + name + "\"");
    bool of_kubelet = request->spec.signer_name == csr::kKubeletClient && csr::kubelet_client_problem(*names, csr::usages_of(*request)).empty();
    if (!of_kubelet) co_return Status();
    std::string tried;
    for (const Recognizer& recognizer : kRecognizers) {
      if (recognizer.only_itself && request->spec.username != names->common_name) continue;
      SubjectAccessReview review = review_of(*request, recognizer.subresource);
      auto answer = co_await context->client.create(std::move(review));
      if (!answer.ok()) co_return answer.status();
      if (answer->status.allowed) {
        Request copy = *request;
        std::string_view message = recognizer.message;
        Status status = co_await approve(std::move(copy), message);
        co_return status;
      }
      tried += (tried.empty() ? "" : " ") + std::string(recognizer.subresource);
    }
    if (tried.empty()) co_return Status();
    // Somebody may yet be given the right, or approve it by hand: looked at again, ever more seldom.
    co_return Status::make(403, client::kWaiting, "recognized csr \"" + name + "\" as [" + tried + "] but subject access review was not approved");
  }
};

}  // namespace

void start_csr_approving(const ContextPtr& context) {
  auto self = std::make_shared<Approver>(context);
  self->requests.add_handler([self](const auto&, const auto& now) {
    if (now != nullptr) self->queue->add(now->metadata.name.str());
  });
  context->run_when_synced({self->requests.core_ptr()}, self->queue, "csrapproving", 5,
                           [self](std::string key) { return self->reconcile(std::move(key)); });
}

}  // namespace knarr::controller
