// SPDX-License-Identifier: Apache-2.0
// etcd's cluster service (etcdserverpb.Cluster), as a control plane that joins or leaves needs it: who the members are, one more, one less.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kubeadm/api.h"

namespace knarr::kubeadm {

struct EtcdMember {
  uint64_t id = 0;
  std::string name;                            // "" until the member has started
  std::vector<std::string> peer_urls, client_urls;
};

class EtcdAdmin {
 public:
  virtual ~EtcdAdmin() = default;
  virtual Result<std::vector<EtcdMember>> list() = 0;
  // The members with the new one among them.
  virtual Result<std::vector<EtcdMember>> add(const std::string& peer_url) = 0;
  virtual Status remove(uint64_t id) = 0;
};

// Speaks to the first of these client URLs that answers, with the health check's certificate under `certificates_dir`. Calls block.
Result<std::unique_ptr<EtcdAdmin>> connect_etcd(const std::vector<std::string>& client_urls, const std::string& certificates_dir);
// Client URLs of the cluster's etcd pods, as kubeadm noted them.
Result<std::vector<std::string>> etcd_endpoints(Host& host, Api& api);

// ---- messages
std::string encode_member_add(std::string_view peer_url);
std::string encode_member_remove(uint64_t id);
// `list_field`: the number of the list of members: 2 in MemberListResponse, 3 in MemberAddResponse.
Result<std::vector<EtcdMember>> decode_members(std::string_view message, uint32_t list_field);

// Name and peer URL of each member for --initial-cluster; the joining one by its URL gets `name`, one that has not started its id.
std::vector<std::pair<std::string, std::string>> initial_cluster(const std::vector<EtcdMember>& members, const std::string& name, const std::string& peer_url);

}  // namespace knarr::kubeadm
