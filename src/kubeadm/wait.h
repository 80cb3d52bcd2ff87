// SPDX-License-Identifier: Apache-2.0
// Waiting for what the kubelet starts.
#pragma once

#include <functional>
#include <memory>

#include "kubeadm/api.h"
#include "kubeadm/config.h"

namespace knarr::kubeadm {

// Asks `ready` again and again until it says yes. A kubelet whose /healthz does not answer is told of after 40 seconds and ends the waiting after
// its fifth failure, as upstream's does.
Status wait_beside_kubelet(Host& host, Duration limit, const std::function<bool()>& ready);
// "[apiclient]": the API server's /healthz.
Status wait_for_api_server(Host& host, Api& api, Duration limit);

// ---- dry runs
// An API that prints what would be done, and answers what the phases must read.
std::unique_ptr<Api> make_dry_run_api(Host& host, const InitConfiguration& config);
// The files that a dry run made, as they would be written.
Status print_dry_run_files(Host& host, const std::string& dir);

}  // namespace knarr::kubeadm
