// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/component_status.h"

#include "api/core_v1.h"
#include "apiserver/core.h"
#include "apiserver/errors.h"
#include "apiserver/handlers/options.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/subresource/verbs.h"
#include "net/client.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::ComponentStatus;
using api::core_v1::ComponentStatusList;

constexpr Duration kProbeTimeout = std::chrono::seconds(20);
constexpr size_t kMaxAnswer = 10 * 1024;

struct Part {
  const char* name;
  const char* address;  // null: the store behind this server
};
constexpr Part kParts[] = {{"controller-manager", "127.0.0.1:10257"}, {"etcd-0", nullptr}, {"scheduler", "127.0.0.1:10259"}};

ComponentStatus status_of(std::string_view name, std::string_view healthy, std::string_view message, std::string_view error) {
  ComponentStatus status;
  status.metadata.name = name;
  auto& condition = status.conditions.emplace_back();
  condition.type = "Healthy";
  condition.status = healthy;
  condition.message = message;
  condition.error = error;
  return status;
}

Task<ComponentStatus> probe(std::string name, std::string address) {
  net::TlsClientOptions tls;
  tls.insecure_skip_verify = true;
  auto context = net::make_tls_client_context(std::move(tls));
  if (!context.ok()) co_return status_of(name, "Unknown", "", context.status().message());
  net::ClientOptions options;
  options.address = address;
  options.tls = *context;
  options.version = net::HttpVersion::kHttp1;
  options.connect_timeout = kProbeTimeout;
  Executor executor = co_await this_executor();
  std::unique_ptr<net::Client> client = net::make_client(executor, std::move(options));
  net::ClientRequest request;
  request.target = "/healthz";
  request.timeout = kProbeTimeout;
  auto response = co_await client->send(std::move(request));
  std::string url = "Get \"https://" + address + "/healthz\": ";
  // Upstream's prober takes a refused connection for an answer: the part is not there.
  if (!response.ok()) co_return status_of(name, "False", url + std::string(response.status().message()), "");
  auto body = co_await response->body->read_all(kMaxAnswer);
  std::string text = body.ok() ? *body : std::string();
  if (response->status < 200 || response->status >= 400)
    co_return status_of(name, "False", "HTTP probe failed with statuscode: " + std::to_string(response->status), "");
  co_return status_of(name, "True", text, "");
}

Task<ComponentStatus> ask(RequestContext& context, const Part& part) {
  std::string name = part.name;
  auto local = context.server.local_components.find(name);
  if (local != context.server.local_components.end()) {
    std::string problem = local->second();
    co_return problem.empty() ? status_of(name, "True", "ok", "") : status_of(name, "False", problem, "");
  }
  if (part.address == nullptr) {
    bool alive = context.core.store().revision() >= 0;
    co_return alive ? status_of(name, "True", "ok", "") : status_of(name, "False", "", "the store does not answer");
  }
  std::string address = part.address;
  ComponentStatus status = co_await probe(std::move(name), std::move(address));
  co_return status;
}

Result<CachedPtr> as_cached(const ComponentStatus& status) {
  static const ObjectPlan plan(ComponentStatus::resource());
  return CachedObject::make(plan, status.metadata.name.str(), 0, 0, schema::to_proto(status));
}

Task<Status> get_one(RequestContext& context, const OutputFormat& format) {
  for (const Part& part : kParts) {
    if (context.info.name != part.name) continue;
    ComponentStatus found = co_await ask(context, part);
    CO_TRY_ASSIGN(CachedPtr object, as_cached(found));
    Status status = co_await respond_cached(context, 200, format, std::move(object));
    co_return status;
  }
  co_return Status::make(500, "", "Component not found: " + context.info.name);
}

Task<Status> list_all(RequestContext& context, const OutputFormat& format) {
  auto options = parse_list_options(context);
  if (!options.ok()) co_return options.status();
  ListPage page;
  ComponentStatusList list;
  for (const Part& part : kParts) {
    ComponentStatus found = co_await ask(context, part);
    CO_TRY_ASSIGN(CachedPtr object, as_cached(found));
    if (!object->matches(options->labels, options->fields)) continue;
    page.objects.push_back(std::move(object));
    list.items.push_back(std::move(found));
  }
  Status status;
  if (format.as == OutputFormat::As::kObject) {
    list.items.reserve(0);
    status = co_await respond_object(context, 200, list);
  } else {
    status = co_await respond_list(context, format, page);
  }
  co_return status;
}

}  // namespace

Task<Status> serve_component_statuses(RequestContext& context) {
  bool list = context.info.verb == "list" && context.info.parts.size() == 1;
  bool get = context.info.verb == "get" && context.info.parts.size() == 2;
  if (!list && !get) co_return method_not_allowed();
  Offers offers;
  offers.table = offers.partial = true;
  offers.list = list;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  Status status;
  if (list) {
    status = co_await list_all(context, *format);
  } else {
    status = co_await get_one(context, *format);
  }
  co_return status;
}

}  // namespace knarr::apiserver::subresource
