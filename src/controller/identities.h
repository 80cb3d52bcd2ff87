// SPDX-License-Identifier: Apache-2.0
// A client a service account of kube-system, for controllers that act under their own names (--use-service-account-credentials).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "client/client.h"

namespace knarr::controller {

// Tokens come from TokenRequests that `root` makes (for an hour, renewed after four fifths of it, or when one is refused); accounts that are
// missing are made. Calls go through `bare`, a transport without credentials. One executor; `root` outlives it.
class ServiceAccountClients {
 public:
  ServiceAccountClients(client::Client& root, std::shared_ptr<client::Transport> bare, Executor executor);
  ~ServiceAccountClients();
  client::Client& client_for(std::string_view account);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace knarr::controller
