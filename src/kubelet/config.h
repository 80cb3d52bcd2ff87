// SPDX-License-Identifier: Apache-2.0
// What a kubelet is started with. Filled from a KubeletConfiguration or by the embedding program.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace knarr::trace {
class Ring;
}

namespace knarr::kubelet {

struct Config {
  std::string root_dir = "/var/lib/kubelet";
  std::string pod_logs_dir = "/var/log/pods";
  std::string container_logs_dir = "/var/log/containers";  // legacy symlinks; "" = none
  std::string node_name;
  std::string node_ip;
  std::string container_runtime_endpoint = "unix:///run/containerd/containerd.sock";

  bool cgroups_per_qos = true;
  std::string cgroup_root;                  // "" or "/" = the top; else a cgroup that exists, "/lab"
  std::string cgroup_driver = "cgroupfs";   // or "systemd"
  std::string cgroup_mount = "/sys/fs/cgroup";
  int64_t pod_pids_limit = -1;
  bool cpu_cfs_quota = true;
  std::map<std::string, std::string> system_reserved, kube_reserved, eviction_hard;  // resource -> quantity
  std::map<std::string, std::string> eviction_soft, eviction_soft_grace, eviction_min_reclaim;  // signal -> amount, duration, amount
  Duration eviction_transition_period = std::chrono::minutes(5);
  int64_t eviction_max_grace_seconds = 0;
  int image_gc_high_percent = 85, image_gc_low_percent = 80;
  Duration image_min_age = std::chrono::minutes(2);
  std::string sandbox_image = "registry.k8s.io/pause:3.9";  // never removed as unused

  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";

  std::string pod_manifest_path;            // static pods; "" = none
  Duration file_check_frequency = std::chrono::seconds(20);

  bool register_node = true;
  std::map<std::string, std::string> node_labels;
  std::vector<std::string> register_with_taints;  // key=value:Effect
  int32_t max_pods = 110;
  Duration node_status_update_frequency = std::chrono::seconds(10);  // how often changes are looked for
  Duration node_status_report_frequency = std::chrono::minutes(5);   // how often it is written unchanged
  int32_t node_lease_duration_seconds = 40;
  bool fail_swap_on = false;

  std::vector<std::string> allowed_unsafe_sysctls;
  bool seccomp_default = false;
  bool serialize_image_pulls = true;
  int64_t container_log_max_size = 10 << 20;
  int32_t container_log_max_files = 5;
  Duration minimum_gc_age = Duration::zero();
  int32_t max_dead_containers_per_container = 1;

  // The HTTPS server.
  bool serve = true;
  std::string address = "0.0.0.0";
  uint16_t port = 10250;
  std::string tls_cert_file, tls_key_file, client_ca_file;
  std::string cert_dir = "/var/lib/kubelet/pki";  // where certificates of its own are kept
  bool server_tls_bootstrap = false;  // the serving certificate is asked for as kubernetes.io/kubelet-serving; else self-signed when none is given
  bool rotate_certificates = false;   // the client certificate is renewed before it ends
  uint16_t read_only_port = 0;        // plain HTTP for everybody; 0 = none
  std::string healthz_address = "127.0.0.1";
  uint16_t healthz_port = 0;          // plain HTTP; 0 = none
  Duration token_ttl = std::chrono::minutes(2);  // answers of the API server that are kept
  Duration authorized_ttl = std::chrono::minutes(5), unauthorized_ttl = std::chrono::seconds(30);
  bool anonymous_auth = false;
  bool webhook_auth = true;
  bool always_allow = false;

  std::shared_ptr<trace::Ring> trace;  // where steps of pods are recorded; null: a ring of its own
};

}  // namespace knarr::kubelet
