// SPDX-License-Identifier: Apache-2.0
#include "flannel/net_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "schema/json.h"

namespace knarr::flannel {
namespace {

bool equal_fold(std::string_view a, std::string_view b) {
  auto fold = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return fold(x) == fold(y); });
}

// As Go's JSON finds a struct's field: by its name, else whatever the case.
const json::Value* field(const json::Value& object, std::string_view name) {
  if (const json::Value* exact = object.find(name)) return exact;
  if (!object.is_object()) return nullptr;
  for (const auto& [key, value] : object.members())
    if (equal_fold(key, name)) return &value;
  return nullptr;
}

bool flag(const json::Value& object, std::string_view name) {
  const json::Value* value = field(object, name);
  return value != nullptr && value->as_bool();
}

Result<int64_t> number(const json::Value& object, std::string_view name, int64_t usual, int64_t most) {
  const json::Value* value = field(object, name);
  if (value == nullptr || value->is_null()) return usual;
  if (!value->is_int() || value->as_int() < 0 || value->as_int() > most)
    return Status::error(fmt::format("error decoding backend config: {} is not a number between 0 and {}", name, most));
  return value->as_int();
}

}  // namespace

Result<NetConfig> parse_net_config(std::string_view text) {
  TRY_ASSIGN(json::Value root, json::parse(text));
  if (!root.is_object()) return Status::error("error parsing subnet config: not an object");
  NetConfig config;
  const json::Value* ipv4 = field(root, "EnableIPv4");
  if (flag(root, "EnableIPv6") || (ipv4 != nullptr && !ipv4->as_bool())) return Status::error("error parsing subnet config: IPv6 networks are not supported");
  if (const json::Value* network = field(root, "Network")) {
    auto cidr = parse_cidr(network->as_string());
    if (!cidr.ok()) return cidr.status().with_context("error parsing subnet config");
    config.network = cidr->network();
  }
  const json::Value* backend = field(root, "Backend");
  if (backend == nullptr) {
    config.backend_type = "udp";
    return config;
  }
  if (const json::Value* type = field(*backend, "Type")) config.backend_type = type->as_string();
  TRY_ASSIGN(int64_t vni, number(*backend, "VNI", 1, (1 << 24) - 1));
  TRY_ASSIGN(int64_t port, number(*backend, "Port", 0, 65535));
  TRY_ASSIGN(int64_t mtu, number(*backend, "MTU", 0, 65535));
  config.vni = static_cast<uint32_t>(vni);
  config.port = static_cast<uint16_t>(port);
  config.mtu = static_cast<int>(mtu);
  config.gbp = flag(*backend, "GBP");
  config.learning = flag(*backend, "Learning");
  config.direct_routing = flag(*backend, "DirectRouting");
  return config;
}

std::string write_subnet_env(const SubnetEnv& env) {
  std::string networks;
  for (const Cidr& network : env.networks) networks += (networks.empty() ? "" : ",") + network.text();
  Cidr first{env.subnet.address + 1, env.subnet.prefix};
  return fmt::format("FLANNEL_NETWORK={}\nFLANNEL_SUBNET={}\nFLANNEL_MTU={}\nFLANNEL_IPMASQ={}\n", networks, first.text(), env.mtu, env.ip_masq);
}

Result<SubnetEnv> parse_subnet_env(std::string_view text, const std::string& path) {
  SubnetEnv env;
  bool mtu = false, ip_masq = false, subnet = false;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
    if (key == "FLANNEL_NETWORK") {
      while (!value.empty()) {
        std::string_view one = value.substr(0, value.find(','));
        value.remove_prefix(std::min(value.size(), one.size() + 1));
        TRY_ASSIGN(Cidr network, parse_cidr(one));
        if (std::find(env.networks.begin(), env.networks.end(), network.network()) == env.networks.end()) env.networks.push_back(network.network());
      }
    } else if (key == "FLANNEL_SUBNET") {
      TRY_ASSIGN(Cidr cidr, parse_cidr(value));
      env.subnet = cidr.network();
      subnet = true;
    } else if (key == "FLANNEL_MTU") {
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), env.mtu);
      if (error != std::errc() || end != value.data() + value.size() || env.mtu < 0)
        return Status::error(fmt::format("strconv.ParseUint: parsing \"{}\": invalid syntax", value));
      mtu = true;
    } else if (key == "FLANNEL_IPMASQ") {
      env.ip_masq = value == "true";
      ip_masq = true;
    }
  }
  std::string missing;
  auto need = [&](bool there, std::string_view names) {
    if (!there) missing += (missing.empty() ? "" : ", ") + std::string(names);
  };
  need(!env.networks.empty(), "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK");
  need(subnet, "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET");
  need(mtu, "FLANNEL_MTU");
  need(ip_masq, "FLANNEL_IPMASQ");
  if (!missing.empty()) return Status::error(path + " is missing " + missing);
  return env;
}

}  // namespace knarr::flannel
