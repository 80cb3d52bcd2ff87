// SPDX-License-Identifier: Apache-2.0
#include "flannel/lease.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "schema/json.h"
#include "schema/time.h"

namespace knarr::flannel {

using api::core_v1::Node;

std::string mac_text(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

Result<MacAddress> parse_mac(std::string_view text) {
  MacAddress mac{};
  unsigned bytes[6];
  int end = 0;
  std::string copy(text);
  if (std::sscanf(copy.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5], &end) != 6 ||
      static_cast<size_t>(end) != text.size())
    return Status::error("address " + copy + ": invalid MAC address");
  std::copy(std::begin(bytes), std::end(bytes), mac.begin());
  return mac;
}

Result<AnnotationNames> annotation_names(std::string prefix) {
  auto slashes = std::count(prefix.begin(), prefix.end(), '/');
  if (slashes > 1) return Status::error("subnet/kube: prefix can contain at most single slash");
  if (slashes == 0) prefix += '/';
  if (!prefix.ends_with('/') && !prefix.ends_with('-')) prefix += '-';
  size_t slash = prefix.find('/');
  std::string_view domain = std::string_view(prefix).substr(0, slash), rest = std::string_view(prefix).substr(slash + 1);
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  bool good = domain.find_first_not_of(std::string(kWord) + ".") == std::string_view::npos && rest.find_first_not_of(kWord) == std::string_view::npos &&
              domain.find('.') != std::string_view::npos && !domain.starts_with('.') && !domain.ends_with('.') &&
              domain.find("..") == std::string_view::npos;
  if (!good) return Status::error("subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*");
  return AnnotationNames{prefix + "kube-subnet-manager", prefix + "backend-data", prefix + "backend-type", prefix + "public-ip",
                         prefix + "public-ip-overwrite"};
}

std::string vxlan_backend_data(uint32_t vni, const MacAddress& mac) { return fmt::format("{{\"VNI\":{},\"VtepMAC\":\"{}\"}}", vni, mac_text(mac)); }

namespace {

// The IPv4 one of a node's shares.
Result<Cidr> pod_cidr(const Node& node) {
  std::vector<std::string_view> texts;
  for (const auto& text : node.spec.pod_cidrs) texts.push_back(text);
  if (texts.empty()) texts.push_back(node.spec.pod_cidr);
  if (texts.size() > 2) return Status::error(fmt::format("node \"{}\" pod cidrs should be IPv4/IPv6 only or dualstack", node.metadata.name.view()));
  for (std::string_view text : texts) {
    if (text.find(':') != std::string_view::npos) continue;
    TRY_ASSIGN(Cidr cidr, parse_cidr(text));
    return cidr.network();
  }
  return Status::error("missing IPv4 address on n.Spec.PodCIDRs");
}

std::string_view annotation(const Node& node, const std::string& name) { return schema::get_or_empty(node.metadata.annotations, name); }

}  // namespace

Result<std::optional<Peer>> peer_of(const Node& node, const AnnotationNames& names) {
  if (annotation(node, names.managed) != "true") return std::optional<Peer>();
  Peer peer;
  peer.node = node.metadata.name.str();
  TRY_ASSIGN(peer.public_ip, parse_ipv4(annotation(node, names.public_ip)));
  TRY_ASSIGN(peer.subnet, pod_cidr(node));
  peer.backend_type = annotation(node, names.backend_type);
  if (peer.backend_type != "vxlan") return std::optional<Peer>(std::move(peer));
  TRY_ASSIGN(json::Value data, json::parse(annotation(node, names.backend_data)));
  TRY_ASSIGN(peer.mac, parse_mac(data.at({"VtepMAC"}).as_string()));
  return std::optional<Peer>(std::move(peer));
}

Result<Cidr> subnet_of(const Node& node, const Cidr& network) {
  if (node.spec.pod_cidr.empty()) return Status::error(fmt::format("node \"{}\" pod cidr not assigned", node.metadata.name.view()));
  TRY_ASSIGN(Cidr subnet, pod_cidr(node));
  if (network.empty() || !network.contains(subnet))
    return Status::error(fmt::format("subnet \"{}\" specified in the flannel net config doesn't contain \"{}\" PodCIDR of the \"{}\" node", network.text(),
                                     subnet.text(), node.metadata.name.view()));
  return subnet;
}

std::string announcement_patch(const Node& node, const Announcement& announcement, const AnnotationNames& names) {
  std::string overwrite(annotation(node, names.public_ip_overwrite));
  std::string public_ip = overwrite.empty() ? ipv4_text(announcement.public_ip) : overwrite;
  const std::pair<const std::string&, std::string> wanted[] = {{names.backend_data, announcement.backend_data},
                                                              {names.backend_type, announcement.backend_type},
                                                              {names.managed, "true"},
                                                              {names.public_ip, public_ip}};
  json::Value patch;
  bool any = false;
  for (const auto& [name, value] : wanted) {
    if (annotation(node, name) == value) continue;
    patch["metadata"]["annotations"][name] = value;
    any = true;
  }
  return any ? json::to_string(patch) : std::string();
}

std::string network_up_patch(WallTime now) {
  std::string time = schema::format_time(schema::to_time(now));
  json::Value condition;
  condition["type"] = "NetworkUnavailable";
  condition["status"] = "False";
  condition["reason"] = "FlannelIsUp";
  condition["message"] = "Flannel is running on this node";
  condition["lastTransitionTime"] = time;
  condition["lastHeartbeatTime"] = time;
  json::Value patch;
  patch["status"]["conditions"].push_back(std::move(condition));
  return json::to_string(patch);
}

}  // namespace knarr::flannel
