// SPDX-License-Identifier: Apache-2.0
// GET /containerLogs/NAMESPACE/POD/CONTAINER
#include <charconv>

#include "kubelet/env/field_path.h"
#include "kubelet/server/call.h"
#include "kubelet/server/log_reader.h"
#include "schema/time.h"

namespace knarr::kubelet {
namespace core = api::core_v1;
namespace {

constexpr std::string_view kUndecodable = "{\"message\": \"Unable to decode query.\"}";
constexpr std::string_view kInvalid = "{\"message\": \"Invalid request.\"}";

struct LogQuery {
  LogOptions options;
  bool previous = false;
};

bool parse_int(std::string_view text, int64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// Go's conversion of query parameters: anything but "false" and "0" is true, also the bare name.
bool parse_flag(const Call& call, std::string_view name) {
  if (!call.has_param(name)) return false;
  std::string_view value = call.param(name);
  return value != "false" && value != "0";
}

Result<LogQuery> parse_log_query(const Call& call, WallTime now) {
  LogQuery query;
  query.previous = parse_flag(call, "previous");
  query.options.follow = parse_flag(call, "follow");
  query.options.timestamps = parse_flag(call, "timestamps");
  // "tail" is the old name, and may be "all".
  std::string_view tail = call.has_param("tail") ? call.param("tail") : call.param("tailLines");
  if (tail == "all" && call.has_param("tail")) tail = {};
  if (!tail.empty()) {
    if (!parse_int(tail, &query.options.tail)) return Status::make(400, "BadRequest", kUndecodable);
    if (query.options.tail < 0) return Status::make(422, "Invalid", kInvalid);
  }
  if (std::string_view limit = call.param("limitBytes"); !limit.empty()) {
    if (!parse_int(limit, &query.options.limit_bytes))
      return Status::make(400, "BadRequest", kUndecodable);
    if (query.options.limit_bytes < 1) return Status::make(422, "Invalid", kInvalid);
  }
  std::string_view seconds_text = call.param("sinceSeconds"), time_text = call.param("sinceTime");
  if (!seconds_text.empty() && !time_text.empty()) return Status::make(422, "Invalid", kInvalid);
  if (!seconds_text.empty()) {
    int64_t seconds = 0;
    if (!parse_int(seconds_text, &seconds)) return Status::make(400, "BadRequest", kUndecodable);
    if (seconds < 1) return Status::make(422, "Invalid", kInvalid);
    // Longer ago than any log: no bound, rather than an overflow.
    constexpr int64_t kAges = int64_t{100} * 366 * 86400;
    if (seconds < kAges) query.options.since = now - std::chrono::seconds(seconds);
  }
  if (!time_text.empty()) {
    Result<WallTime> time = schema::parse_nano_time(time_text);
    if (!time.ok()) return Status::make(400, "BadRequest", kUndecodable);
    query.options.since = *time;
  }
  return query;
}

const core::ContainerStatus* find_status(const schema::List<core::ContainerStatus>& list,
                                         std::string_view name) {
  for (const core::ContainerStatus& status : list)
    if (status.name == name) return &status;
  return nullptr;
}

// "containerd://ID" -> "ID".
std::string bare_id(std::string_view id) {
  size_t slashes = id.find("://");
  return std::string(slashes == std::string_view::npos ? id : id.substr(slashes + 3));
}

Task<Status> write_bytes(net::ResponseWriter* writer, std::string bytes) {
  Body body(bytes);
  Status status = co_await writer->write(std::move(body));
  co_return status;
}

std::shared_ptr<LogFollow> make_follow(Call& call, const std::string& id,
                                       std::shared_ptr<void>* exit_subscription) {
  auto follow = std::make_shared<LogFollow>(call.state.executor);
  std::weak_ptr<LogFollow> weak = follow;
  *exit_subscription = call.state.host.on_container_exit(id, [weak] {
    if (std::shared_ptr<LogFollow> self = weak.lock()) {
      self->stopped = true;
      self->wake.notify();
    }
  });
  call.writer.on_close([weak] {
    if (std::shared_ptr<LogFollow> self = weak.lock()) {
      self->client_gone = true;
      self->wake.notify();
    }
  });
  if (!call.state.host.container_running(id)) follow->stopped = true;
  return follow;
}

}  // namespace

Result<std::string> log_container_id(const core::Pod& pod, std::string_view container,
                                     bool previous) {
  const core::ContainerStatus* status = find_status(pod.status.container_statuses, container);
  if (status == nullptr) status = find_status(pod.status.init_container_statuses, container);
  if (status == nullptr) status = find_status(pod.status.ephemeral_container_statuses, container);
  std::string which = "container " + go_quote(container) + " in pod " + go_quote(pod.metadata.name);
  if (status == nullptr) return Status::error(which + " is not available");
  const auto& last = status->last_state.terminated;
  const auto& terminated = status->state.terminated;
  bool has_last = last.has_value() && !last->container_id.empty();
  if (previous) {
    if (!has_last) return Status::error("previous terminated " + which + " not found");
    return bare_id(last->container_id);
  }
  if (status->state.running) return bare_id(status->container_id);
  if (terminated && !terminated->container_id.empty()) return bare_id(terminated->container_id);
  // The next instance did not start: the last one that ran is what there is to see.
  if (has_last) return bare_id(last->container_id);
  if (terminated || last) return Status::error(which + " is terminated");
  if (!status->state.waiting) return Status::error(which + " is waiting to start - no logs yet");
  std::string reason = status->state.waiting->reason.str();
  if (reason == "ErrImagePull") reason = "image can't be pulled";
  if (reason == "ImagePullBackOff") reason = "trying and failing to pull image";
  return Status::error(which + " is waiting to start: " + reason);
}

Task<void> serve_container_logs(Call& call) {
  const std::string& ns = call.path[1];
  const std::string& pod_name = call.path[2];
  const std::string& container = call.path[3];
  Result<LogQuery> query = parse_log_query(call, Clock::real().now());
  if (!query.ok()) {
    co_await answer_text(call, query.status().code(), std::string(query.status().message()));
    co_return;
  }
  PodPtr pod = call.state.host.pod(ns, pod_name);
  if (pod == nullptr) {
    std::string message = "pod " + go_quote(pod_name) + " does not exist";
    co_await answer_text(call, 404, message);
    co_return;
  }
  if (!find_container_shape(*pod, container).found) {
    std::string message =
        "container " + go_quote(container) + " not found in pod " + go_quote(pod_name);
    co_await answer_text(call, 404, message);
    co_return;
  }
  Result<std::string> id = log_container_id(*pod, container, query->previous);
  if (!id.ok()) {
    std::string message(id.status().message());
    co_await answer_text(call, 400, message);
    co_return;
  }
  // The head goes out now, so that a client that follows a silent container knows that it is
  // connected. What fails from here on can only be told in the text, as upstream does.
  net::Headers headers;
  headers.add("Content-Type", "text/plain");
  Status status = co_await call.writer.start(200, std::move(headers));
  if (!status.ok()) co_return;
  std::string known_id = *id;
  Result<std::string> log_path = co_await call.state.host.container_log_path(std::move(known_id));
  if (!log_path.ok() || log_path->empty()) {
    std::string message = "unable to retrieve container logs for containerd://" + *id;
    (void)co_await write_bytes(&call.writer, std::move(message));
    co_return;
  }
  std::shared_ptr<void> exit_subscription;
  std::shared_ptr<LogFollow> follow;
  if (query->options.follow) follow = make_follow(call, *id, &exit_subscription);
  net::ResponseWriter* writer = &call.writer;
  LogSink sink = [writer](std::string bytes) { return write_bytes(writer, std::move(bytes)); };
  status =
      co_await stream_log(*log_path, query->options, follow, &call.state.watcher, std::move(sink));
  if (!status.ok() && !call.writer.closed()) {
    std::string message(status.message());
    (void)co_await write_bytes(&call.writer, std::move(message));
  }
}

}  // namespace knarr::kubelet
