// SPDX-License-Identifier: Apache-2.0
// /exec, /attach, /portForward and /run. The first three are answered by the runtime's streaming
// server: the client's upgraded connection is tunnelled to the URL that the runtime gives.
#include <charconv>

#include "base/log.h"
#include "kubelet/env/field_path.h"
#include "kubelet/server/call.h"
#include "net/client.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

struct StreamOptions {
  bool stdin_open = false, stdout_open = false, stderr_open = false, tty = false;
};

Result<StreamOptions> parse_streams(const Call& call) {
  StreamOptions options;
  options.tty = call.param("tty") == "1";
  options.stdin_open = call.param("input") == "1";
  options.stdout_open = call.param("output") == "1";
  // A terminal has one output.
  options.stderr_open = call.param("error") == "1" && !options.tty;
  if (!options.stdin_open && !options.stdout_open && !options.stderr_open)
    return Status::make(400, "BadRequest", "you must specify at least 1 of stdin, stdout, stderr");
  return options;
}

// The pod and container that /exec/NS/POD[/UID]/CONTAINER and its like name.
struct Target {
  PodPtr pod;
  std::string container, id;
};

Result<Target> find_target(const Call& call) {
  Target target;
  target.pod = call.state.host.pod(call.path[1], call.path[2]);
  if (target.pod == nullptr) return Status::make(404, "NotFound", "pod does not exist");
  bool has_uid = call.path.size() == 5;
  target.container = call.path.back();
  if (has_uid && target.pod->metadata.uid != call.path[3])
    return Status::make(500, "InternalError",
                        "container not found (" + go_quote(target.container) + ")");
  target.id = call.state.host.container_id(target.pod->metadata.uid, target.container, false);
  if (target.id.empty())
    return Status::make(500, "InternalError",
                        "container not found (" + go_quote(target.container) + ")");
  return target;
}

// A CRI failure as HTTP, as upstream's streaming library answers it.
int code_of(const Status& status) {
  if (status.is("NotFound")) return 404;
  if (status.is("ResourceExhausted")) return 429;
  return 500;
}

struct StreamUrl {
  std::string address;  // host:port
  std::string target;   // path and query
};

// Only plain HTTP: the runtime listens on the loopback interface.
Result<StreamUrl> parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme))
    return Status::error("unsupported streaming URL of the runtime: " + std::string(url));
  url.remove_prefix(kScheme.size());
  size_t slash = url.find('/');
  StreamUrl parsed;
  parsed.address = url.substr(0, slash);
  parsed.target = slash == std::string_view::npos ? "/" : std::string(url.substr(slash));
  if (parsed.address.find(':') == std::string::npos) parsed.address += ":80";
  return parsed;
}

bool is_hop_header(std::string_view name) {
  constexpr std::string_view kDropped[] = {
      "host", "authorization", "content-length", "transfer-encoding", "te", "keep-alive", "expect"};
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return std::find(std::begin(kDropped), std::end(kDropped), lower) != std::end(kDropped);
}

// The runtime refused: its answer goes to the client as it is.
Task<void> relay(Call& call, net::ClientResponse response) {
  Result<std::string> body = std::string();
  if (response.body != nullptr) body = co_await response.body->read_all(1 << 20);
  std::string type(response.headers.get("content-type"));
  std::string text = body.ok() ? std::move(*body) : std::string(body.status().message());
  co_await answer(call, response.status, std::move(type), std::move(text));
}

Task<void> proxy_to(Call& call, std::string url) {
  Result<StreamUrl> where = parse_url(url);
  if (!where.ok()) {
    std::string message(where.status().message());
    co_await answer_text(call, 500, message);
    co_return;
  }
  if (!call.request.headers.has_token("connection", "upgrade")) {
    co_await answer_text(call, 400, "Upgrade request required");
    co_return;
  }
  net::ClientOptions options;
  options.address = where->address;
  options.version = net::HttpVersion::kHttp1;
  std::unique_ptr<net::Client> client = net::make_client(call.state.executor, std::move(options));
  net::ClientRequest request;
  request.method = call.request.method;
  request.target = where->target;
  for (const auto& [name, value] : call.request.headers.fields())
    if (!is_hop_header(name)) request.headers.add(name, value);
  if (call.request.peer != nullptr)
    request.headers.add("X-Forwarded-For", call.request.peer->address);
  request.timeout = std::chrono::seconds(30);
  Result<net::Client::Upgraded> upgraded = co_await client->upgrade(std::move(request));
  if (!upgraded.ok()) {
    log_error("Error while proxying request", {{"err", upgraded.status().message()}});
    std::string message(upgraded.status().message());
    co_await answer_text(call, 500, message);
    co_return;
  }
  if (upgraded->stream == nullptr) {
    co_await relay(call, std::move(upgraded->response));
    co_return;
  }
  Result<std::unique_ptr<net::ByteStream>> ours =
      co_await call.writer.upgrade(upgraded->response.headers);
  if (!ours.ok()) {
    upgraded->stream->close();
    if (call.writer.started() || call.writer.closed()) co_return;
    std::string message(ours.status().message());
    co_await answer_text(call, 400, message);
    co_return;
  }
  std::unique_ptr<net::ByteStream> client_side = std::move(*ours),
                                   runtime_side = std::move(upgraded->stream);
  co_await net::tunnel(std::move(client_side), std::move(runtime_side));
}

Task<void> refuse(Call& call, Status status, bool runtime) {
  std::string message(status.message());
  int code = runtime ? code_of(status) : status.code();
  co_await answer_text(call, code, message);
}

}  // namespace

