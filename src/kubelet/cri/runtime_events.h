// SPDX-License-Identifier: Apache-2.0
// containerd's own event stream, on the socket that serves CRI: tells of a container's end within milliseconds. CRI has no such
// call before containerd 1.7; with a runtime that has neither, the kubelet lists containers once a second while some run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "net/grpc.h"

namespace knarr::kubelet {

struct TaskEvent {
  std::string topic;         // "/tasks/exit", "/tasks/delete"
  std::string container_id;  // sandboxes too
  std::string exec_id;       // of an exit: the process, equal to container_id for the container's own
};

// One containerd.services.events.v1 Envelope. Fails on malformed input; unknown fields are passed over.
Result<TaskEvent> parse_event(std::string_view envelope);

class RuntimeEvents {
 public:
  // `event` is called for each; `connected(true)` when events were missed until now (then everything must be looked at once),
  // `connected(false)` when the stream is lost or the runtime has none.
  RuntimeEvents(std::shared_ptr<net::GrpcChannel> channel, Executor executor, std::function<void(const TaskEvent&)> event,
                std::function<void(bool)> connected);
  ~RuntimeEvents();
  void start();
  void stop();

 private:
  struct Impl;
  static Task<void> run(std::shared_ptr<Impl> impl);
  static Task<Status> follow(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace knarr::kubelet
