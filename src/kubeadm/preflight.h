// SPDX-License-Identifier: Apache-2.0
// What must be true of a host before a cluster is put on it. Each check has upstream's name, which --ignore-preflight-errors takes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kubeadm/config.h"
#include "kubeadm/host.h"

namespace knarr::kubeadm {

struct Findings {
  std::vector<std::string> warnings, errors;
};

struct Check {
  std::string name;
  std::function<void(Host&, Findings&)> run;
};

// Lists of checks, in upstream's order. `second_control_plane` leaves out what `join` has checked already.
std::vector<Check> init_checks(const Host& host, const InitConfiguration& config, bool second_control_plane);
std::vector<Check> join_checks(const Host& host, const JoinConfiguration& config);
Check root_check();
Check image_check(const InitConfiguration& config);

// Runs them, prints warnings on stderr, gathers errors in one failure. Checks named in `ignored` (lower case, or "all") only warn.
Status run_checks(Host& host, const std::vector<Check>& checks, const std::vector<std::string>& ignored);

// ---- single checks, for tests
Check port_check(int port);
Check file_available_check(const std::string& path);
Check dir_available_check(const std::string& path);
Check file_content_check(const std::string& path, const std::string& content);
Check in_path_check(const std::string& program, bool mandatory);
Check hostname_check(const std::string& node_name);
Check kubelet_version_check(const std::string& kubernetes_version);
Check service_check(const std::string& service);
Check firewalld_check(const std::vector<int>& ports);
Check swap_check();
Check cri_check(const std::string& socket);
Check kubernetes_version_check(const std::string& kubernetes_version);
Check http_proxy_check(const std::string& host);
Check http_proxy_cidr_check(const std::string& cidr);
Check number_of_cpus_check();
Check memory_check();
Check system_verification_check();           // kernel, operating system, cgroups (system_check.cc)

// Pulls an image unless it is there; `policy` as of a container.
Status pull_image(Host& host, const std::string& socket, const std::string& image, const std::string& policy);

}  // namespace knarr::kubeadm