ContainerShape find_container_shape(const core::Pod& pod, std::string_view name) {
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
    for (const core::Container& container : *list)
      if (container.name == name) return {true, container.tty};
  for (const core::EphemeralContainer& container : pod.spec.ephemeral_containers)
    if (container.ephemeral_container_common.name == name)
      return {true, container.ephemeral_container_common.tty};
  return {};
}

Task<void> serve_exec(Call& call) {
  Result<StreamOptions> options = parse_streams(call);
  if (!options.ok()) {
    co_await refuse(call, options.status(), false);
    co_return;
  }
  Result<Target> target = find_target(call);
  if (!target.ok()) {
    co_await refuse(call, target.status(), false);
    co_return;
  }
  api::cri_v1::ExecRequest request;
  request.container_id = target->id;
  for (const std::string& word : call.params("command")) request.cmd.push_back(word);
  request.tty = options->tty;
  request.stdin = options->stdin_open;
  request.stdout = options->stdout_open;
  request.stderr = options->stderr_open;
  Result<api::cri_v1::ExecResponse> response = co_await call.state.host.exec(std::move(request));
  if (!response.ok()) {
    co_await refuse(call, response.status(), true);
    co_return;
  }
  std::string url = response->url.str();
  co_await proxy_to(call, std::move(url));
}

Task<void> serve_attach(Call& call) {
  Result<StreamOptions> options = parse_streams(call);
  if (!options.ok()) {
    co_await refuse(call, options.status(), false);
    co_return;
  }
  Result<Target> target = find_target(call);
  if (!target.ok()) {
    co_await refuse(call, target.status(), false);
    co_return;
  }
  ContainerShape shape = find_container_shape(*target->pod, target->container);
  if (!shape.found) {
    std::string pod_full_name =
        target->pod->metadata.name.str() + "_" + target->pod->metadata.namespace_.str();
    Status absent =
        Status::error("container " + target->container + " not found in pod " + pod_full_name);
    co_await refuse(call, std::move(absent), false);
    co_return;
  }
  api::cri_v1::AttachRequest request;
  request.container_id = target->id;
  // Whether there is a terminal was settled when the container was made.
  request.tty = shape.tty;
  request.stdin = options->stdin_open;
  request.stdout = options->stdout_open;
  request.stderr = options->stderr_open && !shape.tty;
  Result<api::cri_v1::AttachResponse> response =
      co_await call.state.host.attach(std::move(request));
  if (!response.ok()) {
    co_await refuse(call, response.status(), true);
    co_return;
  }
  std::string url = response->url.str();
  co_await proxy_to(call, std::move(url));
}

Task<void> serve_port_forward(Call& call) {
  api::cri_v1::PortForwardRequest request;
  // SPDY names its ports stream by stream; WebSocket has them in the query.
  for (const std::string& list : call.params("port")) {
    std::string_view rest = list;
    while (!rest.empty()) {
      std::string_view word = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      int32_t port = 0;
      auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
      if (error != std::errc() || end != word.data() + word.size() || port < 1 || port > 65535) {
        Status bad =
            Status::make(400, "BadRequest", "unable to parse " + go_quote(list) + " as a port");
        co_await refuse(call, std::move(bad), false);
        co_return;
      }
      request.port.push_back(port);
    }
  }
  PodPtr pod = call.state.host.pod(call.path[1], call.path[2]);
  bool other = pod != nullptr && call.path.size() == 4 && pod->metadata.uid != call.path[3];
  if (pod == nullptr || other) {
    Status absent = Status::make(404, "NotFound", other ? "pod not found" : "pod does not exist");
    co_await refuse(call, std::move(absent), false);
    co_return;
  }
  request.pod_sandbox_id = call.state.host.sandbox_id(pod->metadata.uid);
  if (request.pod_sandbox_id.empty()) {
    Status absent = Status::error(
        "pod not found (" +
        go_quote(pod->metadata.name.str() + "_" + pod->metadata.namespace_.str()) + ")");
    co_await refuse(call, std::move(absent), false);
    co_return;
  }
  Result<api::cri_v1::PortForwardResponse> response =
      co_await call.state.host.port_forward(std::move(request));
  if (!response.ok()) {
    co_await refuse(call, response.status(), true);
    co_return;
  }
  std::string url = response->url.str();
  co_await proxy_to(call, std::move(url));
}

Task<void> serve_run(Call& call) {
  Result<Target> target = find_target(call);
  if (!target.ok()) {
    co_await refuse(call, target.status(), false);
    co_return;
  }
  api::cri_v1::ExecSyncRequest request;
  request.container_id = target->id;
  std::string_view rest = call.param("cmd");
  for (;;) {
    size_t blank = rest.find(' ');
    request.cmd.push_back(rest.substr(0, blank));
    if (blank == std::string_view::npos) break;
    rest.remove_prefix(blank + 1);
  }
  Result<api::cri_v1::ExecSyncResponse> response =
      co_await call.state.host.exec_sync(std::move(request));
  if (!response.ok()) {
    Status failure = Status::error(response.status().message());
    co_await refuse(call, std::move(failure), false);
    co_return;
  }
  if (response->exit_code != 0) {
    Status failure =
        Status::error("command '" + std::string(call.param("cmd")) + "' exited with " +
                      std::to_string(response->exit_code) + ": " + response->stderr.str());
    co_await refuse(call, std::move(failure), false);
    co_return;
  }
  std::string output = response->stdout.str() + response->stderr.str();
  co_await answer(call, 200, "application/json", std::move(output));
}

}  // namespace knarr::kubelet
