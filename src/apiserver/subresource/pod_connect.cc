// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/pod_connect.h"

#include <charconv>
#include <optional>

#include "api/core_v1.h"
#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/subresource/backend.h"
#include "apiserver/subresource/verbs.h"
#include "net/websocket.h"
#include "schema/time.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::Pod;
using PodPtr = std::shared_ptr<const Pod>;

std::vector<std::string> container_names(const Pod& pod) {
  std::vector<std::string> names;
  for (const auto& container : pod.spec.init_containers) names.push_back(container.name.str());
  for (const auto& container : pod.spec.containers) names.push_back(container.name.str());
  for (const auto& container : pod.spec.ephemeral_containers) names.push_back(container.ephemeral_container_common.name.str());
  return names;
}

// The container that is meant: the one named, or the only one there is.
Result<std::string> choose_container(const Pod& pod, std::string_view asked) {
  std::string name = pod.metadata.name.str();
  std::vector<std::string> names = container_names(pod);
  if (asked.empty()) {
    if (pod.spec.containers.size() == 1) return pod.spec.containers[0].name.str();
    if (pod.spec.containers.empty()) return bad_request("a container name must be specified for pod " + name);
    std::string list;
    for (const std::string& one : names) list += (list.empty() ? "" : " ") + one;
    return bad_request("a container name must be specified for pod " + name + ", choose one of: [" + list + "]");
  }
  for (const std::string& one : names)
    if (one == asked) return one;
  return bad_request("container " + std::string(asked) + " is not valid for pod " + name);
}

Result<PodPtr> find_pod(RequestContext& context) {
  PodPtr pod = context.server.cached<Pod>(context.info.namespace_, context.info.name);
  if (pod == nullptr) return not_found("", "pods", context.info.name);
  return pod;
}

bool is_true(std::string_view text) { return text == "true" || text == "1" || text == "True" || text == "TRUE" || text == "t" || text == "T"; }

void add_param(std::string& query, std::string_view name, std::string_view value) {
  query += (query.empty() ? "?" : "&") + std::string(name) + "=" + net::percent_encode(value);
}

Result<std::optional<int64_t>> number_param(const RequestContext& context, std::string_view name) {
  std::string_view text = context.param(name);
  if (text.empty()) return std::optional<int64_t>();
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return bad_request("strconv.ParseInt: parsing " + quoted(text) + ": invalid syntax");
  return std::optional<int64_t>(value);
}

// PodLogOptions as they came, checked, and written again for the kubelet.
Result<std::string> log_query(const RequestContext& context) {
  TRY_ASSIGN(std::optional<int64_t> tail, number_param(context, "tailLines"));
  TRY_ASSIGN(std::optional<int64_t> limit, number_param(context, "limitBytes"));
  TRY_ASSIGN(std::optional<int64_t> since, number_param(context, "sinceSeconds"));
  std::string_view since_time = context.param("sinceTime");
  FieldErrors errors;
  if (tail && *tail < 0) errors.invalid(Path("tailLines"), std::to_string(*tail), "must be greater than or equal to 0");
  if (limit && *limit < 1) errors.invalid(Path("limitBytes"), std::to_string(*limit), "must be greater than 0");
  if (since && !since_time.empty()) {
    errors.forbidden(Path(""), "at most one of `sinceTime` or `sinceSeconds` may be specified");
  } else if (since && *since < 1) {
    errors.invalid(Path("sinceSeconds"), std::to_string(*since), "must be greater than 0");
  }
  if (!errors.empty()) return invalid_status("", "PodLogOptions", context.info.name, errors);
  std::string query;
  if (is_true(context.param("follow"))) add_param(query, "follow", "true");
  if (is_true(context.param("previous"))) add_param(query, "previous", "true");
  if (is_true(context.param("timestamps"))) add_param(query, "timestamps", "true");
  if (since) add_param(query, "sinceSeconds", std::to_string(*since));
  if (!since_time.empty()) add_param(query, "sinceTime", since_time);
  if (tail) add_param(query, "tailLines", std::to_string(*tail));
  if (limit) add_param(query, "limitBytes", std::to_string(*limit));
  return query;
}

