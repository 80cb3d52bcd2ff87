// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "client/kubeconfig.h"
#include "kubelet/certificate/bootstrap.h"
#include "kubelet/certificate/rotation.h"
#include "kubelet/certificate/store.h"

namespace knarr::kubelet {
namespace {

using namespace std::chrono_literals;

const WallTime kNow(1800000000s);

TEST(Rotation, DeadlineIsLateButNotTooLate) {
  WallTime end = kNow + 1000s;
  EXPECT_NEAR(std::chrono::duration<double>(rotation_deadline(kNow, end, 0) - kNow).count(), 700, 0.001);
  EXPECT_NEAR(std::chrono::duration<double>(rotation_deadline(kNow, end, 0.5) - kNow).count(), 800, 0.001);
  EXPECT_LT(rotation_deadline(kNow, end, 0.9999), kNow + 900s);
}

TEST(Rotation, MoreNamesThanWantedAreFine) {
  pki::CertificateInfo certificate;
  certificate.common_name = "system:node:n1";
  certificate.organizations = {"system:nodes", "other"};
  certificate.dns_names = {"n1", "n2"};
  certificate.ip_addresses = {"10.0.0.1"};
  pki::RequestedNames names = node_names("n1");
  EXPECT_TRUE(says(certificate, names));
  names.dns_names = {"n2"};
  EXPECT_TRUE(says(certificate, names));
  names.ip_addresses = {"10.0.0.2"};
  EXPECT_FALSE(says(certificate, names));
  EXPECT_FALSE(says(certificate, node_names("n2")));
}

class CertificateStoreTest : public testing::Test {
 protected:
  CertificateStoreTest() {
    char path[] = "/tmp/knarr-store.XXXXXX";
    dir = ::mkdtemp(path);
  }
  ~CertificateStoreTest() override { std::filesystem::remove_all(dir); }
  pki::KeyPair make(const std::string& name, Duration lifetime = 24h) {
    pki::CertificateSpec spec;
    spec.common_name = name;
    spec.lifetime = lifetime;
    auto pair = pki::issue(spec, nullptr, pki::KeyType::kEcdsaP256, clock);
    EXPECT_TRUE(pair.ok());
    return *pair;
  }
  std::string current_name(const CertificateStore& store) {
    auto pair = store.current();
    if (!pair) return "";
    auto info = pki::inspect(pair->cert_pem);
    return info.ok() ? info->common_name : "?";
  }
  std::string dir;
  FakeClock clock{kNow};
};

TEST_F(CertificateStoreTest, KeepsPairsByDateAndLinksTheNewest) {
  CertificateStore store("kubelet-client", dir + "/pki", clock);
  EXPECT_FALSE(store.current().has_value());
  ASSERT_TRUE(store.update(make("first")).ok());
  EXPECT_EQ(current_name(store), "first");
  clock.advance(1h);
  ASSERT_TRUE(store.update(make("second")).ok());
  EXPECT_EQ(current_name(store), "second");
  std::string target = std::filesystem::read_symlink(store.current_path()).string();
  EXPECT_TRUE(target.starts_with(dir + "/pki/kubelet-client-20")) << target;
  EXPECT_EQ(target.size(), (dir + "/pki/kubelet-client-2027-01-15-08-00-00.pem").size());
  auto files = list_dir(dir + "/pki");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 3u);
  EXPECT_EQ(std::filesystem::status(target).permissions(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(CertificateStoreTest, FinishesAnInterruptedUpdate) {
  {
    CertificateStore store("kubelet-client", dir, clock);
    ASSERT_TRUE(store.update(make("first")).ok());
    std::filesystem::rename(store.current_path(), dir + "/kubelet-client-updated.pem");
  }
  CertificateStore store("kubelet-client", dir, clock);
  EXPECT_EQ(current_name(store), "first");
}

TEST_F(CertificateStoreTest, IgnoresWhatIsNoPair) {
  CertificateStore store("kubelet-client", dir, clock);
  ASSERT_TRUE(write_file(store.current_path(), make("x").cert_pem, 0600).ok());
  EXPECT_FALSE(store.current().has_value());
}

TEST_F(CertificateStoreTest, KubeconfigIsValidWhileItsCertificateIs) {
  std::string file = dir + "/kubelet.conf";
  EXPECT_FALSE(is_kubeconfig_valid(file, kNow));
  CertificateStore store("kubelet-client", dir, clock);
  ASSERT_TRUE(store.update(make("n1", 1h)).ok());
  client::ClusterAccess access;
  access.server = "https://127.0.0.1:6443";
  access.client_cert_file = access.client_key_file = store.current_path();
  ASSERT_TRUE(write_file(file, client::write_kubeconfig(access, "default-cluster", "default-auth", "default-context"), 0600).ok());
  EXPECT_TRUE(is_kubeconfig_valid(file, kNow + 59min));
  EXPECT_FALSE(is_kubeconfig_valid(file, kNow + 61min));
  ASSERT_TRUE(write_file(file, "not: [yaml", 0600).ok());
  EXPECT_FALSE(is_kubeconfig_valid(file, kNow));
}

TEST(PemBlocks, PicksByKind) {
  std::string text = "text\n-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nB\n-----END EC PRIVATE KEY-----\n"
                     "-----BEGIN CERTIFICATE-----\nC\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(pem_blocks(text, "PRIVATE KEY"), "-----BEGIN EC PRIVATE KEY-----\nB\n-----END EC PRIVATE KEY-----\n");
  EXPECT_EQ(pem_blocks(text, "CERTIFICATE"),
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nC\n-----END CERTIFICATE-----\n");
  EXPECT_EQ(pem_blocks("-----BEGIN CERTIFICATE-----\nA", "CERTIFICATE"), "");
  EXPECT_EQ(pem_blocks("-----BEGIN ", "CERTIFICATE"), "");
}

}  // namespace
}  // namespace knarr::kubelet
