// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/proxy.h"

#include <arpa/inet.h>

#include <charconv>
#include <random>

#include "api/core_v1.h"
#include "apiserver/context.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "apiserver/subresource/backend.h"

namespace knarr::apiserver::subresource {
namespace {

using api::core_v1::Endpoints;
using api::core_v1::EndpointAddress;
using api::core_v1::Pod;
using api::core_v1::Service;

std::string join_host_port(const std::string& host, const std::string& port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

size_t random_below(size_t n) {
  thread_local std::minstd_rand generator(std::random_device{}());
  return generator() % n;
}

// Pods and services have certificates of their own making: nobody could check them.
Result<std::shared_ptr<net::TlsClientContext>> unverified_tls() {
  static const Result<std::shared_ptr<net::TlsClientContext>> context = [] {
    net::TlsClientOptions options;
    options.insecure_skip_verify = true;
    return net::make_tls_client_context(std::move(options));
  }();
  return context;
}

Result<Backend> backend_at(const ProxyTarget& target, const std::string& host, const std::string& port) {
  Backend backend;
  bool https = target.scheme == "https";
  backend.address = join_host_port(host, !port.empty() ? port : https ? "443" : "80");
  if (https) {
    TRY_ASSIGN(backend.tls, unverified_tls());
  }
  return backend;
}

Result<ProxyTarget> target_of(const RequestContext& context, std::string_view kind) {
  ProxyTarget target;
  if (!parse_proxy_target(context.info.name, target))
    return bad_request("invalid " + std::string(kind) + " request " + quoted(context.info.name));
  return target;
}

Result<Backend> find_pod_backend(RequestContext& context) {
  TRY_ASSIGN(ProxyTarget target, target_of(context, "pod"));
  auto pod = context.server.cached<Pod>(context.info.namespace_, target.name);
  if (pod == nullptr) return not_found("", "pods", target.name);
  if (target.port.empty()) {
    for (const auto& container : pod->spec.containers) {
      if (container.ports.empty()) continue;
      target.port = std::to_string(container.ports[0].container_port);
      break;
    }
  }
  std::string ip = pod->status.pod_ips.empty() ? std::string() : pod->status.pod_ips[0].ip.str();
  if (!is_global_unicast(ip)) return bad_request("address not allowed");
  return backend_at(target, ip, target.port);
}

// Endpoints may name any address; only those of pods in the same namespace are gone to.
bool is_pod_address(ApiServer& server, const std::string& ns, const EndpointAddress& address) {
  if (!address.target_ref || !(address.target_ref->namespace_ == ns)) return false;
  auto pod = server.cached<Pod>(ns, address.target_ref->name);
  if (pod == nullptr) return false;
  for (const auto& ip : pod->status.pod_ips)
    if (ip.ip == address.ip) return true;
  return false;
}

// The name of the service's port that has this number.
Result<std::string> port_name(ApiServer& server, const std::string& ns, const ProxyTarget& target) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(target.port.data(), target.port.data() + target.port.size(), number);
  if (error != std::errc() || end != target.port.data() + target.port.size()) return target.port;
  auto service = server.cached<Service>(ns, target.name);
  if (service == nullptr) return not_found("", "services", target.name);
  for (const auto& port : service->spec.ports)
    if (port.port == number) return port.name.str();
  return service_unavailable("no service port " + std::to_string(number) + " found for service " + quoted(target.name));
}

Result<Backend> find_service_backend(RequestContext& context) {
  const std::string& ns = context.info.namespace_;
  TRY_ASSIGN(ProxyTarget target, target_of(context, "service"));
  TRY_ASSIGN(std::string name, port_name(context.server, ns, target));
  auto endpoints = context.server.cached<Endpoints>(ns, target.name);
  if (endpoints == nullptr) return not_found("", "services", target.name);  // upstream's word, though it is the endpoints that are missing
  const auto& subsets = endpoints->subsets;
  if (subsets.empty()) return service_unavailable("no endpoints available for service " + quoted(target.name));
  size_t first = random_below(subsets.size());
  for (size_t i = 0; i < subsets.size(); ++i) {
    const auto& subset = subsets[(first + i) % subsets.size()];
    if (subset.addresses.empty()) continue;
    for (const auto& port : subset.ports) {
      if (!(port.name == name)) continue;
      size_t seed = random_below(subset.addresses.size());
      for (size_t j = 0; j < subset.addresses.size(); ++j) {
        const EndpointAddress& address = subset.addresses[(seed + j) % subset.addresses.size()];
        if (is_pod_address(context.server, ns, address)) return backend_at(target, address.ip.str(), std::to_string(port.port));
      }
    }
  }
  return service_unavailable("no endpoints available for service " + quoted(context.info.name));
}

Result<Backend> find_node_backend(RequestContext& context) {
  TRY_ASSIGN(ProxyTarget target, target_of(context, "node"));
  TRY_ASSIGN(Backend kubelet, kubelet_of(context.server, target.name));
  size_t colon = kubelet.address.rfind(':');
  std::string host = kubelet.address.substr(0, colon), port = kubelet.address.substr(colon + 1);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  in6_addr ignored{};
  bool is_ip = inet_pton(AF_INET, host.c_str(), &ignored) == 1 || inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
  if (is_ip && !is_global_unicast(host)) return bad_request("address not allowed");
  if (target.port.empty() || target.port == port) return kubelet;
  return backend_at(target, host, target.port);
}

// The raw path cut behind ".../proxy": what stands for the backend's root, and what is asked of it.
struct PathCut {
  std::string_view prefix, rest;
};
PathCut cut_path(std::string_view path, bool namespaced) {
  size_t at = 0;
  for (int segments = namespaced ? 7 : 5; segments > 0; --segments) {
    while (at < path.size() && path[at] == '/') ++at;
    at = std::min(path.find('/', at), path.size());
  }
  return {path.substr(0, at), path.substr(at)};
}

// Neither "." nor ".." nor empty segments; a slash at the end stays.
std::string clean_path(std::string_view path) {
  std::vector<std::string_view> kept;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string_view segment = path.substr(at, end - at);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  std::string out;
  for (std::string_view segment : kept) out.append("/").append(segment);
  if (out.empty() || path.ends_with('/')) out += '/';
  return out;
}

// As Go writes the path of a URL.
std::string escape_path(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF", kPlain = "-_.~$&+,/:;=@";
  std::string out;
  for (char c : path) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    auto byte = static_cast<uint8_t>(c);
    if (letter || kPlain.find(c) != std::string_view::npos) out += c;
    else out.append("%").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
  }
  return out;
}

Task<Status> redirect_to_root(RequestContext& context) {
  net::Headers headers = response_headers(context);
  std::string location = context.request.path + "/";
  if (!context.request.query.empty()) location += "?" + context.request.query;
  headers.add("Location", location);
  Body empty;
  Status status = co_await context.writer.respond(301, std::move(headers), std::move(empty));
  co_return status;
}

Task<Status> proxy_to(RequestContext& context, Backend backend) {
  const net::Request& request = context.request;
  PathCut cut = cut_path(request.path, context.resource->namespaced);
  bool upgrade = request.headers.has_token("Connection", "upgrade");
  // Relative links of the root page work only below a slash.
  if (cut.rest.empty() && !upgrade && (request.method == "GET" || request.method == "HEAD")) {
    Status status = co_await redirect_to_root(context);
    co_return status;
  }
  CO_TRY_ASSIGN(std::string decoded, net::percent_decode(cut.rest));
  std::string path = escape_path(clean_path(decoded));
  backend.target = path;
  if (!request.query.empty()) backend.target += "?" + request.query;
  backend.authority = request.authority;
  backend.link_prefix = cut.prefix;
  backend.extra_headers.add("X-Forwarded-Uri", std::string(cut.prefix) + path);
  Status status = co_await forward(context, std::move(backend));
  co_return status;
}

}  // namespace

