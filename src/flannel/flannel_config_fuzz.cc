// SPDX-License-Identifier: Apache-2.0
// The files that flanneld and its CNI plugin read.
#include "flannel/cni_plugin.h"
#include "flannel/net_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::flannel;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_net_config(text).ok();
  auto env = parse_subnet_env(text, "subnet.env");
  if (env.ok()) KNARR_CHECK(parse_subnet_env(write_subnet_env(*env), "subnet.env").ok());
  SubnetEnv some;
  auto config = parse_plugin_config(text);
  if (config.ok()) (void)delegate_config(*config, some).ok();
  return 0;
}
