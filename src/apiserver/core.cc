// SPDX-License-Identifier: Apache-2.0
#include "apiserver/core.h"

#include <boost/asio/post.hpp>

#include "apiserver/authz/modes.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/conversion.h"
#include "apiserver/errors.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/impersonation.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/routes.h"
#include "apiserver/subresource_handlers.h"
#include "base/log.h"

namespace knarr::apiserver {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view name) {
  for (const std::string& each : list)
    if (each == name) return true;
  return false;
}

// Whether a resource of the tables is on: by default, or by --runtime-config (group/version=true, api/all=true).
bool is_on(const Options& options, const schema::Resource& resource) {
  bool on = resource.served;
  for (const std::string& setting : options.runtime_config) {
    size_t equals = setting.find('=');
    std::string_view key = std::string_view(setting).substr(0, equals);
    bool value = equals == std::string::npos || std::string_view(setting).substr(equals + 1) != "false";
    if (key == "api/all" || key == resource.api_version || key == std::string(resource.api_version) + "/" + std::string(resource.plural)) on = value;
  }
  return on;
}

const schema::Subresource* find_subresource(const schema::Resource& resource, std::string_view name) {
  for (const schema::Subresource& subresource : resource.subresources)
    if (subresource.name == name) return &subresource;
  return nullptr;
}

uint16_t verb_bit(std::string_view verb) {
  if (verb == "get") return schema::kGet;
  if (verb == "list") return schema::kList;
  if (verb == "watch") return schema::kWatch;
  if (verb == "create") return schema::kCreate;
  if (verb == "update") return schema::kUpdate;
  if (verb == "patch") return schema::kPatch;
  if (verb == "delete") return schema::kDelete;
  if (verb == "deletecollection") return schema::kDeleteCollection;
  return 0;
}

// The route that a path belongs to: exact ones first, then the longest prefix.
const Route* find_route(std::string_view path) {
  const Route* best = nullptr;
  for (const Route& route : routes()) {
    if (route.path == path && !route.prefix) return &route;
    if (!route.prefix || !path.starts_with(route.path)) continue;
    bool whole = path.size() == route.path.size() || route.path.ends_with('/') || path[route.path.size()] == '/';
    if (whole && (best == nullptr || route.path.size() > best->path.size())) best = &route;
  }
  return best;
}

// What clients of versions on their way out are told (upstream: the lifecycle methods of the API types).
void warn_of_deprecation(RequestContext& context) {
  const schema::Resource& resource = *context.resource;
  if (resource.api_version == "flowcontrol.apiserver.k8s.io/v1beta2") {
    std::string kind(resource.kind);
    context.warnings.push_back("flowcontrol.apiserver.k8s.io/v1beta2 " + kind +
                               " is deprecated in v1.26+, unavailable in v1.29+; use flowcontrol.apiserver.k8s.io/v1beta3 " + kind);
  } else if (resource.group.empty() && resource.plural == "componentstatuses") {
    context.warnings.push_back("v1 ComponentStatus is deprecated in v1.19+");
  }
}

// Whether an answer must know everything that other servers on the same store have answered before: as upstream, all but creations (which compare
// when they write) and reads that name a revision they are content with.
bool needs_latest(const RequestContext& context) {
  const RequestInfo& info = context.info;
  if (info.verb == "create") return !info.subresource.empty();
  std::string_view revision;
  for (const auto& [name, value] : context.query)
    if (name == "resourceVersion") revision = value;
  if (info.verb == "get" || info.verb == "list") return revision != "0";
  return info.verb != "watch" || revision.empty();
}

}  // namespace

Core::Core(Executor executor, std::shared_ptr<store::Store> store, const Clock& clock, Options options)
    : executor_(std::move(executor)), store_(std::move(store)), clock_(clock), options_(std::move(options)),
      trace_(options_.trace != nullptr ? options_.trace : std::make_shared<trace::Ring>()) {
  trace_->add_part("kube-apiserver");
  for (const schema::Resource& resource : schema::builtin_resources()) {
    if (!is_on(options_, resource) || (resource.verbs & (schema::kList | schema::kCreate)) == 0) continue;
    // Reviews and bindings are answered, not kept.
    if (resource.list_type == nullptr || (resource.verbs & schema::kList) == 0 || (resource.verbs & schema::kCreate) == 0) continue;
    const schema::Resource& stored = storage_resource(resource);
    auto& cache = caches_[&stored];
    if (cache == nullptr) cache = std::make_shared<WatchCache>(store_, stored, executor_, options_.storage_prefix);
  }
  for (const admission::Plugin& plugin : admission::plugins()) {
    bool on = (plugin.on_by_default || contains(options_.enable_admission_plugins, plugin.name)) &&
              !contains(options_.disable_admission_plugins, plugin.name);
    if (on) plugins_.push_back(&plugin);
  }
  auto shared_cache = [&](std::string_view plural) {
    WatchCache* found = cache("rbac.authorization.k8s.io", plural);
    return found == nullptr ? nullptr : found->shared_from_this();
  };
  authz::RbacRules::Caches roles{shared_cache("roles"), shared_cache("clusterroles"), shared_cache("rolebindings"), shared_cache("clusterrolebindings")};
  rbac_ = std::make_shared<authz::RbacRules>(roles, executor_);
  // Until start() has made what the options ask for.
  authorizer_ = authz::make_privileged_group_authorizer();
}

