// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "flannel/netlink.h"

namespace knarr::flannel {
namespace {

constexpr size_t kBuffer = 1 << 16;
constexpr int kTimeoutSeconds = 5;

// A request under construction: a header, a fixed part, attributes.
class Request {
 public:
  Request(uint16_t type, uint16_t flags) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    append(&header, sizeof header);
  }
  template <class T>
  void fixed(const T& part) {
    append(&part, sizeof part);
  }
  void attribute(uint16_t type, const void* data, size_t size) {
    rtattr header{};
    header.rta_type = type;
    header.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    append(&header, sizeof header);
    append(data, size);
  }
  template <class T>
  void number(uint16_t type, T value) {
    attribute(type, &value, sizeof value);
  }
  void address(uint16_t type, Ipv4 value) { number(type, htonl(value)); }
  void text(uint16_t type, const std::string& value) { attribute(type, value.c_str(), value.size() + 1); }
  void mac(uint16_t type, const MacAddress& value) { attribute(type, value.data(), value.size()); }
  // The attributes put until close() lie within this one.
  size_t open(uint16_t type) {
    size_t at = bytes_.size();
    attribute(type, nullptr, 0);
    return at;
  }
  void close(size_t at) {
    auto size = static_cast<uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &size, sizeof size);
  }
  const std::string& finish(uint32_t sequence) {
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_len = static_cast<uint32_t>(bytes_.size());
    header->nlmsg_seq = sequence;
    return bytes_;
  }

 private:
  void append(const void* data, size_t size) {
    if (size != 0) bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::string bytes_;
};

// The attributes of a message, by type. What is cut off ends the walk.
void for_each_attribute(const void* start, size_t size, const std::function<void(uint16_t type, std::string_view data)>& visit) {
  const auto* at = static_cast<const rtattr*>(start);
  auto left = static_cast<int>(size);
  for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
    visit(at->rta_type & NLA_TYPE_MASK, {static_cast<const char*>(RTA_DATA(at)), RTA_PAYLOAD(at)});
}
template <class T>
T number_of(std::string_view data) {
  T value{};
  std::memcpy(&value, data.data(), std::min(sizeof value, data.size()));
  return value;
}
Ipv4 address_of(std::string_view data) { return ntohl(number_of<uint32_t>(data)); }

class LinuxNetlink final : public Netlink {
 public:
  explicit LinuxNetlink(int fd) : fd_(fd) {}
  ~LinuxNetlink() override { ::close(fd_); }

  Result<std::vector<Link>> links() override {
    Request request(RTM_GETLINK, NLM_F_DUMP);
    request.fixed(ifinfomsg{});
    std::vector<Link> links;
    TRY(call(request, [&](const nlmsghdr* header) {
      const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
      Link link;
      link.index = info->ifi_index;
      for_each_attribute(IFLA_RTA(info), IFLA_PAYLOAD(header), [&](uint16_t type, std::string_view data) { read_link(type, data, &link); });
      links.push_back(std::move(link));
    }));
    return links;
  }

  Status add_vxlan(const std::string& name, int mtu, const MacAddress& mac, const VxlanSpec& spec) override {
    Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
    request.fixed(ifinfomsg{});
    request.text(IFLA_IFNAME, name);
    request.number<uint32_t>(IFLA_MTU, static_cast<uint32_t>(mtu));
    request.mac(IFLA_ADDRESS, mac);
    size_t info = request.open(IFLA_LINKINFO);
    request.attribute(IFLA_INFO_KIND, "vxlan", 5);
    size_t data = request.open(IFLA_INFO_DATA);
    request.number<uint32_t>(IFLA_VXLAN_ID, spec.vni);
    if (spec.outer_link > 0) request.number<uint32_t>(IFLA_VXLAN_LINK, static_cast<uint32_t>(spec.outer_link));
    if (spec.local != 0) request.address(IFLA_VXLAN_LOCAL, spec.local);
    request.number<uint8_t>(IFLA_VXLAN_LEARNING, spec.learning ? 1 : 0);
    if (spec.port != 0) request.number<uint16_t>(IFLA_VXLAN_PORT, htons(spec.port));
    if (spec.gbp) request.attribute(IFLA_VXLAN_GBP, nullptr, 0);
    request.close(data);
    request.close(info);
    return call(request, nullptr);
  }

  Status delete_link(int index) override {
    Request request(RTM_DELLINK, NLM_F_ACK);
    ifinfomsg info{};
    info.ifi_index = index;
    request.fixed(info);
    return call(request, nullptr);
  }

