// SPDX-License-Identifier: Apache-2.0
#include "apiserver/discovery/version.h"

#include "apiserver/context.h"
#include "base/version.h"
#include "schema/json.h"

namespace knarr::apiserver::discovery {

Task<Status> serve_version(RequestContext& context) {
  json::Value info = json::Value::object();
  info["major"] = kKubernetesMajor;
  info["minor"] = kKubernetesMinor;
  info["gitVersion"] = kKubernetesVersion;
  info["gitCommit"] = kKnarrVersion;
  info["gitTreeState"] = "clean";
  info["buildDate"] = "1970-01-01T00:00:00Z";
  info["goVersion"] = "none";
  info["compiler"] = "g++";
  info["platform"] = "linux/amd64";
  std::string text = json::to_pretty(info);
  Body body{std::string_view(text)};
  Status status = co_await respond_raw(context, 200, "application/json", std::move(body));
  co_return status;
}

}  // namespace knarr::apiserver::discovery
