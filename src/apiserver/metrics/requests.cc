// SPDX-License-Identifier: Apache-2.0
#include "apiserver/context.h"
#include "apiserver/metrics/metrics.h"
#include "apiserver/routes.h"

namespace knarr::apiserver::metrics {
namespace {

constexpr std::string_view verb_text(Verb verb) {
  switch (verb) {
    case Verb::kGet: return "GET";
    case Verb::kList: return "LIST";
    case Verb::kWatch: return "WATCH";
    case Verb::kPost: return "POST";
    case Verb::kPut: return "PUT";
    case Verb::kPatch: return "PATCH";
    case Verb::kApply: return "APPLY";
    case Verb::kDelete: return "DELETE";
    case Verb::kDeleteCollection: return "DELETECOLLECTION";
    case Verb::kConnect: return "CONNECT";
    case Verb::kOther: break;
  }
  return "other";
}

constexpr std::string_view scope_text(Scope scope) {
  constexpr std::string_view kTexts[] = {"", "cluster", "namespace", "resource"};
  return kTexts[static_cast<size_t>(scope)];
}

bool connects(std::string_view subresource) {
  return subresource == "log" || subresource == "exec" || subresource == "portforward" || subresource == "attach" || subresource == "proxy";
}

Verb verb_of(const RequestContext& context) {
  const RequestInfo& info = context.info;
  if (info.is_resource && connects(info.subresource)) return Verb::kConnect;
  std::string_view verb = info.verb;
  if (verb == "get") return Verb::kGet;
  if (verb == "list") return Verb::kList;
  if (verb == "watch") return Verb::kWatch;
  if (verb == "create" || verb == "post") return Verb::kPost;
  if (verb == "update" || verb == "put") return Verb::kPut;
  if (verb == "patch") return context.request.headers.get("Content-Type") == "application/apply-patch+yaml" ? Verb::kApply : Verb::kPatch;
  if (verb == "delete") return Verb::kDelete;
  if (verb == "deletecollection") return Verb::kDeleteCollection;
  return Verb::kOther;
}

Scope scope_of(const RequestInfo& info) {
  if (!info.is_resource) return Scope::kNone;
  if (!info.name.empty() || info.verb == "create") return Scope::kResource;
  return info.namespace_.empty() ? Scope::kCluster : Scope::kNamespace;
}

const Route* route_of(std::string_view path) {
  const Route* best = nullptr;
  for (const Route& route : routes()) {
    bool matches = route.path == path || (route.prefix && path.starts_with(route.path) && path[route.path.size()] == '/');
    if (matches && (best == nullptr || route.path.size() > best->path.size())) best = &route;
  }
  return best;
}

RequestMetrics::Key key_of(const RequestContext& context) {
  RequestMetrics::Key key;
  key.resource = context.resource;
  key.subresource = context.subresource;
  key.verb = verb_of(context);
  key.scope = context.resource == nullptr ? Scope::kNone : scope_of(context.info);
  if (!context.info.is_resource) key.route = route_of(context.info.path);
  for (const auto& [name, value] : context.query)
    if (name == "dryRun") key.dry_run = value == "All" && key.dry_run != 2 ? 1 : 2;
  return key;
}

// Watches and connections last as long as they please and are counted apart. Told from the raw request: it has not been parsed yet.
bool is_long_running(const net::Request& request) {
  std::string_view query = request.query, path = request.path;
  size_t watch = query.find("watch=");
  bool at_start = watch == 0 || (watch != std::string_view::npos && query[watch - 1] == '&');
  if (at_start && (query.substr(watch).starts_with("watch=1") || query.substr(watch).starts_with("watch=t"))) return true;
  if (path.find("/proxy/") != std::string_view::npos || path.find("/v1/watch/") != std::string_view::npos) return true;
  return connects(path.substr(path.rfind('/') + 1));
}

std::string labels_of(const RequestMetrics::Key& key) {
  std::string_view group, version, resource, subresource;
  if (key.resource != nullptr) {
    group = key.resource->group;
    version = key.resource->version;
    resource = key.resource->plural;
  }
  if (key.subresource != nullptr) subresource = key.subresource->name;
  if (key.route != nullptr) subresource = key.route->path;
  constexpr std::string_view kDryRun[] = {"", "All", "invalid"};
  return label("component", "apiserver") + "," + label("dry_run", kDryRun[key.dry_run]) + "," + label("group", group) + "," +
         label("resource", resource) + "," + label("scope", scope_text(key.scope)) + "," + label("subresource", subresource) + "," +
         label("verb", verb_text(key.verb)) + "," + label("version", version);
}

}  // namespace

void RequestMetrics::begin(bool long_running, bool mutating) {
  (long_running ? long_running_ : mutating ? mutating_ : read_only_).fetch_add(1, std::memory_order_relaxed);
}
void RequestMetrics::end(bool long_running, bool mutating) {
  (long_running ? long_running_ : mutating ? mutating_ : read_only_).fetch_sub(1, std::memory_order_relaxed);
}

void RequestMetrics::record(const Key& key, int code, Duration elapsed) {
  double seconds = std::chrono::duration<double>(elapsed).count();
  size_t bucket = 0;
  while (bucket < kDurationBounds.size() && seconds > kDurationBounds[bucket]) ++bucket;
  std::lock_guard lock(mutex_);
  Series& series = series_[key];
  ++series.codes[code];
  ++series.buckets[bucket];
  series.seconds += seconds;
}

void RequestMetrics::write(std::string& out) const {
  std::map<Key, Series> series;
  {
    std::lock_guard lock(mutex_);
    series = series_;
  }
  write_head(out, "apiserver_request_total", "counter",
             "Requests by verb, dry run, group, version, resource, subresource, scope, component and HTTP code.");
  for (const auto& [key, one] : series)
    for (const auto& [code, count] : one.codes)
      write_sample(out, "apiserver_request_total", label("code", std::to_string(code)) + "," + labels_of(key), static_cast<double>(count));
  write_head(out, "apiserver_request_duration_seconds", "histogram", "Time to answer, in seconds; watches and connections until their end.");
  for (const auto& [key, one] : series) {
    std::string labels = labels_of(key);
    uint64_t sum = 0;
    for (size_t i = 0; i < one.buckets.size(); ++i) {
      sum += one.buckets[i];
      std::string bound = "+Inf";
      if (i < kDurationBounds.size()) {
        bound.clear();
        write_number(bound, kDurationBounds[i]);
      }
      write_sample(out, "apiserver_request_duration_seconds_bucket", labels + "," + label("le", bound), static_cast<double>(sum));
    }
    write_sample(out, "apiserver_request_duration_seconds_sum", labels, one.seconds);
    write_sample(out, "apiserver_request_duration_seconds_count", labels, static_cast<double>(sum));
  }
  write_head(out, "apiserver_current_inflight_requests", "gauge", "Requests being answered, long-running ones left out.");
  write_sample(out, "apiserver_current_inflight_requests", label("request_kind", "mutating"), static_cast<double>(mutating_.load()));
  write_sample(out, "apiserver_current_inflight_requests", label("request_kind", "readOnly"), static_cast<double>(read_only_.load()));
  write_head(out, "apiserver_longrunning_requests", "gauge", "Watches and connections that are open.");
  write_sample(out, "apiserver_longrunning_requests", label("component", "apiserver"), static_cast<double>(long_running_.load()));
}

Task<Status> CountingWriter::respond(int status, net::Headers headers, Body body) {
  code_ = status;
  return inner_.respond(status, std::move(headers), std::move(body));
}
Task<Status> CountingWriter::start(int status, net::Headers headers) {
  code_ = status;
  return inner_.start(status, std::move(headers));
}
Task<Result<std::unique_ptr<net::ByteStream>>> CountingWriter::upgrade(net::Headers headers) {
  code_ = 101;
  return inner_.upgrade(std::move(headers));
}

MeasuredRequest::MeasuredRequest(std::shared_ptr<RequestMetrics> metrics, const RequestContext& context)
    : metrics_(std::move(metrics)),
      start_(context.server.clock().mono()),
      long_running_(is_long_running(context.request)),
      mutating_(context.request.method != "GET" && context.request.method != "HEAD") {
  metrics_->begin(long_running_, mutating_);
}

MeasuredRequest::~MeasuredRequest() { metrics_->end(long_running_, mutating_); }

void MeasuredRequest::finish(const RequestContext& context, const CountingWriter& writer) {
  metrics_->record(key_of(context), writer.code(), context.server.clock().mono() - start_);
}

}  // namespace knarr::apiserver::metrics
