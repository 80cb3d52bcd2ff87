// SPDX-License-Identifier: Apache-2.0
#include "client/leader_election.h"

#include <unistd.h>

#include <random>

#include "api/coordination_v1.h"
#include "base/log.h"
#include "client/backoff.h"
#include "schema/time.h"

namespace knarr::client {
namespace {

using api::coordination_v1::Lease;

std::string default_identity() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::random_device random;
  uint32_t a = random(), b = random(), c = random(), d = random();
  return fmt::format("{}_{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", host, a, b >> 16, b & 0xfff, (c >> 16 & 0x3fff) | 0x8000,
                     c & 0xffff, d);
}

}  // namespace

struct LeaderElector::Impl {
  Impl(Client& c, Executor e, LeaderElectionOptions o) : client(c), options(std::move(o)), wake(e), over(e) {
    if (options.identity.empty()) options.identity = default_identity();
  }
  Client& client;
  LeaderElectionOptions options;
  Notifier wake, over;
  bool stopped = false, holding = false;
  Lease observed;             // as last read or written
  MonoTime observed_at{};     // when it last changed, by our own clock: others' clocks are not trusted
  bool known = false;

  bool leads() const { return known && observed.spec.holder_identity.value_or("") == options.identity; }
  void observe(const Lease& lease) {
    observed = lease;
    observed_at = Clock::real().mono();
    known = true;
  }
  void tell(std::string_view what) {
    if (options.events == nullptr) return;
    api::core_v1::ObjectReference about = reference_to(observed);
    options.events->event(about, "Normal", "LeaderElection", options.identity + " " + std::string(what));
  }
  static Task<bool> try_acquire_or_renew(std::shared_ptr<Impl> self);
  static Task<bool> create(std::shared_ptr<Impl> self, api::coordination_v1::LeaseSpec spec);
  static Task<bool> acquire(std::shared_ptr<Impl> self);
  static Task<void> hold(std::shared_ptr<Impl> self);
  static Task<void> ended(std::shared_ptr<Impl> self);
  static Task<void> release(std::shared_ptr<Impl> self);
};

Task<bool> LeaderElector::Impl::create(std::shared_ptr<Impl> self, api::coordination_v1::LeaseSpec spec) {
  Lease lease;
  lease.metadata.namespace_ = self->options.namespace_;
  lease.metadata.name = self->options.name;
  spec.lease_transitions = 0;
  lease.spec = std::move(spec);
  auto created = co_await self->client.create(std::move(lease));
  if (!created.ok()) {
    log_error("Creating the leader election record failed", {{"err", created.status().message()}});
    co_return false;
  }
  self->observe(*created);
  co_return true;
}

Task<bool> LeaderElector::Impl::try_acquire_or_renew(std::shared_ptr<Impl> self) {
  const LeaderElectionOptions& options = self->options;
  schema::MicroTime now = schema::to_micro_time(Clock::real().now());
  api::coordination_v1::LeaseSpec spec;
  spec.holder_identity = options.identity;
  spec.lease_duration_seconds = static_cast<int32_t>(std::chrono::duration_cast<std::chrono::seconds>(options.lease).count());
  spec.acquire_time = now;
  spec.renew_time = now;

  std::string ns = options.namespace_, name = options.name;
  auto read = co_await self->client.get<Lease>(std::move(ns), std::move(name));
  if (!read.ok()) {
    if (read.status().code() != 404) {
      log_error("Retrieving the resource lock failed", {{"lock", options.name}, {"err", read.status().message()}});
      co_return false;
    }
    bool created = co_await create(self, std::move(spec));
    co_return created;
  }
  Lease lease = std::move(*read);
  if (!self->known || !(lease.spec == self->observed.spec)) self->observe(lease);
  bool held = !lease.spec.holder_identity.value_or("").empty();
  auto expiry = self->observed_at + std::chrono::seconds(lease.spec.lease_duration_seconds.value_or(0));
  bool mine = self->leads();
  if (held && !mine && expiry > Clock::real().mono()) co_return false;

  int32_t transitions = lease.spec.lease_transitions.value_or(0);
  spec.lease_transitions = mine ? transitions : transitions + 1;
  if (mine) spec.acquire_time = lease.spec.acquire_time;
  lease.spec = std::move(spec);
  auto updated = co_await self->client.update(std::move(lease));
  if (!updated.ok()) {
    log_error("Updating the lock failed", {{"lock", options.name}, {"err", updated.status().message()}});
    co_return false;
  }
  self->observe(*updated);
  co_return true;
}

Task<bool> LeaderElector::Impl::acquire(std::shared_ptr<Impl> self) {
  log_info("Attempting to acquire leader lease", {{"lock", self->options.namespace_ + "/" + self->options.name}});
  while (!self->stopped) {
    bool acquired = co_await try_acquire_or_renew(self);
    if (acquired) {
      log_info("Acquired lease", {{"lock", self->options.namespace_ + "/" + self->options.name}});
      self->tell("became leader");
      co_return true;
    }
    // Jitter factor 1.2, so that candidates do not march in step.
    auto jitter = static_cast<uint64_t>(static_cast<double>(self->options.retry.count()) * 1.2);
    Duration pause = self->options.retry + Duration(static_cast<int64_t>(random_below(jitter)));
    co_await self->wake.wait_for(pause);
  }
  co_return false;
}

Task<void> LeaderElector::Impl::hold(std::shared_ptr<Impl> self) {
  self->holding = true;
  MonoTime renewed = Clock::real().mono();
  while (!self->stopped) {
    Duration pause = self->options.retry;
    co_await self->wake.wait_for(pause);
    if (self->stopped) break;
    bool ok = co_await try_acquire_or_renew(self);
    MonoTime now = Clock::real().mono();
    if (ok) {
      renewed = now;
    } else if (now - renewed > self->options.renew_deadline) {
      log_error("Renewing the lease failed", {{"lock", self->options.name}});
      break;
    }
  }
  self->tell("stopped leading");
  if (self->stopped) co_await release(self);
  self->holding = false;
  self->over.notify();
}

Task<void> LeaderElector::Impl::ended(std::shared_ptr<Impl> self) {
  Duration patience = std::chrono::seconds(2);
  if (self->holding) co_await self->over.wait_for(patience);
}

Task<void> LeaderElector::Impl::release(std::shared_ptr<Impl> self) {
  if (!self->leads()) co_return;
  Lease lease = self->observed;
  schema::MicroTime now = schema::to_micro_time(Clock::real().now());
  lease.spec.holder_identity = "";
  lease.spec.lease_duration_seconds = 1;
  lease.spec.renew_time = now;
  lease.spec.acquire_time = now;
  auto updated = co_await self->client.update(std::move(lease));
  if (updated.ok()) self->observe(*updated);
}

LeaderElector::LeaderElector(Client& client, Executor executor, LeaderElectionOptions options)
    : impl_(std::make_shared<Impl>(client, std::move(executor), std::move(options))) {}
LeaderElector::~LeaderElector() { stop(); }
Task<bool> LeaderElector::acquire() { return Impl::acquire(impl_); }
Task<void> LeaderElector::ended() { return Impl::ended(impl_); }
Task<void> LeaderElector::hold() { return Impl::hold(impl_); }
void LeaderElector::stop() {
  impl_->stopped = true;
  impl_->wake.notify();
}
bool LeaderElector::is_leader() const { return impl_->leads(); }
std::string LeaderElector::leader() const {
  return impl_->known ? std::string(impl_->observed.spec.holder_identity.value_or("")) : std::string();
}
const std::string& LeaderElector::identity() const { return impl_->options.identity; }

}  // namespace knarr::client
