// SPDX-License-Identifier: Apache-2.0
#include "kubeadm/api.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>

#include "base/version.h"
#include "kubeadm/text.h"
#include "schema/resource.h"

namespace knarr::kubeadm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr Duration kRetryPause = milliseconds(100), kWriteLimit = seconds(40), kNodeLimit = seconds(120);

Task<void> exchange(client::Transport* transport, client::ApiRequest request, std::optional<Result<client::ApiResponse>>* answer) {
  Result<client::ApiResponse> response = co_await transport->send(std::move(request));
  answer->emplace(std::move(response));
}

class RemoteApi final : public Api {
 public:
  static Result<std::unique_ptr<Api>> make(const client::ClusterAccess& access) {
    auto api = std::make_unique<RemoteApi>();
    TRY_ASSIGN(api->transport_, client::make_https_transport(api->loop_.get_executor(), access));
    return std::unique_ptr<Api>(std::move(api));
  }

  ~RemoteApi() override {
    transport_.reset();
    // What the connection leaves behind (a goodbye) runs out.
    loop_.restart();
    loop_.poll();
  }

  Result<json::Value> call(const std::string& method, const std::string& path, const json::Value& body, const std::string& content_type) override {
    client::ApiRequest request;
    request.method = method;
    request.target = path;
    request.accept = "application/json";
    request.user_agent = std::string("kubeadm/") + kKubernetesVersion + " (linux/amd64)";
    if (!body.is_null()) {
      request.body = json::to_string(body);
      request.content_type = content_type;
    }
    std::optional<Result<client::ApiResponse>> answer;
    spawn(loop_.get_executor(), exchange(transport_.get(), std::move(request), &answer));
    // The connection stays open on this loop, so run() would not return: one handler after the other until the answer is there.
    loop_.restart();
    while (!answer && loop_.run_one() > 0) {
    }
    if (!answer) return Status::make(503, "ServiceUnavailable", "the connection was lost");
    if (!answer->ok()) return answer->status();
    const client::ApiResponse& response = **answer;
    std::string_view type = response.headers.get("content-type");
    if (response.status < 200 || response.status > 299) return client::status_of_response(response.status, type, response.body);
    auto parsed = json::parse(response.body);
    return parsed.ok() ? std::move(*parsed) : json::Value();
  }

 private:
  boost::asio::io_context loop_{1};
  std::shared_ptr<client::Transport> transport_;
};

bool exists_already(const Status& status) { return status.is("AlreadyExists"); }

}  // namespace

Result<std::unique_ptr<Api>> connect(const client::ClusterAccess& access) { return RemoteApi::make(access); }
Result<std::unique_ptr<Api>> connect(const std::string& kubeconfig_file) {
  TRY_ASSIGN(client::ClusterAccess access, client::load_kubeconfig(kubeconfig_file));
  return connect(access);
}

std::string collection_path(const json::Value& object) {
  const std::string& api_version = object.at({"apiVersion"}).as_string();
  const schema::Resource* resource = schema::find_resource_of_kind(api_version, object.at({"kind"}).as_string());
  if (resource == nullptr) return "";
  return client::resource_path(*resource, object.at({"metadata", "namespace"}).as_string(), "");
}
std::string object_path(const json::Value& object) { return collection_path(object) + "/" + object.at({"metadata", "name"}).as_string(); }

Status create_or_update(Api& api, const json::Value& object, const std::string& what) {
  Status created = api.post(collection_path(object), object).status();
  if (created.ok()) return {};
  if (!exists_already(created)) return created.with_context("unable to create " + what);
  // An account has nothing that kubeadm would change, and its secrets are others'.
  if (object.at({"kind"}).as_string() == "ServiceAccount") return {};
  return api.put(object_path(object), object).status().with_context("unable to update " + what);
}

Status create_or_update_patiently(Host& host, Api& api, const json::Value& object, const std::string& what) {
  return retry(host, kRetryPause, kWriteLimit, [&] { return create_or_update(api, object, what); });
}

Status create_or_retain(Api& api, const json::Value& object, const std::string& what) {
  Status found = api.get(object_path(object)).status();
  if (!found.is("NotFound")) return {};
  Status created = api.post(collection_path(object), object).status();
  return exists_already(created) ? Status() : created.with_context("unable to create " + what);
}

Status patch_node(Host& host, Api& api, const std::string& name, json::Value (*make_patch)(const json::Value&, const void*), const void* context) {
  const std::string path = "/api/v1/nodes/" + name;
  return retry(host, kRetryPause, kNodeLimit, [&]() -> Status {
    auto node = api.get(path);
    if (!node.ok()) return node.status();
    if (node->at({"metadata", "labels"}).find("kubernetes.io/hostname") == nullptr) return Status::error("node " + quote(name) + " has no hostname label yet");
    json::Value patch = make_patch(*node, context);
    return api.call("PATCH", path, patch, "application/strategic-merge-patch+json").status().with_context("error patching node " + quote(name) + " through apiserver");
  });
}

}  // namespace knarr::kubeadm
