// SPDX-License-Identifier: Apache-2.0
#include "kubelet/certificate/rotation.h"

#include <algorithm>
#include <random>

#include "base/log.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience = 15min, kFirstRetry = 2s, kLastRetry = 32s, kPause = 1s;

bool covers(const std::vector<std::string>& have, const std::vector<std::string>& want) {
  return std::all_of(want.begin(), want.end(), [&](const std::string& one) { return std::find(have.begin(), have.end(), one) != have.end(); });
}

}  // namespace

WallTime rotation_deadline(WallTime not_before, WallTime not_after, double luck) {
  double life = static_cast<double>((not_after - not_before).count());
  return not_before + Duration(static_cast<int64_t>(life * (0.7 + 0.2 * luck)));
}

bool says(const pki::CertificateInfo& certificate, const pki::RequestedNames& names) {
  return certificate.common_name == names.common_name && covers(certificate.organizations, names.organizations) &&
         covers(certificate.dns_names, names.dns_names) && covers(certificate.ip_addresses, names.ip_addresses);
}

struct CertificateRotation::Impl {
  Impl(client::Client& c, Executor e, const Clock& k, CertificateStore s, Options o)
      : client(c), executor(e), clock(k), store(std::move(s)), options(std::move(o)), woken(e) {
    read_current();
    at_once = options.at_once;
  }
  client::Client& client;
  Executor executor;
  const Clock& clock;
  CertificateStore store;
  const Options options;
  Notifier woken;
  std::optional<pki::CertificateInfo> current;
  WallTime deadline{};
  uint64_t failures = 0;
  bool at_once = false, stopped = false;

  void read_current() {
    current.reset();
    auto pair = store.current();
    if (!pair) return;
    auto info = pki::inspect(pair->cert_pem);
    if (!info.ok()) return;
    current = std::move(*info);
    std::random_device random;
    double luck = static_cast<double>(random()) / (static_cast<double>(std::random_device::max()) + 1);
    deadline = rotation_deadline(current->not_before, current->not_after, luck);
    log_info("Certificate will be rotated", {{"signer", options.signer}, {"expires", schema::format_time(schema::to_time(current->not_after))},
                                             {"at", schema::format_time(schema::to_time(deadline))}});
  }

  // How long the certificate in force is good enough; zero = it is not.
  Duration remaining(const pki::RequestedNames& names) const {
    if (at_once || !current || !says(*current, names)) return Duration::zero();
    return std::max<Duration>(deadline - clock.now(), Duration::zero());
  }

  static Task<bool> rotate(std::shared_ptr<Impl> self, pki::RequestedNames names) {
    log_info("Rotating certificates", {{"signer", self->options.signer}});
    auto key = pki::generate_ec_key();
    if (!key.ok()) co_return false;
    WantedCertificate wanted{"", self->options.signer, std::move(names), self->options.usages};
    std::string key_pem = *key;
    Duration patience = kPatience;
    auto certificate = co_await obtain_certificate(&self->client, self->executor, std::move(wanted), std::move(key_pem), patience);
    if (self->stopped) co_return true;
    Status status = certificate.status();
    if (status.ok()) status = self->store.update({*certificate, *key});
    if (!status.ok()) {
      ++self->failures;
      log_error("Could not rotate a certificate", {{"signer", self->options.signer}, {"err", status.message()}});
      co_return false;
    }
    self->at_once = false;
    self->read_current();
    if (self->options.changed) self->options.changed();
    co_return true;
  }

  static Task<void> run(std::shared_ptr<Impl> self) {
    Duration retry = kFirstRetry;
    while (!self->stopped) {
      std::optional<pki::RequestedNames> names = self->options.names();
      if (!names) {
        co_await self->woken.wait();
        continue;
      }
      Duration remaining = self->remaining(*names);
      if (remaining > Duration::zero()) {
        co_await self->woken.wait_for(remaining);
        continue;
      }
      bool done = co_await rotate(self, std::move(*names));
      if (done) {
        // A signer whose certificates are due at once is not asked without end.
        retry = kFirstRetry;
        co_await self->woken.wait_for(kPause);
        continue;
      }
      co_await self->woken.wait_for(retry);
      retry = std::min(retry * 2, kLastRetry);
    }
  }
};

CertificateRotation::CertificateRotation(client::Client& client, Executor executor, const Clock& clock, CertificateStore store, Options options)
    : impl_(std::make_shared<Impl>(client, std::move(executor), clock, std::move(store), std::move(options))) {}
CertificateRotation::~CertificateRotation() { stop(); }
void CertificateRotation::start() { spawn(impl_->executor, Impl::run(impl_)); }
void CertificateRotation::stop() {
  impl_->stopped = true;
  impl_->woken.notify();
}
void CertificateRotation::wake() { impl_->woken.notify(); }

std::optional<double> CertificateRotation::seconds_left() const {
  if (!impl_->current) return std::nullopt;
  return std::chrono::duration<double>(impl_->current->not_after - impl_->clock.now()).count();
}
uint64_t CertificateRotation::failures() const { return impl_->failures; }

}  // namespace knarr::kubelet