Core::~Core() = default;

Task<Status> Core::start() {
  for (auto& [resource, cache] : caches_) {
    Status status = co_await cache->load();
    if (!status.ok()) co_return status.with_context("loading " + std::string(resource->plural));
  }
  auto authorizer = authz::make_authorizer(*this);
  if (!authorizer.ok()) co_return authorizer.status();
  authorizer_ = std::move(*authorizer);
  auto authenticator = authn::make_authenticator(*this);
  if (!authenticator.ok()) co_return authenticator.status();
  authenticator_ = std::move(*authenticator);
  Status written = co_await bootstrap_cluster(*this);
  if (!written.ok()) co_return written.with_context("writing what a new cluster needs");
  ready_ = true;
  if (store_->shared()) spawn(executor_, keep_shared_state(this));
  co_return Status();
}

Task<void> Core::stop() {
  stopping_ = true;
  if (store_->shared() && ready_) co_await leave_shared_state(*this);
  std::vector<std::pair<Executor, std::weak_ptr<CacheWatch>>> watches;
  {
    std::lock_guard lock(watches_mutex_);
    for (auto& [id, watch] : watches_) watches.push_back(watch);
  }
  for (auto& [executor, watch] : watches) {
    boost::asio::post(executor, [weak = watch] {
      if (auto alive = weak.lock()) alive->wake();
    });
  }
  co_return;
}

Core::WatchGuard::WatchGuard(Core& core, Executor executor, std::weak_ptr<CacheWatch> watch) : core_(core) {
  std::lock_guard lock(core_.watches_mutex_);
  id_ = core_.next_watch_++;
  core_.watches_.emplace(id_, std::pair(std::move(executor), std::move(watch)));
}

Core::WatchGuard::~WatchGuard() {
  std::lock_guard lock(core_.watches_mutex_);
  core_.watches_.erase(id_);
}

WatchCache* Core::cache(const schema::Resource& resource) const {
  auto at = caches_.find(&storage_resource(resource));
  return at == caches_.end() ? nullptr : at->second.get();
}

WatchCache* Core::cache(std::string_view group, std::string_view plural) const {
  for (const auto& [resource, cache] : caches_)
    if (resource->group == group && resource->plural == plural) return cache.get();
  return nullptr;
}

std::shared_ptr<const schema::Object> Core::cached(std::string_view group, std::string_view plural, std::string_view ns, std::string_view name) {
  WatchCache* found = cache(group, plural);
  if (found == nullptr) return nullptr;
  found->sync();
  CachedPtr object = found->get(ns, name);
  return object == nullptr ? nullptr : object->object(true);
}

void Core::for_each_cached(std::string_view group, std::string_view plural, std::string_view ns,
                           const std::function<void(const schema::Object&)>& visit) {
  WatchCache* found = cache(group, plural);
  if (found == nullptr) return;
  found->sync();
  WatchCache::Snapshot snapshot = found->snapshot(ns);
  for (const CachedPtr& object : *snapshot.objects) visit(*object->object(true));
}

client::Client& Core::loopback() {
  if (loopback_ == nullptr)
    loopback_ = std::make_unique<client::Client>(local_transport({"system:apiserver", "", {"system:masters", "system:authenticated"}, {}}), "kube-apiserver");
  return *loopback_;
}

// ---- a request's way ----------------------------------------------------------------------------------------------------------

Task<void> Core::serve(net::Request& request, net::ResponseWriter& writer, std::optional<User> trusted, EventSink* events) {
  metrics::CountingWriter counting(writer);
  RequestContext context{*this, *this, request, counting, {}, {}, {}};
  context.events = events;
  context.arrived = clock_.now();
  metrics::MeasuredRequest measured(request_metrics_, context);
  context.audit_id = request.headers.get("Audit-ID");
  if (context.audit_id.empty() || context.audit_id.size() > 64) context.audit_id = new_uid();
  Status status = co_await handle(context, trusted);
  // What has begun cannot become an error any more.
  if (!status.ok() && !writer.started()) {
    Status ignored = co_await respond_status(context, status);
  }
  measured.finish(context, counting);
}

