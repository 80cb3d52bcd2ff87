// SPDX-License-Identifier: Apache-2.0
#include "kubelet/probe/action.h"

#include <fmt/core.h>

#include "net/client.h"
#include "net/grpc.h"
#include "schema/json.h"
#include "schema/time.h"

namespace knarr::kubelet {

namespace {

constexpr int kMaxRedirects = 10;

std::string quoted(std::string_view text) {
  std::string out;
  json::write_string(out, text);
  return out;
}

std::string join_host_port(std::string_view host, int port) {
  if (host.find(':') != std::string_view::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

std::string join_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// Bytes that cannot stand in a request line are escaped; what is escaped already stays.
std::string request_target(std::string_view path) {
  std::string out;
  if (path.empty() || path.front() != '/') out += '/';
  for (char c : path.substr(0, path.find('#'))) {
    auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '<' || c == '>') {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

Result<net::ClientOptions> client_options(const HttpTarget& target) {
  net::ClientOptions options;
  options.address = join_host_port(target.host, target.port);
  if (target.scheme == "https") {
    net::TlsClientOptions tls;
    tls.insecure_skip_verify = true;
    TRY_ASSIGN(options.tls, net::make_tls_client_context(tls));
  } else {
    options.version = net::HttpVersion::kHttp1;
  }
  return options;
}

// The pieces of "scheme://host:port/path" or of a path, relative to `from`. False when it leads elsewhere.
bool follow(HttpTarget& from, std::string_view location) {
  size_t scheme = location.find("://");
  if (scheme == std::string_view::npos) {
    if (location.empty()) return false;
    if (location.front() == '/') {
      from.path = location;
    } else {
      std::string base = from.path.substr(0, from.path.find('?'));
      from.path = base.substr(0, base.rfind('/') + 1) + std::string(location);
    }
    return true;
  }
  std::string_view name = location.substr(0, scheme), rest = location.substr(scheme + 3);
  size_t slash = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  int port = name == "https" ? 443 : 80;
  std::string_view host = authority;
  size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
    host = authority.substr(0, colon);
    port = std::atoi(std::string(authority.substr(colon + 1)).c_str());
  }
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host != from.host || port <= 0 || port > 65535) return false;
  from.scheme = name;
  from.port = port;
  from.path = path;
  return true;
}

struct HttpRun {
  explicit HttpRun(Executor executor) : done(std::move(executor)) {}
  std::shared_ptr<net::Client> client;
  ActionOutcome outcome;
  Notifier done;
  bool finished = false;
};

net::ClientRequest make_request(const HttpTarget& target) {
  net::ClientRequest request;
  request.target = request_target(target.path);
  bool agent = false, accept = false;
  for (const auto& [name, value] : target.headers) {
    net::Headers probe;
    probe.add(name, value);
    if (probe.has("user-agent")) agent = true;
    if (probe.has("accept")) {
      accept = true;
      if (value.empty()) continue;
    }
    if (probe.has("host")) {
      request.headers.set("Host", value);
    } else {
      request.headers.add(name, value);
    }
  }
  if (!agent) request.headers.set("User-Agent", target.user_agent);
  if (!accept) request.headers.set("Accept", "*/*");
  request.headers.set("Connection", "close");
  return request;
}

// The first kMaxActionOutput bytes; the rest is not waited for.
Task<Result<std::string>> read_some(net::BodyReader& body) {
  std::string text;
  while (text.size() < kMaxActionOutput) {
    auto piece = co_await body.read();
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) break;
    text += *piece;
  }
  if (text.size() > kMaxActionOutput) text.resize(kMaxActionOutput);
  co_return text;
}

Task<ActionOutcome> http_exchange(std::shared_ptr<HttpRun> run, HttpTarget target) {
  Executor executor = co_await this_executor();
  ActionOutcome outcome;
  for (int hop = 0;; ++hop) {
    if (hop == kMaxRedirects) {
      outcome.result = ActionResult::kFailure;
      outcome.output = fmt::format("Get {}: stopped after 10 redirects", quoted(target.url()));
      co_return outcome;
    }
    auto options = client_options(target);
    if (!options.ok()) {
      outcome.output = options.status().message();
      co_return outcome;
    }
    run->client = net::make_client(executor, *options);
    net::ClientRequest request = make_request(target);
    auto response = co_await run->client->send(std::move(request));
    if (!response.ok()) {
      outcome.result = ActionResult::kFailure;
      outcome.output = fmt::format("Get {}: {}", quoted(target.url()), response.status().message());
      co_return outcome;
    }
    int code = response->status;
    if (code == 301 || code == 302 || code == 303 || code == 307 || code == 308) {
      std::string location(response->headers.get("location"));
      if (!location.empty() && follow(target, location)) continue;
    }
    auto body = co_await read_some(*response->body);
    if (!body.ok()) {
      outcome.output = body.status().message();
      co_return outcome;
    }
    if (code >= 200 && code < 300) {
      outcome.result = ActionResult::kSuccess;
      outcome.output = *body;
    } else if (code >= 300 && code < 400) {
      outcome.result = ActionResult::kWarning;
      outcome.output = "Probe terminated redirects, Response body: " + *body;
    } else {
      outcome.result = ActionResult::kFailure;
      outcome.output = fmt::format("HTTP probe failed with statuscode: {}", code);
    }
    co_return outcome;
  }
}

Task<void> drive_http(std::shared_ptr<HttpRun> run, HttpTarget target) {
  ActionOutcome outcome = co_await http_exchange(run, std::move(target));
  run->outcome = std::move(outcome);
  run->finished = true;
  run->done.notify();
}

std::string serving_name(int status) {
  switch (status) {
    case 0: return "UNKNOWN";
    case 2: return "NOT_SERVING";
    case 3: return "SERVICE_UNKNOWN";
    default: return std::to_string(status);
  }
}

}  // namespace

Result<int> resolve_port(const schema::IntOrString& port, const core::Container& container) {
  int number = port.number;
  if (port.is_string) {
    number = -1;
    for (const core::ContainerPort& item : container.ports)
      if (item.name == port.text) number = item.container_port;
    if (number < 0) {
      char* end = nullptr;
      long parsed = std::strtol(port.text.c_str(), &end, 10);
      if (end == port.text.c_str() || *end != '\0') {
        return Status::error(fmt::format("strconv.Atoi: parsing {}: invalid syntax", quoted(port.text)));
      }
      number = parsed > 0 && parsed < 65536 ? static_cast<int>(parsed) : 0;
    }
  }
  if (number > 0 && number < 65536) return number;
  return Status::error(fmt::format("invalid port number: {}", number));
}

std::string HttpTarget::url() const { return scheme + "://" + join_host_port(host, port) + request_target(path); }

Result<HttpTarget> http_target(const core::HTTPGetAction& action, const core::Container& container, std::string_view pod_ip,
                               std::string_view purpose) {
  HttpTarget target;
  if (action.scheme == "HTTPS") target.scheme = "https";
  target.host = action.host.empty() ? std::string(pod_ip) : action.host.str();
  TRY_ASSIGN(target.port, resolve_port(action.port, container));
  target.path = action.path.str();
  for (const core::HTTPHeader& header : action.http_headers) target.headers.emplace_back(header.name.str(), header.value.str());
  target.user_agent = "kube-" + std::string(purpose) + "/1.28";
  return target;
}

Task<ActionOutcome> run_exec(RuntimeService& runtime, std::string container_id, std::vector<std::string> command, Duration timeout) {
  ActionOutcome outcome;
  std::string words = join_words(command);
  auto answer = co_await runtime.exec_sync(container_id, std::move(command), timeout);
  if (!answer.ok()) {
    if (answer.status().is("DeadlineExceeded")) {
      outcome.result = ActionResult::kFailure;
      outcome.output = "command " + quoted(words) + " timed out";
    } else {
      outcome.output = answer.status().message();
    }
    co_return outcome;
  }
  outcome.output = answer->stdout.str() + answer->stderr.str();
  if (outcome.output.size() > kMaxActionOutput) outcome.output.resize(kMaxActionOutput);
  outcome.result = answer->exit_code == 0 ? ActionResult::kSuccess : ActionResult::kFailure;
  co_return outcome;
}

Task<ActionOutcome> run_http(HttpTarget target, Duration timeout) {
  Executor executor = co_await this_executor();
  auto run = std::make_shared<HttpRun>(executor);
  std::string url = target.url();
  spawn(executor, drive_http(run, std::move(target)));
  if (timeout <= Duration::zero()) {
    while (!run->finished) co_await run->done.wait();
    co_return run->outcome;
  }
  if (!run->finished) co_await run->done.wait_for(timeout);
  if (run->finished) co_return run->outcome;
  if (run->client) run->client->close();
  ActionOutcome outcome;
  outcome.result = ActionResult::kFailure;
  outcome.output = fmt::format("Get {}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)", quoted(url));
  co_return outcome;
}

Task<ActionOutcome> run_tcp(std::string host, int port, Duration timeout) {
  ActionOutcome outcome;
  std::string address = join_host_port(host, port);
  auto stream = co_await net::dial(address, nullptr, timeout);
  if (stream.ok()) {
    (*stream)->close();
    outcome.result = ActionResult::kSuccess;
  } else {
    outcome.result = ActionResult::kFailure;
    outcome.output = stream.status().message();
  }
  co_return outcome;
}

Task<ActionOutcome> run_grpc(std::string host, int port, std::string service, Duration timeout) {
  Executor executor = co_await this_executor();
  ActionOutcome outcome;
  outcome.result = ActionResult::kFailure;
  net::ClientOptions options;
  options.address = join_host_port(host, port);
  options.version = net::HttpVersion::kHttp2;
  options.connect_timeout = timeout;
  std::shared_ptr<net::Client> client = net::make_client(executor, options);
  auto channel = net::make_grpc_channel(client);
  // HealthCheckRequest{service = 1}
  std::string message;
  if (!service.empty() && service.size() < 16384) {
    message += '\x0a';
    size_t size = service.size();
    if (size >= 128) message += static_cast<char>((size & 0x7f) | 0x80);
    message += static_cast<char>(size >= 128 ? size >> 7 : size);
    message += service;
  }
  std::string method = "/grpc.health.v1.Health/Check";
  auto answer = co_await channel->call(std::move(method), std::move(message), timeout);
  client->close();
  std::string limit = schema::format_duration(timeout.count());
  if (!answer.ok()) {
    const Status& status = answer.status();
    if (status.is("Unimplemented")) {
      outcome.output = fmt::format("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}", status.message());
    } else if (status.is("DeadlineExceeded")) {
      outcome.output = fmt::format("timeout: health rpc did not complete within {}", limit);
    } else if (status.is("Unavailable")) {
      outcome.output = fmt::format("timeout: failed to connect service {} within {}: {}", quoted(options.address), limit, status.message());
    } else {
      outcome.output = fmt::format("error: health rpc probe failed: {}", status.message());
    }
    co_return outcome;
  }
  // HealthCheckResponse{status = 1}; an empty message is UNKNOWN.
  int serving = answer->size() >= 2 && (*answer)[0] == '\x08' ? static_cast<unsigned char>((*answer)[1]) : 0;
  if (serving == 1) {
    outcome.result = ActionResult::kSuccess;
    outcome.output = "service healthy";
  } else {
    outcome.output = fmt::format("service unhealthy (responded with {})", quoted(serving_name(serving)));
  }
  co_return outcome;
}

}  // namespace knarr::kubelet
