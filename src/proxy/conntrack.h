// SPDX-License-Identifier: Apache-2.0
// Connections of UDP that the kernel would go on sending where they went before a change. TCP notices by itself; UDP never does.
#pragma once

#include <string>
#include <vector>

#include "proxy/command.h"
#include "proxy/tracker.h"

namespace knarr::proxy {

// Arguments of `conntrack`, one list a call: for cluster IPs that are gone, for services that got their first endpoint (connections to them ended
// in a black hole), and for endpoints that left. Pure.
std::vector<std::vector<std::string>> stale_connections(const std::vector<ServiceChange>& changes, Family family, std::string_view node_name);

// Failures are logged: rules are right without it, and the next packet after the entry's time-out, too.
Task<void> forget_connections(System& system, std::vector<std::vector<std::string>> calls);

}  // namespace knarr::proxy
