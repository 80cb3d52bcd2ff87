// SPDX-License-Identifier: Apache-2.0
#include "controller/hpa_metrics.h"

#include "schema/json.h"
#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::controller {
namespace {

constexpr std::string_view kCustomGroup = "custom.metrics.k8s.io";

std::string escaped(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~*";
  std::string out;
  for (char c : text) out += kPlain.find(c) != std::string_view::npos ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  return out;
}

Result<int64_t> milli_of(const json::Value& value) {
  std::string text = value.is_string() ? value.as_string() : std::to_string(value.as_int());
  TRY_ASSIGN(auto quantity, schema::QuantityValue::parse(text));
  return quantity.milli_value();
}

WallTime time_of(const json::Value& item) {
  auto time = schema::parse_time(item.at({"timestamp"}).as_string());
  return time.ok() ? schema::to_wall(*time) : WallTime{};
}

Result<json::Value> items_of(std::string_view text, std::string_view api) {
  TRY_ASSIGN(auto document, json::parse(text));
  if (document.at({"items"}).items().empty()) return Status::error(fmt::format("no metrics returned from {} metrics API", api));
  return document;
}

}  // namespace

Task<Result<std::string>> fetch_json(client::Client& client, std::string method, std::string target, std::string body, std::string what) {
  client::ApiRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.accept = "application/json";
  if (!body.empty()) request.content_type = "application/json";
  request.body = std::move(body);
  request.user_agent = client.user_agent();
  auto response = co_await client.transport().send(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status >= 200 && response->status < 300) co_return std::move(response->body);
  Status failure = client::status_of_response(response->status, response->headers.get("Content-Type"), response->body);
  // Not an object that is missing, but the path.
  bool is_unserved = response->status == 404 && (failure.info() == nullptr || failure.info()->name.empty());
  if (is_unserved) co_return Status::make(404, "NotFound", "the server could not find the requested resource (" + what + ")");
  co_return failure;
}

Result<PodMetrics> read_pod_metrics(std::string_view text, std::string_view resource, std::string_view container) {
  TRY_ASSIGN(auto document, items_of(text, "resource"));
  PodMetrics metrics;
  for (const json::Value& item : document.at({"items"}).items()) {
    const std::string& name = item.at({"metadata", "name"}).as_string();
    PodMetric metric;
    metric.timestamp = time_of(item);
    if (auto window = schema::parse_duration(item.at({"window"}).as_string()); window.ok()) metric.window = Duration(*window);
    bool found = false, complete = !item.at({"containers"}).items().empty();
    for (const json::Value& one : item.at({"containers"}).items()) {
      if (!container.empty() && one.at({"name"}).as_string() != container) continue;
      found = true;
      const json::Value& usage = one.at({"usage", resource});
      if (usage.is_null()) {
        complete = false;
        continue;
      }
      TRY_ASSIGN(int64_t value, milli_of(usage));
      metric.value += value;
    }
    if (!container.empty() && !found)
      return Status::error(fmt::format("failed to get container metrics: container {} not present in metrics for pod {}/{}", container,
                                       item.at({"metadata", "namespace"}).as_string(), name));
    if (complete) metrics[name] = metric;
  }
  return metrics;
}

Result<PodMetrics> read_metric_values(std::string_view text) {
  TRY_ASSIGN(auto document, items_of(text, "custom"));
  PodMetrics metrics;
  for (const json::Value& item : document.at({"items"}).items()) {
    PodMetric metric;
    metric.timestamp = time_of(item);
    int64_t window = item.at({"windowSeconds"}).is_null() ? item.at({"window"}).as_int() : item.at({"windowSeconds"}).as_int();
    metric.window = std::chrono::seconds(window == 0 ? 60 : window);
    TRY_ASSIGN(metric.value, milli_of(item.at({"value"})));
    metrics[item.at({"describedObject", "name"}).as_string()] = metric;
  }
  return metrics;
}

