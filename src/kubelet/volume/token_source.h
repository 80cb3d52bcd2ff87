// SPDX-License-Identifier: Apache-2.0
// Service account tokens bound to pods, from the TokenRequest API, kept until they are due for
// renewal: after 80 % of their life or 24 hours, less up to 10 s of jitter, as upstream. A renewal
// that fails leaves the old token in use while it is valid. One executor.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "client/client.h"

namespace knarr::kubelet {

struct TokenKey {
  std::string ns, service_account, audience;  // audience "" = the API server's
  int64_t expiration_seconds = 3600;
  std::string pod_name, pod_uid;
  friend auto operator<=>(const TokenKey&, const TokenKey&) = default;
};

class TokenSource {
 public:
  TokenSource(client::Client& client, const Clock& clock) : client_(client), clock_(clock) {}
  Task<Result<std::string>> token(TokenKey key);
  // When the first of the pod's tokens wants renewal; nothing when it has none.
  std::optional<WallTime> next_refresh(std::string_view pod_uid) const;
  void forget(std::string_view pod_uid);

 private:
  struct Token {
    std::string text;
    WallTime refresh_at, expires_at;
  };
  client::Client& client_;
  const Clock& clock_;
  std::map<TokenKey, Token> tokens_;
};

// `jitter` in 0..10 s is taken off.
WallTime token_refresh_time(WallTime expires_at, int64_t lifetime_seconds, Duration jitter);

}  // namespace knarr::kubelet
