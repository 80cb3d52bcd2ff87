// SPDX-License-Identifier: Apache-2.0
// Validation of probes and lifecycle handlers.
#include "apiserver/strategy/pod.h"

namespace knarr::apiserver {

namespace {

void validate_http_get(const core::HTTPGetAction& action, const Path& path, FieldErrors& errors) {
  if (action.path.empty()) errors.required(path / "path");
  validate_port_or_name(action.port, path / "port", errors);
  validate_supported(action.scheme, {"HTTP", "HTTPS"}, path / "scheme", errors);
  for (const core::HTTPHeader& header : action.http_headers)
    invalid_each(path / "httpHeaders", header.name, check_http_header_name(header.name), errors);
}

// `grpc` null for lifecycle handlers, which have none.
void validate_handler(const core::ExecAction* exec, const core::HTTPGetAction* http,
                      const core::TCPSocketAction* tcp, const core::GRPCAction* grpc,
                      const Path& path, FieldErrors& errors) {
  int count = 0;
  auto first = [&](std::string_view name) {
    if (count++ == 0) return true;
    errors.forbidden(path / name, "may not specify more than 1 handler type");
    return false;
  };
  if (exec != nullptr && first("exec") && exec->command.empty())
    errors.required(path / "exec" / "command");
  if (http != nullptr && first("httpGet")) validate_http_get(*http, path / "httpGet", errors);
  if (tcp != nullptr && first("tcpSocket"))
    validate_port_or_name(tcp->port, path / "tcpSocket" / "port", errors);
  if (grpc != nullptr && first("grpc"))
    validate_port_or_name(schema::IntOrString(grpc->port), path / "grpc" / "port", errors);
  if (count == 0) errors.required(path, "must specify a handler type");
}

void validate_probe(const core::Probe& probe, const Path& path, FieldErrors& errors) {
  const core::ProbeHandler& handler = probe.handler;
  validate_handler(handler.exec.get(), handler.http_get.get(), handler.tcp_socket.get(),
                   handler.grpc.get(), path, errors);
  validate_nonnegative(probe.initial_delay_seconds, path / "initialDelaySeconds", errors);
  validate_nonnegative(probe.timeout_seconds, path / "timeoutSeconds", errors);
  validate_nonnegative(probe.period_seconds, path / "periodSeconds", errors);
  validate_nonnegative(probe.success_threshold, path / "successThreshold", errors);
  validate_nonnegative(probe.failure_threshold, path / "failureThreshold", errors);
  if (probe.termination_grace_period_seconds && *probe.termination_grace_period_seconds <= 0)
    errors.invalid(path / "terminationGracePeriodSeconds",
                   std::to_string(*probe.termination_grace_period_seconds),
                   "must be greater than 0");
}

void validate_lifecycle_handler(const core::LifecycleHandler& handler, const Path& path,
                                FieldErrors& errors) {
  validate_handler(handler.exec.get(), handler.http_get.get(), handler.tcp_socket.get(), nullptr,
                   path, errors);
}

}  // namespace

void validate_lifecycle(const core::Container& container, const Path& path, FieldErrors& errors) {
  if (!container.lifecycle) return;
  if (container.lifecycle->post_start)
    validate_lifecycle_handler(*container.lifecycle->post_start, path / "lifecycle" / "postStart",
                               errors);
  if (container.lifecycle->pre_stop)
    validate_lifecycle_handler(*container.lifecycle->pre_stop, path / "lifecycle" / "preStop",
                               errors);
}

void validate_probes(const core::Container& container, const Path& path, FieldErrors& errors) {
  auto once = [&](const core::Probe& probe, const Path& at) {
    validate_probe(probe, at, errors);
    if (probe.success_threshold != 1)
      errors.invalid(at / "successThreshold", std::to_string(probe.success_threshold), "must be 1");
  };
  if (container.liveness_probe) once(*container.liveness_probe, path / "livenessProbe");
  if (container.readiness_probe) {
    Path at = path / "readinessProbe";
    validate_probe(*container.readiness_probe, at, errors);
    if (container.readiness_probe->termination_grace_period_seconds)
      errors.invalid(at / "terminationGracePeriodSeconds",
                     std::to_string(*container.readiness_probe->termination_grace_period_seconds),
                     "must not be set for readinessProbes");
  }
  if (container.startup_probe) once(*container.startup_probe, path / "startupProbe");
}

}  // namespace knarr::apiserver