Task<Result<PodMetrics>> MetricsClient::of_resource(std::string ns, std::string selector, std::string resource, std::string container) {
  std::string method = "GET", body, what = "get pods.metrics.k8s.io";
  std::string target = fmt::format("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods?labelSelector={}", ns, escaped(selector));
  auto answer = co_await fetch_json(client_, std::move(method), std::move(target), std::move(body), std::move(what));
  if (!answer.ok()) co_return answer.status().with_context("unable to fetch metrics from resource metrics API");
  co_return read_pod_metrics(*answer, resource, container);
}

Task<Result<std::string>> MetricsClient::custom_version() {
  std::string method = "GET", body, target = fmt::format("/apis/{}", kCustomGroup), what = "get";
  auto answer = co_await fetch_json(client_, std::move(method), std::move(target), std::move(body), std::move(what));
  if (answer.status().code() == 404) co_return Status::error(fmt::format("no custom metrics API ({}) registered", kCustomGroup));
  if (!answer.ok()) co_return answer.status();
  auto group = json::parse(*answer);
  if (!group.ok()) co_return group.status();
  std::string version;
  for (const json::Value& one : group->at({"versions"}).items())
    if (version != "v1beta2") version = one.at({"version"}).as_string();
  co_return version;
}

Task<Result<PodMetrics>> MetricsClient::of_pods(std::string ns, std::string selector, std::string metric, std::string metric_selector) {
  auto version = co_await custom_version();
  if (!version.ok()) co_return version.status().with_context("unable to fetch metrics from custom metrics API");
  std::string method = "GET", body, what = fmt::format("get pods.{}", kCustomGroup);
  std::string target =
      fmt::format("/apis/{}/{}/namespaces/{}/pods/*/{}?labelSelector={}", kCustomGroup, *version, ns, escaped(metric), escaped(selector));
  if (!metric_selector.empty()) target += "&metricLabelSelector=" + escaped(metric_selector);
  auto answer = co_await fetch_json(client_, std::move(method), std::move(target), std::move(body), std::move(what));
  if (!answer.ok()) co_return answer.status().with_context("unable to fetch metrics from custom metrics API");
  co_return read_metric_values(*answer);
}

Task<Result<int64_t>> MetricsClient::of_object(std::string ns, std::string resource, std::string name, std::string metric,
                                               std::string metric_selector) {
  auto version = co_await custom_version();
  if (!version.ok()) co_return version.status().with_context("unable to fetch metrics from custom metrics API");
  std::string method = "GET", body, what = fmt::format("get {}.{}", resource, kCustomGroup);
  std::string place = resource == "namespaces" ? std::string("metrics") : escaped(resource) + "/" + escaped(name);
  std::string target = fmt::format("/apis/{}/{}/namespaces/{}/{}/{}", kCustomGroup, *version, ns, place, escaped(metric));
  if (!metric_selector.empty()) target += "?metricLabelSelector=" + escaped(metric_selector);
  auto answer = co_await fetch_json(client_, std::move(method), std::move(target), std::move(body), std::move(what));
  if (!answer.ok()) co_return answer.status().with_context("unable to fetch metrics from custom metrics API");
  auto values = read_metric_values(*answer);
  if (!values.ok()) co_return values.status();
  if (values->size() != 1)
    co_return Status::error(fmt::format("the custom metrics API server returned {} results when we asked for exactly one", values->size()));
  co_return values->begin()->second.value;
}

Task<Result<int64_t>> MetricsClient::of_external(std::string ns, std::string metric, std::string metric_selector) {
  std::string method = "GET", body, what = fmt::format("get {}.external.metrics.k8s.io", metric);
  std::string target = fmt::format("/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{}", ns, escaped(metric));
  if (!metric_selector.empty()) target += "?labelSelector=" + escaped(metric_selector);
  auto answer = co_await fetch_json(client_, std::move(method), std::move(target), std::move(body), std::move(what));
  if (!answer.ok()) co_return answer.status().with_context("unable to fetch metrics from external metrics API");
  auto document = items_of(*answer, "external");
  if (!document.ok()) co_return document.status();
  int64_t sum = 0;
  for (const json::Value& item : document->at({"items"}).items()) {
    auto value = milli_of(item.at({"value"}));
    if (!value.ok()) co_return value.status();
    sum += *value;
  }
  co_return sum;
}

}  // namespace knarr::controller
