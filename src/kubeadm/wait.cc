// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/wait.h"

#include <algorithm>
#include <cstdio>

#include "kubeadm/constants.h"
#include "schema/codec.h"
#include "schema/resource.h"

namespace knarr::kubeadm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kSilence = seconds(40), kFirstPause = seconds(5), kPoll = milliseconds(50);
constexpr int kMostFailures = 5;

// The kubelet's own health, looked at from the fortieth second on at growing distances.
class KubeletCheck {
 public:
  explicit KubeletCheck(Host& host) : host_(host), next_(host.clock().mono() + kSilence) {}

  // A failure when the kubelet has not answered for the last time.
  Status look() {
    if (done_ || host_.clock().mono() < next_) return {};
    if (failures_ == 0) host_.print("[kubelet-check] Initial timeout of " + format_duration(kSilence) + " passed.\n");
    auto code = host_.http_get("localhost", kKubeletHealthPort, "/healthz");
    if (code.ok() && *code == 200) {
      done_ = true;
      return {};
    }
    host_.print("[kubelet-check] It seems like the kubelet isn't running or healthy.\n");
    const std::string url = "http://localhost:" + std::to_string(kKubeletHealthPort) + "/healthz";
    host_.print("[kubelet-check] The HTTP call equal to 'curl -sSL " + url + "' " +
                (code.ok() ? "returned HTTP code " + std::to_string(*code) : "failed with error: Get \"" + url + "\": " + std::string(code.status().message()) + ".") + "\n");
    if (++failures_ == kMostFailures) return Status::error("timed out waiting for the condition");
    next_ += pause_;
    pause_ *= 2;
    return {};
  }

 private:
  Host& host_;
  MonoTime next_;
  Duration pause_ = kFirstPause;
  int failures_ = 0;
  bool done_ = false;
};

}  // namespace

Status wait_beside_kubelet(Host& host, Duration limit, const std::function<bool()>& ready) {
  KubeletCheck kubelet(host);
  MonoTime end = host.clock().mono() + limit;
  for (;;) {
    if (ready()) return {};
    TRY(kubelet.look());
    if (host.clock().mono() >= end) return Status::error("timed out waiting for the condition");
    host.sleep(kPoll);
  }
}

Status wait_for_api_server(Host& host, Api& api, Duration limit) {
  MonoTime start = host.clock().mono();
  TRY(wait_beside_kubelet(host, limit, [&] { return api.get("/healthz").ok(); }));
  char text[128];
  std::snprintf(text, sizeof text, "[apiclient] All control plane components are healthy after %f seconds\n",
                std::chrono::duration<double>(host.clock().mono() - start).count());
  host.print(text);
  return {};
}

// ---- dry runs ----------------------------------------------------------------------------------------------------------------

namespace {

std::string indented(const std::string& text) {
  std::string out;
  for (const std::string& line : split(text, '\n'))
    if (!line.empty()) out += "\t" + line + "\n";
  return out;
}

// As Go would write it: with the fields that it never leaves out (creationTimestamp, status).
std::string typed_yaml(const json::Value& document) {
  const schema::KindInfo* kind = schema::find_kind(document.at({"apiVersion"}).as_string(), document.at({"kind"}).as_string());
  if (kind == nullptr) return to_yaml(document);
  schema::Object object(*kind->type);
  if (!schema::decode_json(json::to_string(document), *kind->type, object.data()).ok()) return to_yaml(document);
  std::string text;
  schema::encode_json(text, *kind->type, object.data(), kind);
  auto yaml = schema::json_to_yaml(text);
  return yaml.ok() ? *yaml : to_yaml(document);
}

struct Target {
  std::string group_version, resource, name;
};
// /api/v1/[namespaces/NS/]RESOURCE[/NAME], /apis/GROUP/VERSION/...
Target parse_target(std::string path) {
  path = path.substr(0, path.find('?'));
  std::vector<std::string> parts = split(path, '/');
  Target target;
  size_t at = 3;
  if (parts.size() > 2 && parts[1] == "api") target.group_version = "core/" + parts[2];
  if (parts.size() > 3 && parts[1] == "apis") {
    target.group_version = parts[2] + "/" + parts[3];
    at = 4;
  }
  if (parts.size() > at + 2 && parts[at] == "namespaces") at += 2;
  if (parts.size() > at) target.resource = parts[at];
  if (parts.size() > at + 1) target.name = parts[at + 1];
  return target;
}

class DryRunApi final : public Api {
 public:
  DryRunApi(Host& host, std::string node) : host_(host), node_(std::move(node)) {}

  Result<json::Value> call(const std::string& method, const std::string& path, const json::Value& body, const std::string&) override {
    Target target = parse_target(path);
    std::string action = method == "POST" ? "CREATE" : method == "PUT" ? "UPDATE" : method == "GET" && target.name.empty() ? "LIST" : method;
    host_.print("[dryrun] Would perform action " + action + " on resource " + quote(target.resource) + " in API group " + quote(target.group_version) + "\n");
    if (!target.name.empty()) host_.print("[dryrun] Resource name: " + quote(target.name) + "\n");
    if (method == "PATCH") host_.print("[dryrun] Attached patch:\n\t" + json::to_string(body) + "\n");
    if (method == "POST" || method == "PUT") host_.print("[dryrun] Attached object:\n" + indented(typed_yaml(body)));
    if (method != "GET") return body;
    return answer(target);
  }

 private:
  Result<json::Value> answer(const Target& target) const {
    json::Value object = json::Value::object();
    if (target.resource == "nodes") {
      object["metadata"]["name"] = target.name;
      object["metadata"]["labels"]["kubernetes.io/hostname"] = node_;
      return object;
    }
    if (target.name.empty()) {
      object["items"] = json::Value::array();
      return object;
    }
    return Status::make(404, "NotFound", target.resource + " " + quote(target.name) + " not found");
  }
  Host& host_;
  std::string node_;
};

}  // namespace

std::unique_ptr<Api> make_dry_run_api(Host& host, const InitConfiguration& config) { return std::make_unique<DryRunApi>(host, config.node.name); }

Status print_dry_run_files(Host& host, const std::string& dir) {
  host.print("[dryrun] Wrote certificates, kubeconfig files and control plane manifests to the " + quote(dir) + " directory\n");
  host.print("[dryrun] The certificates or kubeconfig files would not be printed due to their sensitive nature\n");
  host.print("[dryrun] Please examine the " + quote(dir) + " directory for details about what would be written\n");
  const std::pair<const char*, const char*> files[] = {{"kube-apiserver.yaml", kManifestsDir}, {"kube-controller-manager.yaml", kManifestsDir},
                                                        {"kube-scheduler.yaml", kManifestsDir}, {"config.yaml", kKubeletDir}, {"kubeadm-flags.env", kKubeletDir}};
  for (const auto& [name, place] : files) {
    TRY_ASSIGN(std::string content, host.read_file(dir + "/" + name));
    host.print("[dryrun] Would write file " + quote(std::string(place) + "/" + name) + " with content:\n" + indented(content));
  }
  return {};
}

}  // namespace knarr::kubeadm
