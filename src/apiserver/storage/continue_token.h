// SPDX-License-Identifier: Apache-2.0
// Where a chunked list goes on, in upstream's form: base64url of {"v":"meta.k8s.io/v1","rv":N,"start":"key\u0000"}.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace knarr::apiserver {

struct ContinueToken {
  int64_t revision = 0;   // -1: the latest, for a list that has outlived its revision
  std::string start;      // relative to the list's key prefix; inclusive
};

std::string encode_continue(const ContinueToken& token);
// 400 for anything that encode_continue does not make, keys that leave the prefix included.
Result<ContinueToken> decode_continue(std::string_view text);

}  // namespace knarr::apiserver
