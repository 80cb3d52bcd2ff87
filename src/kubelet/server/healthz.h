// SPDX-License-Identifier: Apache-2.0
// The plain HTTP server of /healthz on loopback (port 10248) that init systems and kubeadm ask.
#pragma once

#include <memory>

#include "net/server.h"

namespace knarr::kubelet {

std::unique_ptr<net::Server> make_healthz_server(Executor executor);

}  // namespace knarr::kubelet
