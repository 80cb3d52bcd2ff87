// SPDX-License-Identifier: Apache-2.0
// Which cluster IPs and node ports are in use. In memory, made from the cached Services at the first
// write of one; where other servers allocate too, each allocation starts from what they all keep in
// the store instead (shared_ranges.h).
//
// As upstream, what nobody chose comes from the upper part of a range first, at random, so that the
// lower part stays free for those who choose. An update frees a value only once the updated Service
// is stored; until then it waits as pending. Thread-safe.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "apiserver/strategy/validators.h"
#include "base/status.h"

namespace knarr::apiserver {

class ApiServer;

// Numbers from 0 to size, `reserved` of them given out last.
class NumberPool {
 public:
  NumberPool(uint32_t size, uint32_t reserved) : size_(size), reserved_(reserved) {}
  bool take(uint32_t number) { return number < size_ && used_.insert(number).second; }
  std::optional<uint32_t> take_any(std::mt19937& random);
  void give_back(uint32_t number) { used_.erase(number); }
  uint32_t size() const { return size_; }
  bool has(uint32_t number) const { return used_.contains(number); }
  // As upstream stores it: number n is bit n of a big-endian integer without leading zero bytes.
  std::string bitmap() const;
  void set_bitmap(std::string_view bytes);

 private:
  std::optional<uint32_t> search(uint32_t from, uint32_t to, std::mt19937& random);
  uint32_t size_, reserved_;
  absl::flat_hash_set<uint32_t> used_;
};

class IpRange {
 public:
  explicit IpRange(const Cidr& cidr);
  bool v6() const { return base_.v6; }
  std::string_view family() const { return base_.v6 ? "IPv6" : "IPv4"; }
  const std::string& text() const { return text_; }
  // Offset of an address, none when it is outside.
  std::optional<uint32_t> offset(const IpAddress& address) const;
  std::string address(uint32_t offset) const;
  NumberPool& pool() { return pool_; }
  const NumberPool& pool() const { return pool_; }

 private:
  IpAddress base_;  // the first address that may be given out
  std::string text_;
  NumberPool pool_;
};

class ServiceAllocator {
 public:
  ServiceAllocator(std::string_view service_cidrs, std::string_view node_port_range);
  static ServiceAllocator& of(ApiServer& server);

  // The families that this cluster has, the first is the default one.
  bool has_family(std::string_view family) const;
  std::string_view default_family() const { return ranges_.front().family(); }
  size_t families() const { return ranges_.size(); }

  // Gives `service` the addresses and ports that it needs and has not; old null on create. What was
  // given stays given until released.
  Status allocate(ApiServer& server, api::core_v1::Service& service,
                  const api::core_v1::Service* old);
  // The write did not happen: what allocate() gave comes back.
  void revert(const api::core_v1::Service& service, const api::core_v1::Service* old);
  void release(const api::core_v1::Service& service);

  // The state of one range as it lies in the store.
  struct RangeState {
    std::string name;    // "serviceips", "secondaryserviceips" or "servicenodeports"
    std::string range;   // "10.96.0.0/12", "30000-32767"; "" = not there yet
    std::string bitmap;
    friend bool operator==(const RangeState&, const RangeState&) = default;
  };
  using RangeStates = std::vector<RangeState>;
  // The ranges' names, in the order of RangeStates.
  std::vector<std::string> range_names() const;
  // The same as above, on top of `from` and giving what it becomes. A range that is not there yet, or
  // was another one, starts from the cached Services.
  Result<RangeStates> allocate_from(ApiServer& server, const RangeStates& from,
                                    api::core_v1::Service& service,
                                    const api::core_v1::Service* old);
  RangeStates revert_from(ApiServer& server, const RangeStates& from,
                          const api::core_v1::Service& service, const api::core_v1::Service* old);
  // What the cached Services use, and for a while what seems to be leaked: a number that no Service
  // has is kept for two more repairs, as it may belong to one that is being written.
  RangeStates repair(ApiServer& server, const RangeStates& from);

 private:
  struct Pending {
    std::string ns, name, ip;  // ip empty: the port
    int32_t port = 0;
  };
  void restore(ApiServer& server, const RangeStates& from);
  RangeStates states() const;
  void take_numbers_of(ApiServer& server);
  Status allocate_locked(ApiServer& server, api::core_v1::Service& service,
                         const api::core_v1::Service* old);
  void revert_locked(const api::core_v1::Service& service, const api::core_v1::Service* old);
  std::vector<NumberPool*> pools();
  IpRange* range_of(std::string_view ip, uint32_t& offset);
  Status take_ip(api::core_v1::Service& service, size_t index, std::vector<std::string>& taken);
  Status take_ips(api::core_v1::Service& service, const api::core_v1::Service* old,
                  std::vector<std::string>& taken);
  Status take_ports(api::core_v1::Service& service, const api::core_v1::Service* old,
                    std::vector<int32_t>& taken);
  Status take_health_port(api::core_v1::Service& service, const api::core_v1::Service* old,
                          std::vector<int32_t>& taken);
  std::string port_problem(int32_t port, std::vector<int32_t>& taken);  // "" when taken
  Result<int32_t> any_port(std::vector<int32_t>& taken);
  void free_ip(std::string_view ip);
  void free_port(int32_t port);
  void settle(ApiServer& server);

  std::mutex mutex_;  // guards everything below
  std::vector<IpRange> ranges_;
  int32_t first_port_ = 0, last_port_ = 0;
  NumberPool ports_;
  std::vector<Pending> pending_;
  std::vector<std::map<uint32_t, int>> leaks_;  // by range: how many repairs a number has left
  std::mt19937 random_;
};

// Facts of a Service that several places need.
bool needs_cluster_ip(const api::core_v1::Service& service);
bool needs_node_port(const api::core_v1::Service& service);
bool needs_health_port(const api::core_v1::Service& service);
bool is_headless(const api::core_v1::Service& service);

}  // namespace knarr::apiserver
