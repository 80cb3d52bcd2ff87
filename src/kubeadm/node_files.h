// SPDX-License-Identifier: Apache-2.0
// The kubelet's two files: its configuration and the flags of its service.
#pragma once

#include <string>

#include "kubeadm/config.h"
#include "kubeadm/host.h"

namespace knarr::kubeadm {

// KUBELET_KUBEADM_ARGS="..." of kubeadm-flags.env. Taints are given as a flag where the kubelet registers the node itself (join).
std::string kubelet_flags(const Host& host, const NodeRegistration& node, const std::string& pause_image, bool taints_as_flag);
Status write_kubelet_flags(Host& host, const std::string& dir, const NodeRegistration& node, const std::string& pause_image, bool taints_as_flag);
Status write_kubelet_config(Host& host, const std::string& dir, json::Value document, const std::string& patches_dir);

}  // namespace knarr::kubeadm
