// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificate/signing.h"

#include <optional>

#include "api/certificates_v1.h"
#include "base/log.h"
#include "client/informer.h"

namespace knarr::kubelet {
namespace {

using Request = api::certificates_v1::CertificateSigningRequest;

Result<Request> request_of(const WantedCertificate& wanted, const std::string& key_pem) {
  Request request;
  TRY_ASSIGN(std::string pem, pki::make_certificate_request(wanted.names, key_pem));
  request.metadata.name = wanted.name;
  if (wanted.name.empty()) request.metadata.generate_name = "csr-";
  request.spec.request = pem;
  request.spec.signer_name = wanted.signer;
  for (const std::string& usage : wanted.usages) request.spec.usages.push_back(usage);
  return request;
}

Task<Result<Request>> create(client::Client* client, const WantedCertificate* wanted, const std::string* key_pem) {
  auto request = request_of(*wanted, *key_pem);
  if (!request.ok()) co_return request.status();
  auto created = co_await client->create(std::move(*request));
  if (!created.status().is("AlreadyExists") || wanted->name.empty()) co_return created;
  std::string none, name = wanted->name;
  auto found = co_await client->get<Request>(std::move(none), std::move(name));
  if (!found.ok()) co_return found.status().with_context("cannot retrieve certificate signing request");
  bool same = found->spec.signer_name == wanted->signer && pki::is_request_of_key(found->spec.request, *key_pem);
  if (!same) co_return Status::error("retrieved csr is not compatible");
  log_info("A request of this node exists and is still valid", {{"csr", wanted->name}});
  co_return found;
}

// What a state of the object means for who waits; empty while it is undecided.
std::optional<Result<std::string>> outcome_of(const Request& request) {
  bool approved = false;
  for (const auto& condition : request.status.conditions) {
    if (condition.type == "Denied" || condition.type == "Failed") {
      std::string how = condition.type == "Denied" ? "is denied" : "failed";
      return Result<std::string>(Status::error("certificate signing request " + how + ", reason: " + condition.reason.str() +
                                               ", message: " + condition.message.str()));
    }
    approved = approved || condition.type == "Approved";
  }
  if (!approved || request.status.certificate.empty()) return std::nullopt;
  return Result<std::string>(request.status.certificate.str());
}

struct Wait {
  explicit Wait(Executor executor) : changed(std::move(executor)) {}
  Notifier changed;
  std::optional<Result<std::string>> outcome;
};

}  // namespace

Task<Result<std::string>> obtain_certificate(client::Client* client, Executor executor, WantedCertificate wanted, std::string key_pem, Duration patience) {
  auto created = co_await create(client, &wanted, &key_pem);
  if (!created.ok()) co_return created.status().with_context("cannot create certificate signing request");
  std::string uid = created->metadata.uid.str(), name = created->metadata.name.str();
  client::InformerCore::Options options;
  options.field_selector = "metadata.name=" + name;
  auto core = std::make_shared<client::InformerCore>(*client, Request::resource(), options, executor);
  auto wait = std::make_shared<Wait>(executor);
  client::Informer<Request>(core).add_handler([wait, uid](const auto& before, const auto& now) {
    if (now == nullptr) {
      wait->outcome = Status::error("csr \"" + before->metadata.name.str() + "\" was deleted");
    } else if (now->metadata.uid != uid) {
      wait->outcome = Status::error("csr \"" + now->metadata.name.str() + "\" changed UIDs");
    } else if (auto outcome = outcome_of(*now)) {
      wait->outcome = std::move(outcome);
    }
    wait->changed.notify();
  });
  core->start();
  MonoTime end = Clock::real().mono() + patience;
  while (!wait->outcome) {
    Duration left = end - Clock::real().mono();
    bool in_time = left > Duration::zero();
    if (in_time) in_time = co_await wait->changed.wait_for(left);
    if (!in_time && !wait->outcome) wait->outcome = Status::error("timed out waiting for the condition");
  }
  core->stop();
  co_return std::move(*wait->outcome);
}

pki::RequestedNames node_names(const std::string& node_name) {
  pki::RequestedNames names;
  names.common_name = "system:node:" + node_name;
  names.organizations = {"system:nodes"};
  return names;
}

std::vector<std::string> client_usages() { return {"digital signature", "client auth"}; }
std::vector<std::string> serving_usages() { return {"digital signature", "server auth"}; }

}  // namespace knarr::kubelet
