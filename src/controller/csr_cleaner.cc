// SPDX-License-Identifier: Apache-2.0
// certificatesigningrequest-cleaner: once an hour, removes requests that are over or that nobody handled.
#include "api/certificates_v1.h"
#include "base/log.h"
#include "controller/controller.h"
#include "controller/csr_rules.h"

namespace knarr::controller {
namespace {

using csr::Request;

constexpr Duration kPeriod = std::chrono::hours(1);

struct Cleaner : std::enable_shared_from_this<Cleaner> {
  explicit Cleaner(ContextPtr c) : context(std::move(c)), requests(context->informers.get<Request>()) {}
  ContextPtr context;
  client::Informer<Request> requests;

  static Task<void> clean(std::shared_ptr<Cleaner> self) {
    std::vector<std::string> names;
    self->requests.for_each([&](const std::shared_ptr<const Request>& request) {
      std::string_view reason = csr::reason_to_remove(*request, self->context->clock.now());
      if (reason.empty()) return;
      log_info("Cleaning a certificate request", {{"csr", request->metadata.name.view()}, {"why", reason}});
      names.push_back(request->metadata.name.str());
    });
    for (std::string& name : names) {
      std::string none;
      Status removed = co_await self->context->client.remove<Request>(std::move(none), std::move(name));
      if (!removed.ok() && removed.code() != 404) log_error("Could not remove a certificate request", {{"err", removed.message()}});
    }
  }
};

}  // namespace

void start_csr_cleaner(const ContextPtr& context) {
  auto self = std::make_shared<Cleaner>(context);
  context->call_when_synced({self->requests.core_ptr()}, [self] {
    self->context->run_periodically(kPeriod, [self] { return Cleaner::clean(self); });
  });
}

}  // namespace knarr::controller
