// SPDX-License-Identifier: Apache-2.0
// CoreDNS' configuration file: its grammar (Caddy's), and the plugins of it that this server has.
//
// errors, debug and bufsize are taken and need nothing; what is not known is refused with upstream's words, as a file that is half understood would
// answer wrongly. Values; no threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "dns/cache.h"
#include "dns/cluster_zone.h"

namespace knarr::dns {

struct Directive {
  std::vector<std::string> words;               // its name first
  std::vector<std::vector<std::string>> block;  // the lines between its braces
  int line = 0;
};

struct ServerBlock {
  std::vector<std::string> keys;  // ".:53", "example.org"
  std::vector<Directive> directives;
};

// Syntax only. At most 1 MiB; {$NAME} is the environment's.
Result<std::vector<ServerBlock>> parse_corefile(std::string_view text);

struct ForwardConfig {
  Name from;
  std::vector<Name> except;
  std::vector<std::string> to;  // "10.0.0.1:53" and files in resolv.conf's form
  size_t max_concurrent = 0;
};

struct KubernetesConfig {
  ZoneOptions zone;
  std::string kubeconfig, context;  // "" = the files of a pod
  std::string endpoint;             // an API server without authentication, or with the pod's
};

// What a server does for the names within a zone.
struct ZoneConfig {
  Name zone;
  uint16_t port = 53;
  std::vector<std::string> bind;  // addresses; empty = every one
  std::optional<KubernetesConfig> kubernetes;
  std::optional<ForwardConfig> forward;
  std::optional<CacheOptions> cache;
  bool loadbalance = false, loop = false;
};

struct CorefileConfig {
  std::vector<ZoneConfig> zones;
  std::string health, ready, prometheus;  // "[host]:port" to listen on; "" = not wanted
  Duration lameduck{};                    // goes on answering for so long after the signal to end
  Duration reload{};                      // looks at the file so often; 0 = never
};

Result<CorefileConfig> read_corefile(std::string_view text);

}  // namespace knarr::dns
