// SPDX-License-Identifier: Apache-2.0
// The pair that a kubelet uses for one purpose, on disk where upstream's keeps it: PREFIX-DATE.pem holds certificate and key, the link
// PREFIX-current.pem names the one in force.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "pki/pki.h"

namespace knarr::kubelet {

class CertificateStore {
 public:
  // "kubelet-client" or "kubelet-server". Finishes a change of the link that was interrupted.
  CertificateStore(std::string prefix, std::string dir, const Clock& clock);
  std::string current_path() const { return dir_ + "/" + prefix_ + "-current.pem"; }
  // Empty when there is none, or none that can be read.
  std::optional<pki::KeyPair> current() const;
  // Written, synced, then linked: whoever reads finds the old or the new pair, whole.
  Status update(const pki::KeyPair& pair);

 private:
  std::string prefix_, dir_;
  const Clock& clock_;
};

// All blocks of this kind in a PEM file, "" when there are none. `kind` ends the name: "CERTIFICATE", "PRIVATE KEY".
std::string pem_blocks(std::string_view text, std::string_view kind);

}  // namespace knarr::kubelet
