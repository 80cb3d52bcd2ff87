// SPDX-License-Identifier: Apache-2.0
// Configuration files as users write them: no crash; what is read once and written is read the same again.
#include "kubeadm/component_configs.h"
#include "kubeadm/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::kubeadm;
  auto documents = split_documents({reinterpret_cast<const char*>(data), size});
  if (!documents.ok()) return 0;
  for (const Document& document : *documents) {
    std::vector<std::string> problems;
    InitConfiguration init;
    decode(document.value, init, &problems);
    ClusterConfiguration cluster;
    decode(document.value, cluster, &problems);
    JoinConfiguration join;
    decode(document.value, join, &problems);
    (void)validate(cluster);
    (void)kubelet_config_from(&document.value);
    std::string once = to_yaml(encode(cluster));
    ClusterConfiguration again;
    decode(encode(cluster), again, nullptr);
    if (to_yaml(encode(again)) != once) __builtin_trap();
  }
  return 0;
}
