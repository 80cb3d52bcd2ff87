// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/patches.h"

#include "api/core_v1.h"
#include "kubeadm/text.h"
#include "schema/codec.h"
#include "schema/patch.h"

namespace knarr::kubeadm {
namespace {

const std::vector<std::string> kTargets = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubeletconfiguration"};
const std::vector<std::string> kTypes = {"json", "merge", "strategic"};
const std::vector<std::string> kExtensions = {"json", "yaml"};

std::string content_type(const std::string& type) {
  return type == "json" ? "application/json-patch+json" : type == "merge" ? "application/merge-patch+json" : "application/strategic-merge-patch+json";
}

Result<json::Value> apply(json::Value document, const std::string& type, const json::Value& patch, PatchSchema schema) {
  if (type == "json") return schema::apply_json_patch(std::move(document), patch);
  // The kubelet's document has no lists that merge by key, so that both kinds of merge are one.
  if (type == "merge" || schema == PatchSchema::kKubeletConfiguration) return schema::apply_merge_patch(std::move(document), patch);
  return schema::apply_strategic_patch(std::move(document), patch, api::core_v1::Pod::table());
}

}  // namespace

Result<PatchFile> parse_patch_name(std::string_view file_name) {
  size_t dot = file_name.rfind('.');
  if (dot == std::string_view::npos || !contains(kExtensions, file_name.substr(dot + 1)))
    return Status::error("the file extension must be one of " + bracketed(kExtensions));
  PatchFile file{"", "strategic"};
  for (const std::string& target : kTargets)
    if (file_name.starts_with(target)) file.target = target;
  if (file.target.empty()) return Status::error("unknown target, must be one of " + bracketed(kTargets));
  size_t plus = file_name.find('+');
  if (plus == std::string_view::npos) return file;
  file.type.clear();
  for (const std::string& type : kTypes)
    if (file_name.substr(plus + 1).starts_with(type)) file.type = type;
  if (file.type.empty()) return Status::error("unknown or missing patch type after '+', must be one of " + bracketed(kTypes));
  return file;
}

Status apply_patches(Host& host, const std::string& dir, const std::string& target, PatchSchema schema, json::Value& document) {
  auto names = host.list_dir(dir);
  if (!names.ok()) return names.status().with_context("could not list patch files for path " + quote(dir));
  for (const std::string& name : *names) {
    auto file = parse_patch_name(name);
    if (!file.ok()) {
      host.print("[patches] Ignoring file " + quote(name) + ": " + std::string(file.status().message()) + "\n");
      continue;
    }
    if (file->target != target) continue;
    TRY_ASSIGN(std::string text, host.read_file(dir + "/" + name));
    if (text.empty()) {
      host.print("[patches] Ignoring empty file: " + quote(name) + "\n");
      continue;
    }
    auto patches = schema::yaml_documents_to_json(text);
    if (!patches.ok()) return patches.status().with_context("could not convert patch to JSON:\n" + text + "\n");
    for (const std::string& patch_text : *patches) {
      TRY_ASSIGN(json::Value patch, json::parse(patch_text));
      auto patched = apply(document, file->type, patch, schema);
      if (!patched.ok())
        return patched.status().with_context("could not apply the following patch of type " + quote(content_type(file->type)) + " to target " + quote(target) +
                                             ":\n" + patch_text + "\n");
      document = std::move(*patched);
      host.print("[patches] Applied patch of type " + quote(content_type(file->type)) + " to target " + quote(target) + "\n");
    }
  }
  return {};
}

}  // namespace knarr::kubeadm
