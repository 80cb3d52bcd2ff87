// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/node_files.h"

#include "kubeadm/manifests.h"
#include "kubeadm/patches.h"

namespace knarr::kubeadm {

std::string kubelet_flags(const Host& host, const NodeRegistration& node, const std::string& pause_image, bool taints_as_flag) {
  StringMap flags = {{"container-runtime-endpoint", node.cri_socket}};
  if (!pause_image.empty()) flags["pod-infra-container-image"] = pause_image;
  if (taints_as_flag && node.taints && !node.taints->empty()) {
    std::vector<std::string> taints;
    for (const Taint& taint : *node.taints) taints.push_back(taint.text());
    flags["register-with-taints"] = join(taints, ",");
  }
  std::string host_name = to_lower(trim_space(host.host_name())), name = node.name.empty() ? host_name : node.name;
  if (auto override = node.kubelet_extra_args.find("hostname-override"); override != node.kubelet_extra_args.end()) name = override->second;
  if (name != host_name) flags["hostname-override"] = name;
  return "KUBELET_KUBEADM_ARGS=" + quote(join(argument_list(std::move(flags), node.kubelet_extra_args), " ")) + "\n";
}

Status write_kubelet_flags(Host& host, const std::string& dir, const NodeRegistration& node, const std::string& pause_image, bool taints_as_flag) {
  std::string path = dir + "/kubeadm-flags.env";
  host.print("[kubelet-start] Writing kubelet environment file with flags to file " + quote(path) + "\n");
  TRY(host.make_dirs(dir, 0700).with_context("failed to create directory " + quote(dir)));
  return host.write_file(path, kubelet_flags(host, node, pause_image, taints_as_flag), 0644)
      .with_context("failed to write kubelet configuration to the file " + quote(path));
}

Status write_kubelet_config(Host& host, const std::string& dir, json::Value document, const std::string& patches_dir) {
  if (!patches_dir.empty())
    TRY(apply_patches(host, patches_dir, "kubeletconfiguration", PatchSchema::kKubeletConfiguration, document)
            .with_context("could not apply patches to the KubeletConfiguration"));
  std::string path = dir + "/config.yaml";
  host.print("[kubelet-start] Writing kubelet configuration to file " + quote(path) + "\n");
  TRY(host.make_dirs(dir, 0700).with_context("failed to create directory " + quote(dir)));
  return host.write_file(path, to_yaml(document), 0644).with_context("failed to write kubelet configuration to the file " + quote(path));
}

}  // namespace knarr::kubeadm
