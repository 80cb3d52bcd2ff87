// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/backend.h"

#include <algorithm>
#include <mutex>

#include "api/core_v1.h"
#include "apiserver/errors.h"
#include "apiserver/subresource/html_links.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::Node;

constexpr const char* kHopByHop[] = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
                                     "transfer-encoding", "upgrade", "host", "http2-settings", "proxy-connection"};

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == y; });
}

bool is_hop_by_hop(std::string_view name) {
  return std::any_of(std::begin(kHopByHop), std::end(kHopByHop), [&](const char* hop) { return same_name(name, hop); });
}

net::Headers end_to_end(const net::Headers& headers, bool keep_authorization) {
  net::Headers out;
  for (const auto& [name, value] : headers.fields()) {
    if (is_hop_by_hop(name) || (!keep_authorization && same_name(name, "authorization"))) continue;
    out.add(name, value);
  }
  return out;
}

bool wants_upgrade(const net::Request& request) {
  return request.headers.has_token("Connection", "upgrade") && request.headers.has("Upgrade");
}

net::ClientRequest request_for(const RequestContext& context, const Backend& backend) {
  net::ClientRequest request;
  request.method = context.request.method;
  request.target = backend.target;
  request.headers = end_to_end(context.request.headers, backend.keep_authorization);
  if (context.request.peer != nullptr) request.headers.add("X-Forwarded-For", context.request.peer->address);
  for (const auto& [name, value] : backend.extra_headers.fields()) request.headers.set(name, value);
  return request;
}

Status unreachable(const Status& why) { return service_unavailable("error trying to reach service: " + std::string(why.message())); }

// A page in plain text, whose links can be put right.
bool is_plain_html(const net::Headers& headers) {
  std::string_view type = headers.get("Content-Type");
  type = type.substr(0, type.find(';'));
  while (type.starts_with(' ')) type.remove_prefix(1);
  while (type.ends_with(' ')) type.remove_suffix(1);
  return type == "text/html" && headers.get("Content-Encoding").empty();
}

// What a proxied server says about itself is made to fit the path that it is seen under.
std::unique_ptr<HtmlLinks> adapt_head(const RequestContext& context, const Backend& backend, net::Headers& headers) {
  if (backend.link_prefix.empty()) return nullptr;
  for (const char* name : {"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
                           "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age"})
    headers.remove(name);
  LinkRules rules{backend.link_prefix, backend.address, context.request.authority};
  std::string_view location = headers.get("Location");
  if (!location.empty()) {
    std::string rewritten = rewrite_url(location, rules);
    headers.set("Location", rewritten);
    return nullptr;
  }
  if (!is_plain_html(headers) || context.request.method == "HEAD") return nullptr;
  headers.remove("Content-Length");
  return std::make_unique<HtmlLinks>(std::move(rules));
}

// The answer's head and body, piece by piece.
Task<Status> copy_response(RequestContext& context, const Backend& backend, net::ClientResponse response) {
  net::ResponseWriter& writer = context.writer;
  net::Headers headers = end_to_end(response.headers, true);
  std::unique_ptr<HtmlLinks> links = adapt_head(context, backend, headers);
  Status status = co_await writer.start(response.status, std::move(headers));
  while (status.ok()) {
    auto piece = co_await response.body->read();
    if (!piece.ok()) co_return piece.status();
    bool end = piece->empty();
    std::string text = links == nullptr ? std::move(*piece) : end ? links->finish() : links->feed(*piece);
    if (!text.empty()) {
      Body body{std::string_view(text)};
      status = co_await writer.write(std::move(body));
    }
    if (end) break;
  }
  co_return status;
}

Task<Status> forward_upgrade(RequestContext& context, net::Client& client, const Backend& backend) {
  net::ClientRequest request = request_for(context, backend);
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Upgrade", context.request.headers.get("Upgrade"));
  auto upgraded = co_await client.upgrade(std::move(request));
  if (!upgraded.ok()) co_return unreachable(upgraded.status());
  if (upgraded->stream == nullptr) {
    Status copied = co_await copy_response(context, backend, std::move(upgraded->response));
    co_return copied;
  }
  net::Headers headers = upgraded->response.headers;
  auto downstream = co_await context.writer.upgrade(std::move(headers));
  if (!downstream.ok()) co_return downstream.status();
  co_await net::tunnel(std::move(*downstream), std::move(upgraded->stream));
  co_return Status();
}