  Status set_up(int index) override {
    Request request(RTM_NEWLINK, NLM_F_ACK);
    ifinfomsg info{};
    info.ifi_index = index;
    info.ifi_flags = info.ifi_change = IFF_UP;
    request.fixed(info);
    return call(request, nullptr);
  }

  Result<std::vector<Address>> addresses() override {
    Request request(RTM_GETADDR, NLM_F_DUMP);
    ifaddrmsg query{};
    query.ifa_family = AF_INET;
    request.fixed(query);
    std::vector<Address> addresses;
    TRY(call(request, [&](const nlmsghdr* header) {
      const auto* info = static_cast<const ifaddrmsg*>(NLMSG_DATA(header));
      Address address;
      address.link = static_cast<int>(info->ifa_index);
      address.link_scope = info->ifa_scope != RT_SCOPE_UNIVERSE;
      address.cidr.prefix = info->ifa_prefixlen;
      for_each_attribute(IFA_RTA(info), IFA_PAYLOAD(header), [&](uint16_t type, std::string_view data) {
        if (type == IFA_LOCAL) address.cidr.address = address_of(data);
      });
      addresses.push_back(address);
    }));
    return addresses;
  }
  Status add_address(const Address& address) override { return change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address); }
  Status delete_address(const Address& address) override { return change_address(RTM_DELADDR, 0, address); }

