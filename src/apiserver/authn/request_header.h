// SPDX-License-Identifier: Apache-2.0
// The authenticating proxy: it shows a certificate of a CA of its own and says in headers who asks (upstream: request/headerrequest).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/server.h"
#include "apiserver/user.h"
#include "base/status.h"
#include "net/http.h"

namespace knarr::apiserver::authn {

// The user that headers name, which are then removed; nullopt when they name none. Whoever calls has made sure of the proxy.
std::optional<User> take_header_user(const RequestHeaderOptions& options, net::Headers& headers);

class RequestHeaderAuthenticator {
 public:
  // Fails when the CA file cannot be read.
  static Result<std::unique_ptr<RequestHeaderAuthenticator>> make(const std::string& ca_file, RequestHeaderOptions options);
  ~RequestHeaderAuthenticator();
  // Nullopt when the peer shows no certificate, or it is a proxy that names nobody. 401 when the certificate is none of a proxy. Any thread.
  Result<std::optional<User>> authenticate(net::Request& request);

 private:
  struct Impl;
  explicit RequestHeaderAuthenticator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace knarr::apiserver::authn
