// SPDX-License-Identifier: Apache-2.0
#include "kubelet/server/server.h"

#include "base/log.h"
#include "kubelet/server/call.h"
#include "schema/codec.h"
#include "trace/answer.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr std::string_view kNotFound = "404 page not found\n";

// nodes/SUBRESOURCE that gives access to a path.
std::string subresource_of(const std::vector<std::string>& path) {
  if (path.empty()) return "proxy";
  if (path[0] == "stats") return "stats";
  if (path[0] == "metrics") return "metrics";
  if (path[0] == "logs") return "log";
  return "proxy";
}

std::string verb_of(std::string_view method) {
  if (method == "GET") return "get";
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return {};
}

std::string encode_pods(const std::vector<PodPtr>& pods) {
  core::PodList list;
  list.items.reserve(static_cast<uint32_t>(pods.size()));
  for (const PodPtr& pod : pods) list.items.push_back(*pod);
  std::string out;
  schema::encode_json(out, core::PodList::table(), &list, &core::PodList::kind_info());
  return out;
}

Task<void> serve_pods(Call& call) {
  std::string body = encode_pods(call.state.host.pods());
  co_await answer(call, 200, "application/json", std::move(body));
}

// Pods that the runtime has containers of, with no more than it knows.
Task<void> serve_running_pods(Call& call) {
  std::vector<PodPtr> running;
  for (const PodPtr& pod : call.state.host.pods()) {
    auto known = std::make_shared<core::Pod>();
    known->metadata.name = pod->metadata.name;
    known->metadata.namespace_ = pod->metadata.namespace_;
    known->metadata.uid = pod->metadata.uid;
    for (const core::Container& container : pod->spec.containers) {
      std::string id = call.state.host.container_id(pod->metadata.uid, container.name, false);
      if (id.empty() || !call.state.host.container_running(id)) continue;
      core::Container& seen = known->spec.containers.emplace_back();
      seen.name = container.name;
      seen.image = container.image;
    }
    if (!known->spec.containers.empty()) running.push_back(std::move(known));
  }
  std::string body = encode_pods(running);
  co_await answer(call, 200, "application/json", std::move(body));
}

Task<void> serve_healthz(Call& call) {
  std::string which = call.path.size() > 1 ? call.path[1] : "";
  if (call.path.size() > 2 ||
      (!which.empty() && which != "ping" && which != "log" && which != "syncloop")) {
    co_await answer_text(call, 404, kNotFound);
    co_return;
  }
  Status health = which.empty() || which == "syncloop" ? call.state.host.healthy() : Status();
  if (!which.empty()) {
    std::string body =
        health.ok() ? "ok" : "internal server error: " + std::string(health.message()) + "\n";
    co_await answer_text(call, health.ok() ? 200 : 500, body);
    co_return;
  }
  std::string body = "ok";
  if (!health.ok())
    body = "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n";
  if (health.ok() && call.has_param("verbose"))
    body = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n";
  co_await answer_text(call, health.ok() ? 200 : 500, body);
}

Task<void> serve_configz(Call& call) {
  std::string body = "{\"kubeletconfig\":" + call.state.host.configuration_json() + "}";
  co_await answer(call, 200, "application/json", std::move(body));
}

// The only page of upstream's /debug that is served; its profiles are Go's.
Task<void> serve_debug(Call& call) {
  const trace::Ring* ring = call.state.host.trace();
  if (call.request.path != trace::kPath || ring == nullptr) {
    co_await answer_text(call, 404, kNotFound);
    co_return;
  }
  auto body = trace::answer_query(*ring, call.request.query);
  if (!body.ok()) {
    std::string message(body.status().message());
    co_await answer_text(call, body.status().code(), message);
    co_return;
  }
  co_await answer(call, 200, "application/json", std::move(*body));
}

struct Route {
  std::string_view first;  // path element
  size_t least, most;      // elements in all
  std::string_view methods;
  bool read_only;  // served on the read-only port, too
  Task<void> (*serve)(Call&);
};
constexpr size_t kAny = 64;
constexpr Route kRoutes[] = {
    {"healthz", 1, kAny, "GET", true, serve_healthz},
    {"pods", 1, 1, "GET", true, serve_pods},
    {"metrics", 1, kAny, "GET", true, serve_metrics},
    {"stats", 1, kAny, "GET", true, serve_stats},
    {"runningpods", 1, 1, "GET", false, serve_running_pods},
    {"containerLogs", 4, 4, "GET", false, serve_container_logs},
    {"exec", 4, 5, "GET POST", false, serve_exec},
    {"attach", 4, 5, "GET POST", false, serve_attach},
    {"portForward", 3, 4, "GET POST", false, serve_port_forward},
    {"run", 4, 5, "POST", false, serve_run},
    {"logs", 1, kAny, "GET", false, serve_system_logs},
    {"configz", 1, 1, "GET", false, serve_configz},
    {"debug", 2, 2, "GET", false, serve_debug},
};

bool allows(const Route& route, std::string_view method) {
  if (method == "HEAD") method = "GET";
  size_t at = route.methods.find(method);
  return !method.empty() && at != std::string_view::npos;
}

