// SPDX-License-Identifier: Apache-2.0
// Whatever an etcd answers: no crash, no read past the end.
#include "kubeadm/etcd_admin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::kubeadm;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (uint32_t list : {2u, 3u}) {
    auto members = decode_members(bytes, list);
    if (members.ok()) (void)initial_cluster(*members, "n", "https://1:2380").size();
  }
  return 0;
}