bool parse_proxy_target(std::string_view text, ProxyTarget& target) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ':') parts.emplace_back();
    else parts.back() += c;
  }
  if (parts.size() > 3) return false;
  target = ProxyTarget();
  if (parts.size() == 3) target.scheme = parts[0];
  target.name = parts.size() == 3 ? parts[1] : parts[0];
  if (parts.size() > 1) target.port = parts.back();
  bool scheme = target.scheme.empty() || target.scheme == "http" || target.scheme == "https";
  return scheme && !target.name.empty();
}

bool is_global_unicast(const std::string& ip) {
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
    uint32_t address = ntohl(v4.s_addr);
    bool loopback = address >> 24 == 127, link_local = address >> 16 == 0xA9FE, multicast = address >> 28 == 0xE;
    return address != 0 && address != 0xFFFFFFFF && !loopback && !link_local && !multicast;
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, ip.c_str(), &v6) != 1) return false;
  return !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_LOOPBACK(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_LINKLOCAL(&v6);
}

Task<Status> connect_pod_proxy(RequestContext& context) {
  CO_TRY_ASSIGN(Backend backend, find_pod_backend(context));
  Status status = co_await proxy_to(context, std::move(backend));
  co_return status;
}

Task<Status> connect_service_proxy(RequestContext& context) {
  CO_TRY_ASSIGN(Backend backend, find_service_backend(context));
  Status status = co_await proxy_to(context, std::move(backend));
  co_return status;
}

Task<Status> connect_node_proxy(RequestContext& context) {
  CO_TRY_ASSIGN(Backend backend, find_node_backend(context));
  Status status = co_await proxy_to(context, std::move(backend));
  co_return status;
}

}  // namespace knarr::apiserver::subresource
