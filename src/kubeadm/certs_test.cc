// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/certs.h"

#include <gtest/gtest.h>

#include "kubeadm/fake_host.h"
#include "pki/formats.h"

namespace knarr::kubeadm {
namespace {

constexpr char kDir[] = "/etc/kubernetes/pki";

Status make_all(FakeHost& host, const InitConfiguration& config) {
  for (const CertRecord& record : cert_records()) TRY(ensure_cert(host, record, config, kDir, kDir));
  return ensure_service_account_keys(host, config.cluster, kDir);
}

InitConfiguration sample(FakeHost& host) {
  InitConfiguration config = static_init_configuration(host);
  config.cluster.feature_gates["PublicKeysECDSA"] = true;  // RSA keys take their time
  return config;
}

TEST(Certs, WholeSetAsUpstreams) {
  FakeHost host;
  InitConfiguration config = sample(host);
  Status made = make_all(host, config);
  ASSERT_TRUE(made.ok()) << made.message();
  auto server = load_cert(host, kDir, "apiserver");
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(server->info.common_name, "kube-apiserver");
  EXPECT_EQ(server->info.dns_names, (std::vector<std::string>{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "node"}));
  EXPECT_EQ(server->info.ip_addresses, (std::vector<std::string>{"10.96.0.1", "1.2.3.4"}));
  EXPECT_TRUE(pki::allows_server_auth(server->pair.cert_pem));
  EXPECT_TRUE(pki::key_matches(server->pair.cert_pem, server->pair.key_pem));
  EXPECT_TRUE(server->pair.key_pem.starts_with("-----BEGIN EC PRIVATE KEY-----"));
  auto ca = load_cert(host, kDir, "ca");
  EXPECT_TRUE(pki::verify_signed_by(server->pair.cert_pem, ca->pair.cert_pem).ok());
  EXPECT_EQ(server->info.not_before, ca->info.not_before);
  EXPECT_EQ(server->info.not_after, host.time.now() + std::chrono::hours(24 * 365));
  EXPECT_EQ(ca->info.not_after, host.time.now() + std::chrono::hours(24 * 3650));
  auto etcd = load_cert(host, kDir, "etcd/server");
  EXPECT_EQ(etcd->info.common_name, "node");
  EXPECT_EQ(etcd->info.ip_addresses, (std::vector<std::string>{"1.2.3.4", "127.0.0.1", "::1"}));
  EXPECT_FALSE(pki::verify_signed_by(etcd->pair.cert_pem, ca->pair.cert_pem).ok());
  EXPECT_EQ(host.modes[std::string(kDir) + "/ca.key"], 0600u);
  EXPECT_NE(host.out.find("[certs] apiserver serving cert is signed for DNS names [kubernetes kubernetes.default kubernetes.default.svc "
                          "kubernetes.default.svc.cluster.local node] and IPs [10.96.0.1 1.2.3.4]\n"), std::string::npos);
}

TEST(Certs, WhatIsThereStays) {
  FakeHost host;
  InitConfiguration config = sample(host);
  ASSERT_TRUE(make_all(host, config).ok());
  auto before = host.files;
  host.out.clear();
  ASSERT_TRUE(make_all(host, config).ok());
  EXPECT_EQ(before, host.files);
  EXPECT_NE(host.out.find("[certs] Using existing ca certificate authority\n"), std::string::npos);
  EXPECT_NE(host.out.find("[certs] Using existing etcd/peer certificate and key on disk\n"), std::string::npos);
  EXPECT_NE(host.out.find("[certs] Using the existing \"sa\" key\n"), std::string::npos);
}

TEST(Certs, StrangersAreRefused) {
  FakeHost host, other;
  InitConfiguration config = sample(host);
  ASSERT_TRUE(make_all(host, config).ok());
  ASSERT_TRUE(make_all(other, config).ok());
  host.files[std::string(kDir) + "/apiserver.crt"] = other.files[std::string(kDir) + "/apiserver.crt"];
  EXPECT_EQ(ensure_cert(host, *find_cert("apiserver"), config, kDir, kDir).message(),
            "[certs] certificate apiserver not signed by CA certificate ca: x509: certificate signed by unknown authority");
}

TEST(Certs, AnAuthorityWithoutKeyIsExternal) {
  FakeHost host;
  InitConfiguration config = sample(host);
  ASSERT_TRUE(make_all(host, config).ok());
  EXPECT_FALSE(using_external_ca(host, kDir).external);
  host.files.erase(std::string(kDir) + "/ca.key");
  ExternalCa ca = using_external_ca(host, kDir);
  EXPECT_TRUE(ca.external);
  EXPECT_TRUE(ca.complete.ok()) << ca.complete.message();
  host.files.erase(std::string(kDir) + "/apiserver.key");
  EXPECT_FALSE(using_external_ca(host, kDir).complete.ok());
}

TEST(Certs, ExtraNames) {
  FakeHost host;
  InitConfiguration config = sample(host);
  config.cluster.control_plane_endpoint = "lb.example:6443";
  config.cluster.cert_sans = {"*.api.example", "198.51.100.7", "Bad_Name"};
  auto names = alternative_names(host, NamesFor::kApiServer, config);
  ASSERT_TRUE(names.ok());
  EXPECT_TRUE(contains(names->dns, "lb.example"));
  EXPECT_TRUE(contains(names->dns, "*.api.example"));
  EXPECT_TRUE(contains(names->ips, "198.51.100.7"));
  EXPECT_NE(host.err.find("'Bad_Name' was not added to the 'apiserver.crt' SAN"), std::string::npos);
}

}  // namespace
}  // namespace knarr::kubeadm
