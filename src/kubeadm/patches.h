// SPDX-License-Identifier: Apache-2.0
// --patches DIR: files TARGET[suffix][+TYPE].EXTENSION whose patches are laid on what kubeadm generates. TYPE is strategic (default), merge or json.
#pragma once

#include <string>

#include "kubeadm/host.h"
#include "schema/json.h"

namespace knarr::kubeadm {

enum class PatchSchema { kPod, kKubeletConfiguration };
// Applies those files whose target is `target` ("etcd", "kube-apiserver", ..., "kubeletconfiguration"), in the order of their names, and says so.
Status apply_patches(Host& host, const std::string& dir, const std::string& target, PatchSchema schema, json::Value& document);

struct PatchFile {
  std::string target, type;   // type: "strategic", "merge", "json"
};
// The error says why a file is not one: unknown extension or target, a '+' without a type.
Result<PatchFile> parse_patch_name(std::string_view file_name);

}  // namespace knarr::kubeadm
