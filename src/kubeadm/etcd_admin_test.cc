// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/etcd_admin.h"

#include <gtest/gtest.h>

namespace knarr::kubeadm {
namespace {

std::string field(char tag, const std::string& bytes) { return std::string(1, tag) + static_cast<char>(bytes.size()) + bytes; }

TEST(EtcdAdmin, Messages) {
  EXPECT_EQ(encode_member_add("https://1:2380"), "\x0a\x0ehttps://1:2380");
  EXPECT_EQ(encode_member_remove(300), std::string("\x08\xac\x02"));
  std::string first = "\x08\x05" + field('\x12', "a") + field('\x1a', "https://1:2380") + field('\x22', "https://1:2379");
  std::string second = "\x08\xff\x01" + field('\x1a', "https://2:2380");
  // A header, the new member, then the list.
  std::string answer = field('\x0a', "\x08\x01") + field('\x12', second) + field('\x1a', first) + field('\x1a', second);
  auto members = decode_members(answer, 3);
  ASSERT_TRUE(members.ok());
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[0].name, "a");
  EXPECT_EQ((*members)[1].id, 255u);
  EXPECT_EQ(decode_members(answer, 2)->size(), 1u);
  EXPECT_FALSE(decode_members(answer.substr(0, answer.size() - 1), 3).ok());
}

TEST(EtcdAdmin, InitialCluster) {
  std::vector<EtcdMember> members = {{5, "a", {"https://1:2380"}, {}}, {255, "", {"https://2:2380"}, {}}, {256, "", {"https://3:2380"}, {}}};
  auto cluster = initial_cluster(members, "b", "https://2:2380");
  ASSERT_EQ(cluster.size(), 3u);
  EXPECT_EQ(cluster[0].first, "a");
  EXPECT_EQ(cluster[1].first, "b");
  EXPECT_EQ(cluster[2].first, "100");
}

}  // namespace
}  // namespace knarr::kubeadm
