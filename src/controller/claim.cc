// SPDX-License-Identifier: Apache-2.0
#include "controller/claim.h"

namespace knarr::controller {

Claim claim_verdict(const api::meta_v1::ObjectMeta& object, std::string_view owner_uid, bool owner_deleting, bool matches) {
  const auto* owner = controller_of(object);
  if (owner != nullptr) {
    if (owner->uid != owner_uid) return Claim::kIgnore;
    if (matches) return Claim::kKeep;
    return owner_deleting ? Claim::kIgnore : Claim::kRelease;
  }
  bool takes_in = matches && !owner_deleting && !object.deletion_timestamp;
  return takes_in ? Claim::kAdopt : Claim::kIgnore;
}

}  // namespace knarr::controller
