// SPDX-License-Identifier: Apache-2.0
#include "apiserver/routes.h"

#include "apiserver/discovery/documents.h"
#include "apiserver/discovery/health.h"
#include "apiserver/discovery/openid.h"
#include "apiserver/discovery/pod_trace.h"
#include "apiserver/discovery/version.h"
#include "apiserver/metrics/metrics.h"
#include "apiserver/openapi/serve.h"

namespace knarr::apiserver {
namespace {

constexpr Route kRoutes[] = {
    {"/.well-known/openid-configuration", false, discovery::serve_openid_configuration},
    {"/api", true, discovery::serve_api},
    {"/apis", true, discovery::serve_apis},
    {trace::kPath, false, discovery::serve_pod_trace},
    {"/healthz", true, discovery::serve_health},
    {"/livez", true, discovery::serve_health},
    {"/metrics", false, metrics::serve_metrics},
    {"/openid/v1/jwks", false, discovery::serve_json_web_keys},
    {"/readyz", true, discovery::serve_health},
    {"/openapi/v2", false, openapi::serve_v2},
    {"/openapi/v3", true, openapi::serve_v3},
    {"/version", false, discovery::serve_version},
    {"/version/", false, discovery::serve_version},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

}  // namespace knarr::apiserver
