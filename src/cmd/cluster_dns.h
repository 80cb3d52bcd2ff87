// SPDX-License-Identifier: Apache-2.0
// The DNS server of `knarr up`: in this process, behind the Service kube-system/kube-dns.
#pragma once

#include <memory>
#include <string>

#include "client/informer.h"
#include "dns/service.h"

namespace knarr::cmd {

struct ClusterDnsOptions {
  std::string service_ip;  // of kube-dns, as every kubelet knows it
  std::string node_ip;     // where the server listens, on a port that is free
  std::string domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";
};

// One executor. The client and the factory outlive it.
class ClusterDns {
 public:
  // Before the factory is started: the server's indexes come first.
  ClusterDns(client::Client& client, client::InformerFactory& informers, const Clock& clock, Executor executor, ClusterDnsOptions options);
  // Listens, and makes the Service with its endpoints. A Service of that name with a selector is somebody's own server and stays as it is.
  Task<Status> start();
  Task<void> stop();

 private:
  Status listen();
  Task<Status> put_service();
  Task<Status> put_endpoints();
  Task<Status> put_slice();

  client::Client& client_;
  ClusterDnsOptions options_;
  std::unique_ptr<dns::ServiceSource> source_;
  dns::DnsService service_;
  bool foreign_ = false;
};

}  // namespace knarr::cmd