// A log over WebSocket: each piece is one message, as upstream's reader wrapper sends them.
Task<Status> log_over_websocket(RequestContext& context, Backend backend) {
  net::ClientOptions options;
  options.address = backend.address;
  options.tls = backend.tls;
  options.version = net::HttpVersion::kHttp1;
  Executor executor = co_await this_executor();
  std::unique_ptr<net::Client> client = net::make_client(executor, std::move(options));
  net::ClientRequest request;
  request.target = backend.target;
  auto response = co_await client->send(std::move(request));
  if (!response.ok()) co_return service_unavailable("error trying to reach the kubelet: " + std::string(response.status().message()));
  if (response->status != 200) {
    Status refusal = co_await refusal_of(*response);
    co_return refusal;
  }
  std::vector<std::string> protocols = {"", "binary.k8s.io", "base64.binary.k8s.io"};
  size_t max_message = net::WebSocket::kMaxMessage;
  auto socket = co_await net::accept_websocket(&context.request, &context.writer, std::move(protocols), max_message);
  if (!socket.ok()) co_return Status();  // the refusal has been sent
  bool binary = (*socket)->protocol() != "base64.binary.k8s.io";
  for (;;) {
    auto piece = co_await response->body->read();
    if (!piece.ok() || piece->empty()) break;
    Status written = co_await (*socket)->write(binary, std::move(*piece));
    if (!written.ok()) co_return Status();
  }
  std::string reason;
  co_await (*socket)->close(1000, std::move(reason));
  co_return Status();
}

// exec and attach name a container in the path and repeat their options in the query.
Task<Status> connect_stream(RequestContext& context, std::string_view kubelet_path, bool with_container) {
  CO_TRY(expect_connect(context));
  CO_TRY_ASSIGN(PodPtr pod, find_pod(context));
  std::string container;
  if (with_container) {
    CO_TRY_ASSIGN(container, choose_container(*pod, context.param("container")));
  }
  if (pod->spec.node_name.empty()) co_return bad_request("pod " + context.info.name + " does not have a host assigned");
  CO_TRY_ASSIGN(Backend backend, kubelet_of(context.server, pod->spec.node_name.str()));
  std::string query;
  for (const auto& [name, value] : context.query) {
    // The kubelet's names of the same options.
    if (name == "stdin" || name == "stdout" || name == "stderr") {
      if (is_true(value)) add_param(query, name == "stdin" ? "input" : name == "stdout" ? "output" : "error", "1");
    } else if (name == "tty") {
      if (is_true(value)) add_param(query, "tty", "1");
    } else if (name == "command") {
      add_param(query, "command", value);
    } else if (name == "ports") {
      add_param(query, "port", value);
    }
  }
  backend.target = "/" + std::string(kubelet_path) + "/" + pod->metadata.namespace_.str() + "/" + pod->metadata.name.str();
  if (with_container) backend.target += "/" + container;
  backend.target += query;
  Status status = co_await forward(context, std::move(backend));
  co_return status;
}

}  // namespace

Task<Status> get_log(RequestContext& context) {
  if (context.info.parts.size() != 3) co_return generic_not_found();
  if (context.info.verb != "get") co_return method_not_allowed();
  CO_TRY_ASSIGN(PodPtr pod, find_pod(context));
  CO_TRY_ASSIGN(std::string query, log_query(context));
  CO_TRY_ASSIGN(std::string container, choose_container(*pod, context.param("container")));
  if (pod->spec.node_name.empty()) {
    // Nothing has run yet, so there is nothing to say.
    net::Headers headers = response_headers(context);
    Body empty;
    Status status = co_await context.writer.respond(204, std::move(headers), std::move(empty));
    co_return status;
  }
  CO_TRY_ASSIGN(Backend backend, kubelet_of(context.server, pod->spec.node_name.str()));
  backend.statuses = true;
  backend.target = "/containerLogs/" + pod->metadata.namespace_.str() + "/" + pod->metadata.name.str() + "/" + container + query;
  Status status;
  if (net::is_websocket_request(context.request)) {
    status = co_await log_over_websocket(context, std::move(backend));
  } else {
    status = co_await forward(context, std::move(backend));
  }
  co_return status;
}

Task<Status> connect_exec(RequestContext& context) { return connect_stream(context, "exec", true); }
Task<Status> connect_attach(RequestContext& context) { return connect_stream(context, "attach", true); }
Task<Status> connect_port_forward(RequestContext& context) { return connect_stream(context, "portForward", false); }

}  // namespace knarr::apiserver::subresource
