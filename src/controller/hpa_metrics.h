// SPDX-License-Identifier: Apache-2.0
// The three APIs that autoscalers read: resource metrics (metrics.k8s.io), custom (custom.metrics.k8s.io) and external ones
// (external.metrics.k8s.io). All of them are served by others, through the aggregator; none need be there.
#pragma once

#include <string>
#include <vector>

#include "client/client.h"
#include "controller/hpa_replicas.h"

namespace knarr::controller {

// Answers the body of a 2xx; errors are the server's, a path that nobody serves "the server could not find the requested resource (WHAT)".
Task<Result<std::string>> fetch_json(client::Client& client, std::string method, std::string target, std::string body, std::string what);

class MetricsClient {
 public:
  explicit MetricsClient(client::Client& client) : client_(client) {}
  // Selectors are in text form.
  Task<Result<PodMetrics>> of_resource(std::string ns, std::string selector, std::string resource, std::string container);
  Task<Result<PodMetrics>> of_pods(std::string ns, std::string selector, std::string metric, std::string metric_selector);
  // `resource` is "deployments.apps"; "namespaces" is the namespace itself.
  Task<Result<int64_t>> of_object(std::string ns, std::string resource, std::string name, std::string metric, std::string metric_selector);
  Task<Result<int64_t>> of_external(std::string ns, std::string metric, std::string metric_selector);  // the sum

 private:
  Task<Result<std::string>> custom_version();
  client::Client& client_;
};

// Of a metrics.k8s.io/v1beta1 PodMetricsList and a custom.metrics.k8s.io MetricValueList.
Result<PodMetrics> read_pod_metrics(std::string_view json, std::string_view resource, std::string_view container);
Result<PodMetrics> read_metric_values(std::string_view json);

}  // namespace knarr::controller