Task<Status> Core::handle(RequestContext& context, const std::optional<User>& trusted) {
  auto query = net::parse_query(context.request.query);
  if (!query.ok()) co_return bad_request(query.status().message());
  context.query = std::move(*query);
  auto info = parse_request_info(context.request.method, context.request.path, context.query);
  if (!info.ok()) co_return info.status().code() == 400 ? info.status() : bad_request(info.status().message());
  context.info = std::move(*info);
  Status status = co_await identify(context, trusted);
  if (!status.ok()) co_return status;
  if (asks_to_impersonate(context.request.headers)) {
    status = co_await impersonate(context);
    if (!status.ok()) co_return status;
  }
  // Nearly everyone is let in without waiting; reasons are for those who are not.
  if (authorizer_->authorize(attributes_of(context), nullptr) != authz::Decision::kAllow) {
    status = co_await authorize(context);
    if (!status.ok()) co_return status;
  }
  status = co_await dispatch(context);
  co_return status;
}

Task<Status> Core::dispatch(RequestContext& context) {
  const RequestInfo& info = context.info;
  if (!info.is_resource) {
    const Route* route = find_route(info.path);
    if (route == nullptr) co_return generic_not_found();
    Status status = co_await route->handler(context);
    co_return status;
  }
  context.resource = schema::find_resource(info.group, info.version, info.resource);
  if (context.resource == nullptr || !is_on(options_, *context.resource)) co_return generic_not_found();
  warn_of_deprecation(context);
  if (store_->shared() && needs_latest(context)) {
    Status latest = co_await store_->catch_up();
    if (!latest.ok()) co_return latest;
  }
  // Namespaced objects are only reached through their namespace, and the other way round.
  bool single = !info.parts.empty() && info.parts.size() >= 2;
  if (context.resource->namespaced && info.namespace_.empty() && (single || info.verb == "create")) {
    bool legacy_watch = info.verb == "watch";
    if (!legacy_watch) co_return generic_not_found();
  }
  if (!context.resource->namespaced && !info.namespace_.empty() && info.resource != "namespaces") co_return generic_not_found();
  // Paths that no verb of the resource has do not exist.
  constexpr uint16_t kOfItems = schema::kGet | schema::kUpdate | schema::kPatch | schema::kDelete;
  constexpr uint16_t kOfCollections = schema::kList | schema::kCreate | schema::kDeleteCollection | schema::kWatch;
  if (info.subresource.empty() && (context.resource->verbs & (single ? kOfItems : kOfCollections)) == 0) co_return generic_not_found();
  if (!info.subresource.empty()) {
    context.subresource = find_subresource(*context.resource, info.subresource);
    for (const SubresourceHandler& handler : subresource_handlers()) {
      if (handler.group != info.group || handler.resource != info.resource || handler.subresource != info.subresource) continue;
      if (handler.handle == nullptr) break;
      Status status = co_await handler.handle(context);
      co_return status;
    }
    if (context.subresource == nullptr) co_return generic_not_found();
    if (info.subresource == "scale") {
      Status status = co_await handle_scale(context);
      co_return status;
    }
  } else {
    // Resources without storage of their own (reviews, bindings) are handlers too, under the empty name.
    for (const SubresourceHandler& handler : subresource_handlers()) {
      if (handler.group != info.group || handler.resource != info.resource || !handler.subresource.empty() || handler.handle == nullptr) continue;
      // What cannot be listed is answered as a plain object only: 406 for those who want a table.
      if ((context.resource->verbs & schema::kList) == 0) {
        auto format = negotiate_output(context.request.headers.get("Accept"), Offers{});
        if (!format.ok()) co_return format.status();
      }
      Status status = co_await handler.handle(context);
      co_return status;
    }
  }
  uint16_t verbs = context.subresource != nullptr ? context.subresource->verbs : context.resource->verbs;
  bool collection_verb = info.verb == "create" || info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection";
  bool misplaced = info.subresource.empty() && info.verb != "watch" && single == collection_verb;
  if ((verbs & verb_bit(info.verb)) == 0 || misplaced)
    co_return Status::make(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
  Task<Status> (*handler)(RequestContext&) = nullptr;
  if (info.verb == "get") handler = handle_get;
  if (info.verb == "list") handler = handle_list;
  if (info.verb == "watch") handler = handle_watch;
  if (info.verb == "create") handler = handle_create;
  if (info.verb == "update") handler = handle_update;
  if (info.verb == "patch") handler = handle_patch;
  if (info.verb == "delete") handler = handle_delete;
  if (info.verb == "deletecollection") handler = handle_delete_collection;
  if (handler == nullptr) co_return generic_not_found();
  Status status = co_await handler(context);
  co_return status;
}

std::unique_ptr<ApiServer> make_api_server(Executor executor, std::shared_ptr<store::Store> store, const Clock& clock, Options options) {
  return std::make_unique<Core>(std::move(executor), std::move(store), clock, std::move(options));
}

}  // namespace knarr::apiserver
