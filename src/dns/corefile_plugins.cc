// SPDX-License-Identifier: Apache-2.0
// The plugins of a Corefile, one function each.
#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>

#include "dns/corefile.h"
#include "schema/time.h"

namespace knarr::dns {
namespace {

using Words = std::vector<std::string>;

Status wrong(const Directive& directive, std::string_view why) {
  return Status::error(fmt::format("plugin/{}: Corefile:{} - Error during parsing: {}", directive.words.front(), directive.line, why));
}

Result<uint32_t> number(const Directive& directive, std::string_view text, uint32_t most) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return wrong(directive, fmt::format("invalid number \"{}\"", text));
  return value;
}

Result<Duration> duration(const Directive& directive, const std::string& text) {
  // A bare number is seconds.
  bool bare = text.find_first_not_of("0123456789") == std::string::npos;
  auto nanos = schema::parse_duration(bare ? text + "s" : text);
  if (!nanos.ok() || *nanos < 0) return wrong(directive, fmt::format("invalid duration '{}'", text));
  return Duration(*nanos);
}

Result<Name> name_of(const Directive& directive, const std::string& text) {
  auto name = Name::from_text(text);
  if (!name.ok()) return wrong(directive, name.status().message());
  return name;
}

Status names_after(const Directive& directive, const Words& words, size_t first, std::vector<Name>* out) {
  for (size_t i = first; i < words.size(); ++i) {
    TRY_ASSIGN(Name name, name_of(directive, words[i]));
    out->push_back(std::move(name));
  }
  return {};
}

Status read_kubernetes_line(const Directive& directive, const Words& words, KubernetesConfig* config) {
  const std::string& name = words.front();
  auto needs = [&](size_t count) { return words.size() == count + 1 ? Status() : wrong(directive, fmt::format("wrong argument count after '{}'", name)); };
  ZoneOptions& zone = config->zone;
  if (name == "pods") {
    TRY(needs(1));
    if (words[1] == "disabled") {
      zone.pods = PodMode::kDisabled;
    } else if (words[1] == "insecure") {
      zone.pods = PodMode::kInsecure;
    } else {
      return wrong(directive, "wrong value for pods: " + words[1] + ",  must be one of: disabled, insecure");
    }
  } else if (name == "fallthrough") {
    if (words.size() == 1) zone.fallthrough = {Name()};
    TRY(names_after(directive, words, 1, &zone.fallthrough));
  } else if (name == "ttl") {
    TRY(needs(1));
    TRY_ASSIGN(zone.ttl, number(directive, words[1], 3600));
  } else if (name == "endpoint_pod_names") {
    zone.endpoint_pod_names = true;
  } else if (name == "ignore") {
    TRY(needs(1));
    if (words[1] != "empty_service") return wrong(directive, "unable to parse ignore value: '" + words[1] + "'");
    zone.ignore_empty_service = true;
  } else if (name == "namespaces") {
    if (words.size() == 1) return needs(1);
    zone.namespaces.insert(zone.namespaces.end(), words.begin() + 1, words.end());
  } else if (name == "kubeconfig") {
    if (words.size() < 2 || words.size() > 3) return needs(1);
    config->kubeconfig = words[1];
    if (words.size() == 3) config->context = words[2];
  } else if (name == "endpoint") {
    TRY(needs(1));
    config->endpoint = words[1];
  } else {
    return wrong(directive, "unknown property '" + name + "'");
  }
  return {};
}

Status read_kubernetes(const Directive& directive, ZoneConfig* zone) {
  if (zone->kubernetes) return wrong(directive, "only one kubernetes section allowed per server block");
  KubernetesConfig config;
  TRY(names_after(directive, directive.words, 1, &config.zone.zones));
  if (config.zone.zones.empty()) config.zone.zones.push_back(zone->zone);
  for (const Words& words : directive.block) TRY(read_kubernetes_line(directive, words, &config));
  zone->kubernetes = std::move(config);
  return {};
}

// "10.0.0.1", "10.0.0.1:54", "dns://10.0.0.1", "/etc/resolv.conf".
Result<std::string> forward_target(const Directive& directive, std::string text) {
  if (text.starts_with('/')) return text;
  if (text.starts_with("dns://")) text = text.substr(6);
  char bytes[sizeof(in6_addr)];
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) return "[" + text + "]:53";
  size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  bool v4 = inet_pton(AF_INET, host.c_str(), bytes) == 1, v6 = inet_pton(AF_INET6, host.c_str(), bytes) == 1;
  if (!v4 && !v6) return wrong(directive, fmt::format("not an IP address or file: \"{}\"", text));
  if (colon == std::string::npos) return text + ":53";
  TRY_ASSIGN(uint32_t port, number(directive, text.substr(colon + 1), 65535));
  return fmt::format("{}:{}", v6 ? "[" + host + "]" : host, port);
}

Status read_forward(const Directive& directive, ZoneConfig* zone) {
  if (directive.words.size() < 3) return wrong(directive, "Wrong argument count or unexpected line ending after 'forward'");
  if (zone->forward) return wrong(directive, "only one forward section a server block is supported");
  ForwardConfig config;
  TRY_ASSIGN(config.from, name_of(directive, directive.words[1]));
  for (size_t i = 2; i < directive.words.size(); ++i) {
    TRY_ASSIGN(std::string target, forward_target(directive, directive.words[i]));
    config.to.push_back(std::move(target));
  }
  for (const Words& words : directive.block) {
    if (words.front() == "max_concurrent" && words.size() == 2) {
      TRY_ASSIGN(config.max_concurrent, number(directive, words[1], 1 << 30));
    } else if (words.front() == "except" && words.size() > 1) {
      TRY(names_after(directive, words, 1, &config.except));
    } else if (words.front() == "policy" || words.front() == "expire" || words.front() == "max_fails" || words.front() == "health_check" ||
               words.front() == "prefer_udp") {
      // How a server is picked and watched is this server's own affair.
    } else {
      return wrong(directive, "unknown property '" + words.front() + "'");
    }
  }
  zone->forward = std::move(config);
  return {};
}

