// SPDX-License-Identifier: Apache-2.0
// Keeps one certificate of the kubelet fresh: asks for the next when 70 to 90 % of its life are over, when it does not say what it should, or
// when it is missing. client-go's delays: 2 s doubling five times, then each 32 s. One executor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kubelet/certificate/signing.h"
#include "kubelet/certificate/store.h"

namespace knarr::kubelet {

class CertificateRotation {
 public:
  struct Options {
    std::string signer;
    std::vector<std::string> usages;
    // What the certificate is to say now; empty while that is not known.
    std::function<std::optional<pki::RequestedNames>()> names;
    bool at_once = false;                  // whatever the certificate in force says
    std::function<void()> changed;         // the store has a new pair
  };
  // `client` outlives it.
  CertificateRotation(client::Client& client, Executor executor, const Clock& clock, CertificateStore store, Options options);
  ~CertificateRotation();
  void start();
  void stop();
  // What `names` answers may have changed.
  void wake();
  // Seconds until the certificate in force is over; empty without one.
  std::optional<double> seconds_left() const;
  uint64_t failures() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// When to ask for the next certificate; `luck` of [0, 1) spreads the nodes.
WallTime rotation_deadline(WallTime not_before, WallTime not_after, double luck);
// Whether a certificate carries all these names.
bool says(const pki::CertificateInfo& certificate, const pki::RequestedNames& names);

}  // namespace knarr::kubelet