// Bodies of unknown length are passed on as they come.
Task<Status> send_body(net::BodyReader& from, net::ClientExchange& to) {
  for (;;) {
    auto piece = co_await from.read();
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) break;
    Body body{std::string_view(*piece)};
    Status written = co_await to.write(std::move(body));
    // A server may answer before it has read everything; its answer tells more than our broken pipe.
    if (!written.ok()) co_return Status();
  }
  Status finished = co_await to.finish();
  static_cast<void>(finished);
  co_return Status();
}

Task<Status> forward_plain(RequestContext& context, net::Client& client, const Backend& backend) {
  net::ClientRequest request = request_for(context, backend);
  bool has_body = context.request.headers.has("Content-Length") || context.request.headers.has("Transfer-Encoding") ||
                  (request.method != "GET" && request.method != "HEAD");
  if (!has_body) {
    auto response = co_await client.send(std::move(request));
    if (!response.ok()) co_return unreachable(response.status());
    if (backend.statuses && (response->status < 200 || response->status > 206)) {
      Status refusal = co_await refusal_of(*response);
      co_return refusal;
    }
    Status copied = co_await copy_response(context, backend, std::move(*response));
    co_return copied;
  }
  auto exchange = co_await client.open(std::move(request));
  if (!exchange.ok()) co_return unreachable(exchange.status());
  Status sent = co_await send_body(*context.request.body, **exchange);
  CO_TRY(sent);
  auto response = co_await (*exchange)->response();
  if (!response.ok()) co_return unreachable(response.status());
  Status copied = co_await copy_response(context, backend, std::move(*response));
  co_return copied;
}

// Made once; the files are watched by the context itself.
Result<std::shared_ptr<net::TlsClientContext>> kubelet_tls(const Options& options) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<net::TlsClientContext>> contexts;
  std::lock_guard lock(mutex);
  auto& context = contexts[options.kubelet_client_cert_file + "\n" + options.kubelet_ca_file];
  if (context == nullptr) {
    net::TlsClientOptions tls;
    tls.cert_file = options.kubelet_client_cert_file;
    tls.key_file = options.kubelet_client_key_file;
    tls.ca_file = options.kubelet_ca_file;
    tls.insecure_skip_verify = options.kubelet_ca_file.empty();
    TRY_ASSIGN(context, net::make_tls_client_context(std::move(tls)));
  }
  return context;
}

std::string preferred_address(const Node& node) {
  for (const char* type : {"InternalIP", "Hostname", "InternalDNS", "ExternalDNS", "ExternalIP"})
    for (const auto& address : node.status.addresses)
      if (address.type == type) return address.address.str();
  return {};
}

}  // namespace

Task<Status> refusal_of(net::ClientResponse& response) {
  constexpr size_t kMaxText = 50'000;
  auto text = co_await response.body->read_all(kMaxText);
  if (!text.ok()) co_return internal_error(text.status().message());
  if (response.status == 500) co_return internal_error(*text);
  if (response.status == 400) co_return bad_request(*text);
  if (response.status == 404) co_return generic_not_found();
  co_return Status::make(response.status, response.status == 403 ? "Forbidden" : response.status >= 500 ? "InternalError" : "", *text);
}

Task<Status> forward(RequestContext& context, Backend backend) {
  net::ClientOptions options;
  options.address = backend.address;
  options.authority = backend.authority;
  options.tls = backend.tls;
  // An upgrade needs HTTP/1.1, and one exchange gains nothing from HTTP/2.
  options.version = net::HttpVersion::kHttp1;
  Executor executor = co_await this_executor();
  std::unique_ptr<net::Client> client = net::make_client(executor, std::move(options));
  net::Client* raw = client.get();
  context.writer.on_close([raw] { raw->close(); });
  Status status;
  if (wants_upgrade(context.request)) {
    status = co_await forward_upgrade(context, *client, backend);
  } else {
    status = co_await forward_plain(context, *client, backend);
  }
  context.writer.on_close(nullptr);
  co_return status;
}

Result<Backend> kubelet_of(ApiServer& server, const std::string& node_name) {
  auto node = server.cached<Node>("", node_name);
  if (node == nullptr) return not_found("", "nodes", node_name);
  std::string host = preferred_address(*node);
  if (host.empty()) return internal_error("no preferred addresses found; known addresses: []");
  int32_t port = node->status.daemon_endpoints.kubelet_endpoint.port;
  Backend backend;
  backend.address = (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port > 0 ? port : 10250);
  TRY_ASSIGN(backend.tls, kubelet_tls(server.options()));
  return backend;
}

}  // namespace knarr::apiserver::subresource
