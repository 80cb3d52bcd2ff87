// SPDX-License-Identifier: Apache-2.0
// Who a request to a component comes from and what that user may do there, asked of the API server (TokenReview, SubjectAccessReview) with
// answers kept for a while. Used by the servers of kubelet, controller manager and scheduler. One executor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "client/client.h"

namespace knarr::client {

struct UserInfo {
  std::string name, uid;
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::vector<std::string>>> extra;
};

struct DelegatedAuthOptions {
  bool anonymous = false;     // requests that show nothing are system:anonymous
  bool x509 = true;           // a client certificate that the server verified names the user
  bool token_review = true;
  std::vector<std::string> privileged_groups;  // may do everything, unasked
  Duration token_ttl = std::chrono::minutes(2);
  Duration authorized_ttl = std::chrono::minutes(5), unauthorized_ttl = std::chrono::seconds(30);
};

// What somebody wants: a resource, or a path when `resource` is "".
struct AccessQuestion {
  std::string verb, path;
  std::string group, version, resource, subresource, name;
};

class DelegatedAuth {
 public:
  // The client outlives it; null = nobody to ask: no token is known, and nobody but the privileged is allowed.
  DelegatedAuth(Client* client, const Clock& clock, DelegatedAuthOptions options);
  ~DelegatedAuth();
  // 401 when the request names nobody.
  Task<Result<UserInfo>> authenticate(const net::Request& request);
  // Fails when the API server did not answer.
  Task<Result<bool>> is_allowed(UserInfo user, AccessQuestion question);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// CN is the user, each O a group; empty when the DER names nobody.
std::optional<UserInfo> user_of_certificate(const std::string& der);

}  // namespace knarr::client