Result<std::vector<std::string>> split_request_path(std::string_view path) {
  std::vector<std::string> parts;
  size_t at = 1;
  while (at < path.size()) {
    size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at) {
      TRY_ASSIGN(std::string part, net::percent_decode(path.substr(at, slash - at)));
      // An element that climbs or that was two elements in disguise names nothing here.
      if (part == "." || part == ".." || part.find('/') != std::string::npos ||
          part.find('\0') != std::string::npos)
        return Status::make(404, "NotFound", kNotFound);
      parts.push_back(std::move(part));
    }
    if (parts.size() > kAny) return Status::make(404, "NotFound", kNotFound);
    at = slash + 1;
  }
  return parts;
}

void count_request(ServerState& state, std::string_view method,
                   const std::vector<std::string>& path) {
  std::string root = path.empty() ? "other" : path[0];
  bool known = std::any_of(std::begin(kRoutes), std::end(kRoutes),
                           [&](const Route& route) { return route.first == root; });
  if (!known) root = "other";
  if (root == "metrics" && path.size() == 2 &&
      (path[1] == "resource" || path[1] == "cadvisor" || path[1] == "probes"))
    root += "/" + path[1];
  if (verb_of(method).empty()) method = "other";
  bool lasting = root == "exec" || root == "attach";
  std::string_view type = state.options.read_only ? "readonly" : "readwrite";
  std::string labels = "long_running=\"" + std::string(lasting ? "true" : "false") +
                       "\",method=\"" + std::string(method) + "\",path=\"" + root +
                       "\",server_type=\"" + std::string(type) + "\"";
  ++state.requests[labels];
}

Task<Status> check_access(ServerState& state, const net::Request& request,
                          const std::vector<std::string>& path) {
  Result<UserInfo> user = co_await state.auth.authenticate(request);
  if (!user.ok()) co_return user.status();
  std::string verb = verb_of(request.method), subresource = subresource_of(path),
              whole = request.path;
  Status allowed = co_await state.auth.authorize(std::move(*user), std::move(verb),
                                                 std::move(subresource), std::move(whole));
  co_return allowed;
}

Task<void> dispatch(std::shared_ptr<ServerState> state, net::Request* request,
                    net::ResponseWriter* writer) {
  Call call{*state, *request, *writer, {}, {}};
  Result<std::vector<std::string>> path = split_request_path(request->path);
  Result<net::QueryParams> query = net::parse_query(request->query);
  if (!path.ok() || !query.ok()) {
    int code = path.ok() ? 400 : path.status().code();
    std::string message(path.ok() ? query.status().message() : path.status().message());
    co_await answer_text(call, code, message);
    co_return;
  }
  call.path = std::move(*path);
  call.query = std::move(*query);
  count_request(*state, request->method, call.path);
  if (!state->options.read_only) {
    Status access = co_await check_access(*state, *request, call.path);
    if (!access.ok()) {
      std::string message(access.message());
      co_await answer_text(call, access.code(), message);
      co_return;
    }
  }
  for (const Route& route : kRoutes) {
    if (call.path.empty() || call.path[0] != route.first) continue;
    if (state->options.read_only && !route.read_only) {
      co_await answer_text(call, 405, "Debug endpoints are disabled.\n");
      co_return;
    }
    if (call.path.size() < route.least || call.path.size() > route.most) break;
    if (!allows(route, request->method)) {
      co_await answer_text(call, 405, "405: Method Not Allowed");
      co_return;
    }
    co_await route.serve(call);
    co_return;
  }
  co_await answer_text(call, 404, kNotFound);
}

class KubeletServerImpl final : public KubeletServer {
 public:
  KubeletServerImpl(ServerHost& host, ServerAuth& auth, Executor executor,
                    KubeletServerOptions options)
      : state_(std::make_shared<ServerState>(host, auth, executor, options)) {
    net::ServerOptions server_options;
    server_options.tls = state_->options.tls;
    server_options.idle_timeout = std::chrono::seconds(90);
    std::shared_ptr<ServerState> state = state_;
    net::Handler handler = [state](net::Request& request, net::ResponseWriter& writer) {
      return dispatch(state, &request, &writer);
    };
    server_ = net::make_server({executor}, std::move(server_options), std::move(handler));
  }
  Result<uint16_t> listen() override { return server_->listen(state_->options.address); }
  Task<void> shutdown(Duration grace) override { return server_->shutdown(grace); }

 private:
  std::shared_ptr<ServerState> state_;
  std::unique_ptr<net::Server> server_;
};

}  // namespace

Task<void> answer(Call& call, int code, std::string_view content_type, std::string body) {
  net::Headers headers;
  if (!content_type.empty()) headers.add("Content-Type", content_type);
  Body bytes(body);
  (void)co_await call.writer.respond(code, std::move(headers), std::move(bytes));
}
Task<void> answer_text(Call& call, int code, std::string_view body) {
  return answer(call, code, "text/plain; charset=utf-8", std::string(body));
}

std::unique_ptr<KubeletServer> make_kubelet_server(ServerHost& host, ServerAuth& auth,
                                                   Executor executor,
                                                   KubeletServerOptions options) {
  return std::make_unique<KubeletServerImpl>(host, auth, std::move(executor), std::move(options));
}

}  // namespace knarr::kubelet