  Result<std::vector<Route>> routes() override {
    Request request(RTM_GETROUTE, NLM_F_DUMP);
    rtmsg query{};
    query.rtm_family = AF_INET;
    request.fixed(query);
    std::vector<Route> routes;
    TRY(call(request, [&](const nlmsghdr* header) {
      if (static_cast<const rtmsg*>(NLMSG_DATA(header))->rtm_table == RT_TABLE_MAIN) routes.push_back(read_route(header));
    }));
    return routes;
  }
  Result<Route> route_to(Ipv4 address) override {
    Request request(RTM_GETROUTE, 0);
    rtmsg query{};
    query.rtm_family = AF_INET;
    query.rtm_dst_len = 32;
    request.fixed(query);
    request.address(RTA_DST, address);
    std::optional<Route> route;
    TRY(call(request, [&](const nlmsghdr* header) { route = read_route(header); }));
    if (!route) return Status::error("no route to " + ipv4_text(address));
    return *route;
  }
  Status replace_route(const Route& route) override { return change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route); }
  Status delete_route(const Route& route) override { return change_route(RTM_DELROUTE, 0, route); }

  Status set_neighbor(const Neighbor& neighbor) override { return change_neighbor(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbor); }
  Status delete_neighbor(const Neighbor& neighbor) override { return change_neighbor(RTM_DELNEIGH, 0, neighbor); }

 private:
  static void read_link(uint16_t type, std::string_view data, Link* link) {
    if (type == IFLA_IFNAME) link->name = std::string(data.substr(0, data.find('\0')));
    if (type == IFLA_MTU) link->mtu = static_cast<int>(number_of<uint32_t>(data));
    if (type == IFLA_ADDRESS && data.size() == link->mac.size()) std::memcpy(link->mac.data(), data.data(), data.size());
    if (type != IFLA_LINKINFO) return;
    std::string_view kind, details;
    for_each_attribute(data.data(), data.size(), [&](uint16_t inner, std::string_view value) {
      if (inner == IFLA_INFO_KIND) kind = value.substr(0, value.find('\0'));
      if (inner == IFLA_INFO_DATA) details = value;
    });
    if (kind != "vxlan") return;
    VxlanSpec& spec = link->vxlan.emplace();
    for_each_attribute(details.data(), details.size(), [&](uint16_t inner, std::string_view value) {
      if (inner == IFLA_VXLAN_ID) spec.vni = number_of<uint32_t>(value);
      if (inner == IFLA_VXLAN_LINK) spec.outer_link = static_cast<int>(number_of<uint32_t>(value));
      if (inner == IFLA_VXLAN_LOCAL) spec.local = address_of(value);
      if (inner == IFLA_VXLAN_PORT) spec.port = ntohs(number_of<uint16_t>(value));
      if (inner == IFLA_VXLAN_LEARNING) spec.learning = number_of<uint8_t>(value) != 0;
      if (inner == IFLA_VXLAN_GBP) spec.gbp = true;
    });
  }

  static Route read_route(const nlmsghdr* header) {
    const auto* info = static_cast<const rtmsg*>(NLMSG_DATA(header));
    Route route;
    route.destination.prefix = info->rtm_dst_len;
    route.onlink = (info->rtm_flags & RTNH_F_ONLINK) != 0;
    for_each_attribute(RTM_RTA(info), RTM_PAYLOAD(header), [&](uint16_t type, std::string_view data) {
      if (type == RTA_DST) route.destination.address = address_of(data);
      if (type == RTA_GATEWAY) route.gateway = address_of(data);
      if (type == RTA_OIF) route.link = static_cast<int>(number_of<uint32_t>(data));
    });
    return route;
  }

  Status change_address(uint16_t type, uint16_t flags, const Address& address) {
    Request request(type, static_cast<uint16_t>(flags | NLM_F_ACK));
    ifaddrmsg info{};
    info.ifa_family = AF_INET;
    info.ifa_prefixlen = static_cast<uint8_t>(address.cidr.prefix);
    info.ifa_index = static_cast<uint32_t>(address.link);
    request.fixed(info);
    request.address(IFA_LOCAL, address.cidr.address);
    request.address(IFA_ADDRESS, address.cidr.address);
    return call(request, nullptr);
  }

  Status change_route(uint16_t type, uint16_t flags, const Route& route) {
    Request request(type, static_cast<uint16_t>(flags | NLM_F_ACK));
    rtmsg info{};
    info.rtm_family = AF_INET;
    info.rtm_dst_len = static_cast<uint8_t>(route.destination.prefix);
    info.rtm_table = RT_TABLE_MAIN;
    if (type == RTM_NEWROUTE) {
      info.rtm_protocol = RTPROT_BOOT;
      info.rtm_scope = route.gateway == 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
      info.rtm_type = RTN_UNICAST;
    } else {
      info.rtm_scope = RT_SCOPE_NOWHERE;
    }
    if (route.onlink) info.rtm_flags = RTNH_F_ONLINK;
    request.fixed(info);
    request.address(RTA_DST, route.destination.address);
    if (route.gateway != 0) request.address(RTA_GATEWAY, route.gateway);
    if (route.link != 0) request.number<uint32_t>(RTA_OIF, static_cast<uint32_t>(route.link));
    return call(request, nullptr);
  }

  Status change_neighbor(uint16_t type, uint16_t flags, const Neighbor& neighbor) {
    Request request(type, static_cast<uint16_t>(flags | NLM_F_ACK));
    ndmsg info{};
    info.ndm_family = neighbor.forwarding ? AF_BRIDGE : AF_INET;
    info.ndm_ifindex = neighbor.link;
    info.ndm_state = NUD_PERMANENT;
    info.ndm_flags = neighbor.forwarding ? NTF_SELF : 0;
    info.ndm_type = neighbor.forwarding ? 0 : RTN_UNICAST;
    request.fixed(info);
    request.address(NDA_DST, neighbor.address);
    request.mac(NDA_LLADDR, neighbor.mac);
    return call(request, nullptr);
  }

  // Sends, then reads until the end of the dump, the acknowledgement, or the one answer. `each` gets the messages.
  Status call(Request& request, const std::function<void(const nlmsghdr*)>& each) {
    const std::string& bytes = request.finish(++sequence_);
    const auto flags = reinterpret_cast<const nlmsghdr*>(bytes.data())->nlmsg_flags;
    bool single = (flags & NLM_F_DUMP) != NLM_F_DUMP && (flags & NLM_F_ACK) == 0;
    if (::send(fd_, bytes.data(), bytes.size(), 0) < 0) return Status::from_errno("netlink send", errno);
    std::vector<char> buffer(kBuffer);
    for (;;) {
      ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return Status::from_errno("netlink receive", errno);
      auto left = static_cast<unsigned>(size);
      for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_seq != sequence_) continue;
        if (header->nlmsg_type == NLMSG_DONE) return {};
        if (header->nlmsg_type == NLMSG_ERROR) {
          int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
          return error == 0 ? Status() : Status::from_errno("netlink", error);
        }
        if (each) each(header);
        if (single) return {};
      }
    }
  }

  int fd_;
  uint32_t sequence_ = 0;
};

}  // namespace

Result<std::unique_ptr<Netlink>> make_netlink() {
  int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return Status::from_errno("netlink socket", errno);
  timeval timeout{kTimeoutSeconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  return std::unique_ptr<Netlink>(std::make_unique<LinuxNetlink>(fd));
}

}  // namespace knarr::flannel
