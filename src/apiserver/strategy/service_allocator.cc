// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/service_allocator.h"

#include <arpa/inet.h>

#include "apiserver/errors.h"
#include "apiserver/server.h"

namespace knarr::apiserver {

namespace {

using Service = api::core_v1::Service;

constexpr uint32_t kMaxV6Range = 1 << 16;

// How many values at a range's lower end are given out last: a sixteenth (ports: a thirty-second)
// of it, within bounds.
uint32_t reserved_of(uint32_t size, uint32_t step, uint32_t most) {
  constexpr uint32_t kLeast = 16;
  if (size <= kLeast) return 0;
  return std::clamp(size / step, kLeast, most);
}

uint32_t range_size(const Cidr& cidr) {
  int bits = (cidr.address.v6 ? 128 : 32) - cidr.prefix;
  uint32_t all = cidr.address.v6 && bits >= 16 ? kMaxV6Range
                 : bits >= 31                  ? 0x7fffffffu
                                               : uint32_t{1} << bits;
  // Neither the network's own address nor, in IPv4, the broadcast address.
  uint32_t lost = cidr.address.v6 ? 1 : 2;
  return all > lost ? all - lost : 0;
}

uint32_t last_word(const IpAddress& address) {
  const uint8_t* p = address.bytes.data() + (address.v6 ? 12 : 0);
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
}
void set_last_word(IpAddress& address, uint32_t word) {
  uint8_t* p = address.bytes.data() + (address.v6 ? 12 : 0);
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(word >> (24 - 8 * i));
}

IpAddress network_of(const Cidr& cidr) {
  IpAddress out = cidr.address;
  for (int bit = cidr.prefix; bit < (out.v6 ? 128 : 32); ++bit)
    out.bytes[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  return out;
}

std::string text_of(const IpAddress& address) {
  char buffer[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

std::vector<int32_t> ports_of(const Service& service) {
  std::vector<int32_t> out;
  for (const auto& port : service.spec.ports)
    if (port.node_port != 0 && std::find(out.begin(), out.end(), port.node_port) == out.end())
      out.push_back(port.node_port);
  return out;
}
bool holds_port(const Service& service, int32_t port) {
  for (int32_t held : ports_of(service))
    if (held == port) return true;
  return service.spec.health_check_node_port == port;
}
bool has_value(const std::vector<int32_t>& list, int32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

Status invalid(const Service& service, const Path& path, std::string_view value,
               std::string_view why) {
  FieldErrors errors;
  errors.invalid(path, value, why);
  return invalid_status("", "Service", service.metadata.name, errors);
}

bool allocates_node_ports(const Service& service) {
  if (service.spec.type == "NodePort") return true;
  return service.spec.type == "LoadBalancer" &&
         service.spec.allocate_load_balancer_node_ports.value_or(true);
}

}  // namespace

bool needs_cluster_ip(const Service& service) { return !(service.spec.type == "ExternalName"); }
bool needs_node_port(const Service& service) {
  return service.spec.type == "NodePort" || service.spec.type == "LoadBalancer";
}
bool needs_health_port(const Service& service) {
  return service.spec.type == "LoadBalancer" && service.spec.external_traffic_policy == "Local";
}
bool is_headless(const Service& service) {
  return service.spec.cluster_ips.size() == 1 && service.spec.cluster_ips[0] == "None";
}

// ---- pools
// ----------------------------------------------------------------------------------------------------------------------

std::optional<uint32_t> NumberPool::search(uint32_t from, uint32_t to, std::mt19937& random) {
  if (from >= to) return std::nullopt;
  uint32_t count = to - from, start = std::uniform_int_distribution<uint32_t>(0, count - 1)(random);
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t number = from + (start + i) % count;
    if (used_.insert(number).second) return number;
  }
  return std::nullopt;
}
std::optional<uint32_t> NumberPool::take_any(std::mt19937& random) {
  if (used_.size() >= size_) return std::nullopt;
  auto found = search(reserved_, size_, random);
  return found ? found : search(0, reserved_, random);
}

std::string NumberPool::bitmap() const {
  uint32_t most = 0;
  for (uint32_t number : used_) most = std::max(most, number + 1);
  std::string bytes((most + 7) / 8, '\0');
  for (uint32_t number : used_) bytes[bytes.size() - 1 - number / 8] |= static_cast<char>(1 << number % 8);
  return bytes;
}
void NumberPool::set_bitmap(std::string_view bytes) {
  used_.clear();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (uint32_t bit = 0; bit < 8; ++bit)
      if ((bytes[bytes.size() - 1 - i] >> bit & 1) != 0) take(static_cast<uint32_t>(i) * 8 + bit);
}

IpRange::IpRange(const Cidr& cidr)
    : base_(network_of(cidr)),
      text_(text_of(base_) + "/" + std::to_string(cidr.prefix)),
      pool_(range_size(cidr), reserved_of(range_size(cidr), 16, 256)) {
  set_last_word(base_, last_word(base_) + 1);
}
std::optional<uint32_t> IpRange::offset(const IpAddress& address) const {
  if (address.v6 != base_.v6) return std::nullopt;
  if (address.v6 &&
      !std::equal(address.bytes.begin(), address.bytes.begin() + 12, base_.bytes.begin()))
    return std::nullopt;
  uint32_t word = last_word(address), first = last_word(base_);
  if (word < first || word - first >= pool_.size()) return std::nullopt;
  return word - first;
}
std::string IpRange::address(uint32_t offset) const {
  IpAddress out = base_;
  set_last_word(out, last_word(base_) + offset);
  return text_of(out);
}

// ---- allocator
// ------------------------------------------------------------------------------------------------------------------

ServiceAllocator::ServiceAllocator(std::string_view service_cidrs, std::string_view node_port_range)
    : ports_(0, 0), random_(std::random_device()()) {
  for (std::string_view text : split(service_cidrs, ','))
    if (auto cidr = parse_cidr(trim(text))) ranges_.emplace_back(*cidr);
  if (ranges_.empty()) ranges_.emplace_back(*parse_cidr("10.96.0.0/12"));
  size_t dash = node_port_range.find('-');
  auto number = [](std::string_view text) {
    return static_cast<int32_t>(std::strtol(std::string(text).c_str(), nullptr, 10));
  };
  if (dash != node_port_range.npos) {
    first_port_ = number(node_port_range.substr(0, dash));
    last_port_ = number(node_port_range.substr(dash + 1));
  }
  bool usable = first_port_ > 0 && last_port_ >= first_port_ && last_port_ <= 65535;
  if (!usable) {
    first_port_ = 30000;
    last_port_ = 32767;
  }
  auto size = static_cast<uint32_t>(last_port_ - first_port_ + 1);
  ports_ = NumberPool(size, reserved_of(size, 32, 128));
}

ServiceAllocator& ServiceAllocator::of(ApiServer& server) {
  std::call_once(server.service_allocator_once, [&server] {
    auto made = std::make_shared<ServiceAllocator>(server.options().service_cidr,
                                                   server.options().node_port_range);
    made->take_numbers_of(server);
    server.service_allocator = std::move(made);
  });
  return *server.service_allocator;
}

void ServiceAllocator::take_numbers_of(ApiServer& server) {
  server.for_each_cached("", "services", "", [this](const schema::Object& object) {
    const auto* service = object.as<Service>();
    if (service == nullptr) return;
    for (const Str& ip : service->spec.cluster_ips) {
      uint32_t offset = 0;
      if (IpRange* range = range_of(ip, offset)) range->pool().take(offset);
    }
    std::vector<int32_t> ignored;
    for (int32_t port : ports_of(*service)) port_problem(port, ignored);
    if (service->spec.health_check_node_port != 0)
      port_problem(service->spec.health_check_node_port, ignored);
  });
}

bool ServiceAllocator::has_family(std::string_view family) const {
  for (const IpRange& range : ranges_)
    if (range.family() == family) return true;
  return false;
}

IpRange* ServiceAllocator::range_of(std::string_view ip, uint32_t& offset) {
  auto address = parse_ip(ip);
  if (!address) return nullptr;
  for (IpRange& range : ranges_) {
    auto found = range.offset(*address);
    if (!found) continue;
    offset = *found;
    return &range;
  }
  return nullptr;
}

void ServiceAllocator::free_ip(std::string_view ip) {
  uint32_t offset = 0;
  if (IpRange* range = range_of(ip, offset)) range->pool().give_back(offset);
}
void ServiceAllocator::free_port(int32_t port) {
  if (port >= first_port_ && port <= last_port_)
    ports_.give_back(static_cast<uint32_t>(port - first_port_));
}
std::string ServiceAllocator::port_problem(int32_t port, std::vector<int32_t>& taken) {
  if (port < first_port_ || port > last_port_)
    return "provided port is not in the valid range. The range of valid ports is " +
           std::to_string(first_port_) + "-" + std::to_string(last_port_);
  if (!ports_.take(static_cast<uint32_t>(port - first_port_)))
    return "provided port is already allocated";
  taken.push_back(port);
  return {};
}
Result<int32_t> ServiceAllocator::any_port(std::vector<int32_t>& taken) {
  auto found = ports_.take_any(random_);
  if (!found) return internal_error("failed to allocate a nodePort: range is full");
  int32_t port = first_port_ + static_cast<int32_t>(*found);
  taken.push_back(port);
  return port;
}

// Frees what updates have given up, once the update is seen in the cache.
void ServiceAllocator::settle(ApiServer& server) {
  std::erase_if(pending_, [&](const Pending& pending) {
    auto service = server.cached<Service>(pending.ns, pending.name);
    if (service != nullptr &&
        (pending.ip.empty() ? holds_port(*service, pending.port)
                            : contains(service->spec.cluster_ips, pending.ip)))
      return false;
    if (pending.ip.empty()) {
      free_port(pending.port);
    } else {
      free_ip(pending.ip);
    }
    return true;
  });
}

Status ServiceAllocator::take_ip(Service& service, size_t index, std::vector<std::string>& taken) {
  std::string_view family = service.spec.ip_families[index];
  Str& ip = service.spec.cluster_ips[index];
  for (IpRange& range : ranges_) {
    if (range.family() != family) continue;
    if (ip.empty()) {
      auto found = range.pool().take_any(random_);
      if (!found) return internal_error("failed to allocate a serviceIP: range is full");
      ip = range.address(*found);
    } else {
      std::string why;
      auto address = parse_ip(ip);
      auto offset = address ? range.offset(*address) : std::nullopt;
      if (!offset) {
        why = "the provided IP (" + ip.str() +
              ") is not in the valid range. The range of valid IPs is " + range.text();
      } else if (!range.pool().take(*offset)) {
        why = "provided IP is already allocated";
      }
      if (!why.empty())
        return invalid(service, Path("spec") / "clusterIPs", go_list(service.spec.cluster_ips),
                       "failed to allocate IP " + ip.str() + ": " + why);
    }
    taken.push_back(ip.str());
    return {};
  }
  return internal_error("no range of this IP family");
}

Status ServiceAllocator::take_ips(Service& service, const Service* old,
                                  std::vector<std::string>& taken) {
  if (!needs_cluster_ip(service) || is_headless(service)) return {};
  size_t kept = 0;
  if (old != nullptr && needs_cluster_ip(*old)) {
    if (is_headless(*old)) return {};
    // The first address never changes; a second one may be added.
    kept = std::min(old->spec.ip_families.size(), service.spec.ip_families.size());
  }
  for (size_t i = kept; i < service.spec.ip_families.size(); ++i) {
    while (service.spec.cluster_ips.size() <= i) service.spec.cluster_ips.emplace_back();
    TRY(take_ip(service, i, taken));
    if (i == 0) service.spec.cluster_ip = service.spec.cluster_ips[0];
  }
  return {};
}

Status ServiceAllocator::take_ports(Service& service, const Service* old,
                                    std::vector<int32_t>& taken) {
  if (!needs_node_port(service)) return {};
  std::vector<int32_t> held = old == nullptr ? std::vector<int32_t>() : ports_of(*old);
  Path path = Path("spec") / "ports";
  std::map<int32_t, int32_t>
      by_port;  // on create, the same port of two protocols shares a node port
  for (size_t i = 0; i < service.spec.ports.size(); ++i) {
    auto& port = service.spec.ports[i];
    if (port.node_port == 0 && !allocates_node_ports(service)) continue;
    if (old == nullptr) {
      if (auto shared = by_port.find(port.port); shared != by_port.end()) {
        if (port.node_port == 0) port.node_port = shared->second;
        if (port.node_port == shared->second) continue;
      } else if (port.node_port == 0) {
        for (const auto& other : service.spec.ports)
          if (other.port == port.port && other.node_port != 0) {
            port.node_port = other.node_port;
            break;
          }
      }
    }
    if (port.node_port == 0) {
      TRY_ASSIGN(port.node_port, any_port(taken));
    } else if (!has_value(held, port.node_port) && !has_value(taken, port.node_port)) {
      std::string problem = port_problem(port.node_port, taken);
      if (!problem.empty())
        return invalid(service, path.index(i) / "nodePort", std::to_string(port.node_port),
                       problem);
    }
    by_port.emplace(port.port, port.node_port);
  }
  return {};
}

Status ServiceAllocator::take_health_port(Service& service, const Service* old,
                                          std::vector<int32_t>& taken) {
  if (!needs_health_port(service) || (old != nullptr && needs_health_port(*old))) return {};
  int32_t& port = service.spec.health_check_node_port;
  if (port != 0) {
    std::string problem = port_problem(port, taken);
    if (!problem.empty())
      return internal_error("failed to allocate requested HealthCheck NodePort " +
                            std::to_string(port) + ": " + problem);
    return {};
  }
  auto found = any_port(taken);
  if (!found.ok())
    return internal_error("failed to allocate a HealthCheck NodePort 0: range is full");
  port = *found;
  return {};
}

Status ServiceAllocator::allocate(ApiServer& server, Service& service, const Service* old) {
  std::lock_guard lock(mutex_);
  return allocate_locked(server, service, old);
}

Status ServiceAllocator::allocate_locked(ApiServer& server, Service& service, const Service* old) {
  settle(server);
  std::vector<std::string> ips;
  std::vector<int32_t> ports;
  Status status = take_ips(service, old, ips);
  if (status.ok()) status = take_ports(service, old, ports);
  if (status.ok()) status = take_health_port(service, old, ports);
  if (!status.ok()) {
    for (const std::string& ip : ips) free_ip(ip);
    for (int32_t port : ports) free_port(port);
    return status;
  }
  if (old == nullptr) return {};
  Pending pending{service.metadata.namespace_.str(), service.metadata.name.str(), {}, 0};
  for (const Str& ip : old->spec.cluster_ips) {
    if (ip == "None" || contains(service.spec.cluster_ips, ip)) continue;
    pending.ip = ip.str();
    pending_.push_back(pending);
  }
  pending.ip.clear();
  std::vector<int32_t> before = ports_of(*old);
  if (old->spec.health_check_node_port != 0) before.push_back(old->spec.health_check_node_port);
  for (int32_t port : before) {
    if (holds_port(service, port)) continue;
    pending.port = port;
    pending_.push_back(pending);
  }
  return {};
}

void ServiceAllocator::revert(const Service& service, const Service* old) {
  std::lock_guard lock(mutex_);
  revert_locked(service, old);
}

void ServiceAllocator::revert_locked(const Service& service, const Service* old) {
  for (const Str& ip : service.spec.cluster_ips)
    if (old == nullptr || !contains(old->spec.cluster_ips, ip)) free_ip(ip);
  std::vector<int32_t> ports = ports_of(service);
  if (service.spec.health_check_node_port != 0)
    ports.push_back(service.spec.health_check_node_port);
  for (int32_t port : ports)
    if (old == nullptr || !holds_port(*old, port)) free_port(port);
  if (old == nullptr) return;
  std::erase_if(pending_, [&](const Pending& pending) {
    return service.metadata.namespace_ == pending.ns && service.metadata.name == pending.name;
  });
}

void ServiceAllocator::release(const Service& service) { revert(service, nullptr); }

// ---- a state shared with other servers
// -------------------------------------------------------------------------------------------

std::vector<std::string> ServiceAllocator::range_names() const {
  std::vector<std::string> names = {"serviceips"};
  if (ranges_.size() > 1) names.push_back("secondaryserviceips");
  names.push_back("servicenodeports");
  return names;
}

std::vector<NumberPool*> ServiceAllocator::pools() {
  std::vector<NumberPool*> all;
  for (size_t i = 0; i + 1 < range_names().size(); ++i) all.push_back(&ranges_[i].pool());
  all.push_back(&ports_);
  return all;
}

ServiceAllocator::RangeStates ServiceAllocator::states() const {
  RangeStates out;
  std::vector<std::string> names = range_names();
  for (size_t i = 0; i + 1 < names.size(); ++i)
    out.push_back({names[i], ranges_[i].text(), ranges_[i].pool().bitmap()});
  out.push_back({names.back(), std::to_string(first_port_) + "-" + std::to_string(last_port_),
                 ports_.bitmap()});
  return out;
}

void ServiceAllocator::restore(ApiServer& server, const RangeStates& from) {
  RangeStates have = states();
  bool missing = false;
  for (size_t i = 0; i < have.size(); ++i) {
    bool same = i < from.size() && from[i].range == have[i].range;
    pools()[i]->set_bitmap(same ? std::string_view(from[i].bitmap) : std::string_view());
    missing = missing || !same;
  }
  // Adds to the known ranges nothing that they do not have: Services are written after their numbers.
  if (missing) take_numbers_of(server);
}

Result<ServiceAllocator::RangeStates> ServiceAllocator::allocate_from(ApiServer& server,
                                                                      const RangeStates& from,
                                                                      Service& service,
                                                                      const Service* old) {
  std::lock_guard lock(mutex_);
  restore(server, from);
  TRY(allocate_locked(server, service, old));
  return states();
}

ServiceAllocator::RangeStates ServiceAllocator::revert_from(ApiServer& server,
                                                            const RangeStates& from,
                                                            const Service& service,
                                                            const Service* old) {
  std::lock_guard lock(mutex_);
  restore(server, from);
  revert_locked(service, old);
  return states();
}

ServiceAllocator::RangeStates ServiceAllocator::repair(ApiServer& server, const RangeStates& from) {
  constexpr int kRepairsBeforeCleanup = 3;
  std::lock_guard lock(mutex_);
  std::vector<std::string> before;
  restore(server, from);
  for (NumberPool* pool : pools()) {
    before.push_back(pool->bitmap());
    pool->set_bitmap({});
  }
  take_numbers_of(server);
  leaks_.resize(before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    NumberPool& pool = *pools()[i];
    NumberPool stored(pool.size(), 0);
    stored.set_bitmap(before[i]);
    std::map<uint32_t, int> leaks;
    for (uint32_t number = 0; number < pool.size(); ++number) {
      if (!stored.has(number) || pool.has(number)) continue;
      auto known = leaks_[i].find(number);
      int left = known == leaks_[i].end() ? kRepairsBeforeCleanup - 1 : known->second;
      if (left == 0) continue;
      leaks[number] = left - 1;
      pool.take(number);
    }
    leaks_[i] = std::move(leaks);
  }
  return states();
}

}  // namespace knarr::apiserver
