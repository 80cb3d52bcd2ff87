// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/component_configs.h"
#include "kubeadm/config.h"
#include "kubeadm/constants.h"
#include "schema/codec.h"

namespace knarr::kubeadm {
namespace {

constexpr size_t kMaxDocuments = 100;
constexpr std::string_view kGroup = "kubeadm.k8s.io", kVersion = "v1beta3";

std::string go_kind(const Document& document) {
  return "schema.GroupVersionKind{Group:" + quote(document.group) + ", Version:" + quote(document.version) + ", Kind:" + quote(document.kind) + "}";
}
std::string group_version(const Document& document) { return document.group.empty() ? document.version : document.group + "/" + document.version; }

Status check_version(const Document& document, bool allow_experimental) {
  static constexpr std::pair<const char*, const char*> kOld[] = {
      {"v1alpha1", "v1.11"}, {"v1alpha2", "v1.12"}, {"v1alpha3", "v1.14"}, {"v1beta1", "v1.15"}, {"v1beta2", "v1.22"}};
  if (document.group != kGroup) return {};
  for (const auto& [version, program] : kOld)
    if (document.version == version)
      return Status::error("your configuration file uses an old API spec: " + quote(group_version(document)) + ". Please use kubeadm " + program +
                           " instead and run 'kubeadm config migrate --old-config old.yaml --new-config new.yaml', which will write the new, "
                           "similar spec using a newer API version.");
  if (document.version == "v1beta4" && !allow_experimental)
    return Status::error("experimental API spec: " + quote(group_version(document)) +
                         " is not allowed. You can use the --allow-experimental-api flag if the command supports it.");
  return {};
}

bool is_known(const Document& document) {
  if (document.group == kKubeletGroup) return document.version == "v1beta1" && document.kind == "KubeletConfiguration";
  if (document.group == kProxyGroup) return document.version == "v1alpha1" && document.kind == "KubeProxyConfiguration";
  return document.group == kGroup && document.version == kVersion &&
         (document.kind == "InitConfiguration" || document.kind == "ClusterConfiguration" || document.kind == "JoinConfiguration");
}

// A document's faults: refused when strict, else told.
Status tell(Host& host, const Document& document, const std::vector<std::string>& problems, bool strict) {
  if (problems.empty()) return {};
  std::string text = "error unmarshaling configuration " + go_kind(document) + ": strict decoding error: " + join(problems, ", ");
  if (strict) return Status::error(text);
  host.warn(text);
  return {};
}

template <class T>
Status read(Host& host, const Document& document, T& into, bool strict) {
  std::vector<std::string> problems = document.problems;
  decode(document.value, into, &problems);
  return tell(host, document, problems, strict);
}

}  // namespace

Result<std::vector<Document>> split_documents(std::string_view text) {
  std::vector<std::string> pieces(1);
  size_t at = 0;
  while (at < text.size()) {
    size_t end = text.find('\n', at);
    std::string_view line = text.substr(at, end == std::string_view::npos ? end : end - at + 1);
    at += line.size();
    if (line.starts_with("---") && trim_space(line.substr(3)).empty()) pieces.emplace_back();
    else pieces.back() += line;
    if (pieces.size() > kMaxDocuments) return Status::error("too many YAML documents in one file");
  }
  std::vector<Document> documents;
  for (const std::string& piece : pieces) {
    if (trim_space(piece).empty()) continue;
    schema::DecodeReport report;
    auto parsed = schema::yaml_to_json(piece, &report);
    if (!parsed.ok()) return parsed.status();
    Document document;
    TRY_ASSIGN(document.value, json::parse(*parsed));
    if (document.value.is_null()) continue;
    document.problems = std::move(report.problems);
    const std::string& api_version = document.value.at({"apiVersion"}).as_string();
    document.kind = document.value.at({"kind"}).as_string();
    if (api_version.empty() || document.kind.empty())
      return Status::error("invalid configuration for GroupVersionKind " + std::string(api_version.empty() ? "/, Kind=" : api_version + ", Kind=") + document.kind +
                           ": kind and apiVersion is mandatory information that must be specified");
    size_t slash = api_version.find('/');
    document.group = slash == std::string::npos ? "" : api_version.substr(0, slash);
    document.version = slash == std::string::npos ? api_version : api_version.substr(slash + 1);
    for (const Document& other : documents)
      if (other.group == document.group && other.version == document.version && other.kind == document.kind)
        return Status::error("invalid configuration: kind " + quote(document.kind) + " is specified twice in YAML file");
    documents.push_back(std::move(document));
  }
  return documents;
}

Result<InitConfiguration> load_init_configuration(Host& host, std::string_view text, bool strict) {
  TRY_ASSIGN(std::vector<Document> documents, split_documents(text));
  InitConfiguration config;
  bool found = false;
  for (const Document& document : documents) {
    TRY(check_version(document, false));
    if (!is_known(document)) {
      // Upstream tells such a document twice: its decoder does not know it, and it belongs to nobody.
      TRY(tell(host, document, {}, strict));
      if (document.group == kGroup || document.group == kKubeletGroup || document.group == kProxyGroup)
        host.warn("unknown configuration " + go_kind(document));
      else
        host.warn("[config] WARNING: Ignored YAML document with GroupVersionKind " + group_version(document) + ", Kind=" + document.kind);
      continue;
    }
    if (document.kind == "InitConfiguration") {
      TRY(read(host, document, config, strict));
      found = true;
    } else if (document.kind == "ClusterConfiguration") {
      TRY(read(host, document, config.cluster, strict));
      found = true;
    } else if (document.kind == "KubeletConfiguration") {
      TRY(tell(host, document, document.problems, strict));
      config.cluster.kubelet = kubelet_config_from(&document.value);
    } else if (document.kind == "KubeProxyConfiguration") {
      TRY(tell(host, document, document.problems, strict));
      config.cluster.proxy = proxy_config_from(&document.value);
    }
  }
  if (!found) return Status::error("no InitConfiguration or ClusterConfiguration kind was found in the YAML file");
  set_defaults(config);
  set_defaults(config.cluster);
  TRY(set_dynamic_defaults(host, config));
  TRY(aggregate(validate(config)));
  return config;
}

Result<JoinConfiguration> load_join_configuration(Host& host, std::string_view text, bool strict) {
  TRY_ASSIGN(std::vector<Document> documents, split_documents(text));
  JoinConfiguration config;
  bool found = false;
  for (const Document& document : documents) {
    if (document.kind != "JoinConfiguration") continue;
    TRY(check_version(document, false));
    TRY(read(host, document, config, strict));
    found = true;
  }
  if (!found) return Status::error("no JoinConfiguration found in the supplied config");
  set_defaults(config);
  TRY(set_dynamic_defaults(host, config));
  TRY(aggregate(validate(config, host)));
  return config;
}

namespace {

struct Kinds {
  bool init = false, join = false;
};
Result<Kinds> kinds_of(std::string_view text) {
  TRY_ASSIGN(std::vector<Document> documents, split_documents(text));
  Kinds kinds;
  std::vector<std::string> unknown;
  for (const Document& document : documents) {
    if (Status old = check_version(document, true); !old.ok()) continue;
    if (!is_known(document)) unknown.push_back(go_kind(document));
    kinds.init |= document.kind == "InitConfiguration" || document.kind == "ClusterConfiguration";
    kinds.join |= document.kind == "JoinConfiguration";
  }
  if (!unknown.empty()) return Status::error("unknown configuration APIs: []schema.GroupVersionKind{" + join(unknown, ", ") + "}");
  return kinds;
}

}  // namespace

std::string init_configuration_yaml(const InitConfiguration& config) { return to_yaml(encode(config)) + "---\n" + to_yaml(encode(config.cluster)); }

Status validate_documents(Host& host, std::string_view text) {
  TRY_ASSIGN(Kinds kinds, kinds_of(text));
  if (kinds.init) TRY(load_init_configuration(host, text, true).status());
  if (kinds.join) TRY(load_join_configuration(host, text, true).status());
  return {};
}

Result<std::string> migrate_documents(Host& host, std::string_view text) {
  TRY_ASSIGN(Kinds kinds, kinds_of(text));
  std::vector<std::string> written;
  if (kinds.init) {
    TRY_ASSIGN(InitConfiguration config, load_init_configuration(host, text, true));
    written.push_back(init_configuration_yaml(config));
  }
  if (kinds.join) {
    TRY_ASSIGN(JoinConfiguration config, load_join_configuration(host, text, true));
    written.push_back(to_yaml(encode(config)));
  }
  return join(written, "---\n");
}

}  // namespace knarr::kubeadm
