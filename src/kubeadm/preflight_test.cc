// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/preflight.h"

#include <gtest/gtest.h>

#include "kubeadm/fake_host.h"
#include "kubeadm/system_check.h"

namespace knarr::kubeadm {
namespace {

Findings look(Host& host, const Check& check) {
  Findings found;
  check.run(host, found);
  return found;
}
using Texts = std::vector<std::string>;

TEST(Preflight, ChecksSayWhatIsWrong) {
  FakeHost host;
  host.busy_ports = {6443};
  host.files["/etc/kubernetes/manifests/etcd.yaml"] = "";
  host.files["/var/lib/etcd/member/x"] = "";
  EXPECT_EQ(look(host, port_check(6443)).errors, Texts{"Port 6443 is in use"});
  EXPECT_TRUE(look(host, port_check(6444)).errors.empty());
  EXPECT_EQ(look(host, file_available_check("/etc/kubernetes/manifests/etcd.yaml")).errors, Texts{"/etc/kubernetes/manifests/etcd.yaml already exists"});
  EXPECT_EQ(look(host, dir_available_check("/var/lib/etcd")).errors, Texts{"/var/lib/etcd is not empty"});
  EXPECT_TRUE(look(host, dir_available_check("/var/lib/none")).errors.empty());
  EXPECT_EQ(look(host, in_path_check("ip", true)).errors, Texts{"ip not found in system path"});
  EXPECT_EQ(look(host, in_path_check("tc", false)).warnings, Texts{"tc not found in system path"});
  EXPECT_EQ(file_available_check("/etc/kubernetes/manifests/etcd.yaml").name, "FileAvailable--etc-kubernetes-manifests-etcd.yaml");
  EXPECT_EQ(dir_available_check("/var/lib/etcd").name, "DirAvailable--var-lib-etcd");
}

TEST(Preflight, KernelSwitches) {
  FakeHost host;
  const std::string path = "/proc/sys/net/ipv4/ip_forward";
  EXPECT_EQ(look(host, file_content_check(path, "1")).errors, Texts{path + " does not exist"});
  host.files[path] = "0\n";
  EXPECT_EQ(look(host, file_content_check(path, "1")).errors, Texts{path + " contents are not set to 1"});
  host.files[path] = "1\n";
  EXPECT_TRUE(look(host, file_content_check(path, "1")).errors.empty());
  EXPECT_EQ(file_content_check(path, "1").name, "FileContent--proc-sys-net-ipv4-ip_forward");
}

TEST(Preflight, HostNames) {
  FakeHost host;
  EXPECT_TRUE(look(host, hostname_check("node1")).warnings.empty());
  EXPECT_EQ(look(host, hostname_check("node2")).warnings,
            (Texts{"hostname \"node2\" could not be reached", "hostname \"node2\": lookup node2: no such host"}));
  host.known_names.insert("bad_");
  EXPECT_EQ(look(host, hostname_check("bad_")).warnings.size(), 1u);
}

TEST(Preflight, KubeletVersions) {
  FakeHost host;
  EXPECT_EQ(look(host, kubelet_version_check("v1.28.4")).errors, Texts{"couldn't get kubelet version: exec: \"kubelet\": executable file not found in $PATH"});
  host.programs = {"kubelet"};
  host.answers["kubelet --version"] = {0, "Kubernetes v1.29.0\n", ""};
  EXPECT_EQ(look(host, kubelet_version_check("v1.28.4")).errors.size(), 1u);
  EXPECT_TRUE(look(host, kubelet_version_check("")).errors.empty());
  host.answers["kubelet --version"] = {0, "Kubernetes v1.26.3\n", ""};
  EXPECT_EQ(look(host, kubelet_version_check("v1.28.4")).errors, Texts{"Kubelet version \"1.26.3\" is lower than kubeadm can support. Please upgrade kubelet"});
}

TEST(Preflight, Services) {
  FakeHost host;
  EXPECT_EQ(look(host, service_check("kubelet")).warnings, Texts{"no supported init system detected, skipping checking for services"});
  host.programs = {"systemctl"};
  host.answers["systemctl status kubelet"] = {3, "Loaded: loaded", ""};
  host.answers["systemctl is-enabled kubelet"] = {1, "disabled", ""};
  EXPECT_EQ(look(host, service_check("kubelet")).warnings, Texts{"kubelet service is not enabled, please run 'systemctl enable kubelet.service'"});
  host.answers["systemctl status firewalld"] = {0, "Loaded: loaded", ""};
  host.answers["systemctl is-active firewalld"] = {0, "active\n", ""};
  EXPECT_EQ(look(host, firewalld_check({6443, 10250})).warnings,
            Texts{"firewalld is active, please ensure ports [6443 10250] are open or your cluster may not function correctly"});
}

TEST(Preflight, RuntimeThatIsNotThere) {
  FakeHost host;
  host.answers["crictl -r unix:///s -i unix:///s info"] = {1, "", "E1125 remote_runtime.go:616\nlevel=fatal msg=\"validate service connection\"\n"};
  EXPECT_EQ(look(host, cri_check("unix:///s")).errors,
            Texts{"container runtime is not running: output: E1125 remote_runtime.go:616\nlevel=fatal msg=\"validate service connection\"\n, error: exit status 1"});
}

TEST(Preflight, SwapWarns) {
  FakeHost host;
  host.files["/proc/swaps"] = "Filename Type Size Used Priority\n";
  EXPECT_TRUE(look(host, swap_check()).warnings.empty());
  host.files["/proc/swaps"] += "/dev/sda2 partition 1 0 -2\n";
  EXPECT_EQ(look(host, swap_check()).warnings.size(), 1u);
}

TEST(Preflight, Proxies) {
  FakeHost host;
  host.variables["HTTPS_PROXY"] = "http://proxy:3128";
  EXPECT_EQ(look(host, http_proxy_check("192.0.2.1")).warnings,
            Texts{"Connection to \"https://192.0.2.1\" uses proxy \"http://proxy:3128\". If that is not intended, adjust your proxy settings"});
  host.variables["NO_PROXY"] = "192.0.2.0/24,.example";
  EXPECT_TRUE(look(host, http_proxy_check("192.0.2.1")).warnings.empty());
  EXPECT_TRUE(look(host, http_proxy_check("api.example")).warnings.empty());
  EXPECT_EQ(look(host, http_proxy_cidr_check("10.96.0.0/12")).warnings.size(), 1u);
}

TEST(Preflight, IgnoredErrorsBecomeWarnings) {
  FakeHost host;
  host.cpu_count = 1;
  host.megabytes = 1000;
  std::vector<Check> checks = {number_of_cpus_check(), memory_check()};
  Status failed = run_checks(host, checks, {});
  EXPECT_EQ(failed.message(),
            "[preflight] Some fatal errors occurred:\n\t[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2\n"
            "\t[ERROR Mem]: the system RAM (1000 MB) is less than the minimum 1700 MB\n"
            "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`");
  EXPECT_TRUE(run_checks(host, checks, {"numcpu", "mem"}).ok());
  EXPECT_NE(host.err.find("\t[WARNING NumCPU]: the number of available CPUs 1"), std::string::npos);
  EXPECT_TRUE(run_checks(host, checks, {"all"}).ok());
}

TEST(Preflight, ListsAreUpstreams) {
  FakeHost host;
  InitConfiguration config = static_init_configuration(host);
  Texts names;
  for (const Check& check : init_checks(host, config, false)) names.push_back(check.name);
  const Texts expected = {"NumCPU", "Mem", "KubernetesVersion", "Firewalld", "Port-6443", "Port-10259", "Port-10257",
                          "FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml", "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml",
                          "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml", "FileAvailable--etc-kubernetes-manifests-etcd.yaml", "HTTPProxy", "HTTPProxyCIDR",
                          "HTTPProxyCIDR", "Swap", "FileExisting-crictl", "FileExisting-conntrack", "FileExisting-ip", "FileExisting-iptables", "FileExisting-mount",
                          "FileExisting-nsenter", "FileExisting-ebtables", "FileExisting-ethtool", "FileExisting-socat", "FileExisting-tc", "FileExisting-touch",
                          "SystemVerification", "Hostname", "KubeletVersion", "Service-Kubelet", "Port-10250",
                          "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables", "FileContent--proc-sys-net-ipv4-ip_forward", "Port-2379", "Port-2380",
                          "DirAvailable--var-lib-etcd"};
  EXPECT_EQ(names, expected);
}

TEST(SystemCheck, KernelReleases) {
  for (const char* good : {"3.10.0-1160.el7.x86_64", "4.4.0", "6.1.0-18-amd64", "10.0.1"}) EXPECT_TRUE(kernel_release_is_supported(good)) << good;
  for (const char* bad : {"3.9.1", "2.6.32", "5.1", ""}) EXPECT_FALSE(kernel_release_is_supported(bad)) << bad;
}

TEST(SystemCheck, KernelConfiguration) {
  auto config = parse_kernel_config("# CONFIG_AUFS_FS is not set\nCONFIG_NAMESPACES=y\nCONFIG_EXT4_FS=m\nCONFIG_NR_CPUS=64\nCONFIG_IP_NF_TARGET_REDIRECT=m\n");
  EXPECT_EQ(config.size(), 3u);
  std::vector<ReportLine> report;
  Texts missing = check_kernel_config(config, report);
  EXPECT_FALSE(contains(missing, "CONFIG_NAMESPACES"));
  EXPECT_FALSE(contains(missing, "CONFIG_EXT4_FS"));
  EXPECT_FALSE(contains(missing, "CONFIG_IP_NF_TARGET_REDIRECT"));
  EXPECT_TRUE(contains(missing, "CONFIG_CGROUPS"));
  EXPECT_FALSE(contains(missing, "CONFIG_AUFS_FS"));  // optional
}

TEST(SystemCheck, Cgroups) {
  Texts enabled = parse_cgroups_v1("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t2\t1\ncpu\t2\t3\t1\nmemory\t3\t4\t0\n");
  EXPECT_EQ(enabled, (Texts{"cpuset", "cpu"}));
  std::vector<ReportLine> report;
  EXPECT_EQ(check_cgroups(enabled, false, report).missing_required, (Texts{"cpuacct", "devices", "freezer", "memory", "pids"}));
  CgroupFindings unified = check_cgroups({"cpuset", "cpu", "io", "memory", "pids"}, true, report);
  EXPECT_TRUE(unified.missing_required.empty());
  EXPECT_EQ(unified.missing_optional, Texts{"hugetlb"});
}

TEST(SystemCheck, ReadsTheHostsConfiguration) {
  FakeHost host;
  host.files["/boot/config-6.1.0-18-amd64"] = "CONFIG_NAMESPACES=y\n";
  host.files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory hugetlb pids\n";
  Findings found = look(host, system_verification_check());
  ASSERT_EQ(found.errors.size(), 1u);
  EXPECT_TRUE(found.errors[0].starts_with("unexpected kernel config: CONFIG_NET_NS CONFIG_PID_NS"));
  EXPECT_NE(host.out.find("[preflight] The system verification failed. Printing the output from the verification:\n\033[0;37mKERNEL_VERSION\033[0m: \033[0;32m6.1.0-18-amd64\033[0m\n"),
            std::string::npos);
}

}  // namespace
}  // namespace knarr::kubeadm