Status read_cache(const Directive& directive, ZoneConfig* zone) {
  CacheOptions options;
  size_t at = 1;
  if (directive.words.size() > 1 && directive.words[1].find_first_not_of("0123456789") == std::string::npos) {
    TRY_ASSIGN(uint32_t ttl, number(directive, directive.words[1], 1 << 30));
    if (ttl == 0) return wrong(directive, "cache TTL can not be zero or negative: 0");
    options.max_ttl_seconds = options.max_denial_ttl_seconds = ttl;
    ++at;
  }
  std::vector<Name> zones;
  TRY(names_after(directive, directive.words, at, &zones));
  for (const Words& words : directive.block) {
    bool success = words.front() == "success", denial = words.front() == "denial";
    if ((success || denial) && words.size() >= 2) {
      TRY_ASSIGN(uint32_t capacity, number(directive, words[1], 1 << 24));
      options.capacity = std::max<size_t>(capacity, 1);
      if (words.size() >= 3) {
        TRY_ASSIGN(uint32_t ttl, number(directive, words[2], 1 << 30));
        (success ? options.max_ttl_seconds : options.max_denial_ttl_seconds) = ttl;
      }
    } else if (words.front() != "prefetch" && words.front() != "serve_stale" && words.front() != "servfail" && words.front() != "disable") {
      return wrong(directive, "unknown property '" + words.front() + "'");
    }
  }
  zone->cache = options;
  return {};
}

Status read_address(const Directive& directive, std::string usual, std::string* out) {
  *out = directive.words.size() > 1 ? directive.words[1] : std::move(usual);
  if (directive.words.size() > 2 || out->rfind(':') == std::string::npos) return wrong(directive, "wrong address");
  return {};
}

Status read_health(const Directive& directive, CorefileConfig* config) {
  TRY(read_address(directive, ":8080", &config->health));
  for (const Words& words : directive.block) {
    if (words.front() != "lameduck" || words.size() != 2) return wrong(directive, "unknown property '" + words.front() + "'");
    TRY_ASSIGN(config->lameduck, duration(directive, words[1]));
  }
  return {};
}

Status read_directive(const Directive& directive, ZoneConfig* zone, CorefileConfig* config) {
  const std::string& name = directive.words.front();
  if (name == "kubernetes") return read_kubernetes(directive, zone);
  if (name == "forward") return read_forward(directive, zone);
  if (name == "cache") return read_cache(directive, zone);
  if (name == "health") return read_health(directive, config);
  if (name == "ready") return read_address(directive, ":8181", &config->ready);
  if (name == "prometheus") return read_address(directive, "localhost:9153", &config->prometheus);
  if (name == "bind") {
    zone->bind.insert(zone->bind.end(), directive.words.begin() + 1, directive.words.end());
  } else if (name == "loadbalance") {
    zone->loadbalance = true;
  } else if (name == "loop") {
    zone->loop = true;
  } else if (name == "reload") {
    config->reload = std::chrono::seconds(30);
    if (directive.words.size() > 1) {
      TRY_ASSIGN(config->reload, duration(directive, directive.words[1]));
    }
  } else if (name != "errors" && name != "debug" && name != "bufsize") {
    return Status::error(fmt::format("Corefile:{} - Error during parsing: Unknown directive '{}'", directive.line, name));
  }
  return {};
}

// ".:53", "dns://example.org:5353", "example.org", "10.0.0.0/24" is not known.
Result<ZoneConfig> read_key(std::string key) {
  ZoneConfig zone;
  if (key.starts_with("dns://")) key = key.substr(6);
  size_t colon = key.rfind(':');
  Directive where{{"server"}, {}, 1};
  if (colon != std::string::npos) {
    TRY_ASSIGN(uint32_t port, number(where, key.substr(colon + 1), 65535));
    zone.port = static_cast<uint16_t>(port);
    key.resize(colon);
  }
  if (key.find('/') != std::string::npos) return Status::error("the server key \"" + key + "\" is not supported");
  TRY_ASSIGN(zone.zone, name_of(where, key));
  return zone;
}

}  // namespace

Result<CorefileConfig> read_corefile(std::string_view text) {
  TRY_ASSIGN(std::vector<ServerBlock> blocks, parse_corefile(text));
  CorefileConfig config;
  for (const ServerBlock& block : blocks) {
    for (const std::string& key : block.keys) {
      TRY_ASSIGN(ZoneConfig zone, read_key(key));
      for (const Directive& directive : block.directives) TRY(read_directive(directive, &zone, &config));
      for (const ZoneConfig& other : config.zones)
        if (other.zone == zone.zone && other.port == zone.port)
          return Status::error(fmt::format("cannot serve dns://{}:{} - it is already defined", zone.zone.text(), zone.port));
      config.zones.push_back(std::move(zone));
    }
  }
  if (config.zones.empty()) return Status::error("the Corefile has no server");
  return config;
}

}  // namespace knarr::dns
