// SPDX-License-Identifier: Apache-2.0
#include "kubelet/cri/runtime_events.h"

#include <algorithm>

#include "base/log.h"

namespace knarr::kubelet {

namespace {

// A protobuf message, field by field. Only what the events need.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool next(uint32_t* field, std::string_view* value) {
    *value = {};
    while (!rest_.empty()) {
      uint64_t key = 0;
      if (!varint(&key)) return fail();
      *field = static_cast<uint32_t>(key >> 3);
      uint64_t size = 0;
      switch (key & 7) {
        case 0:
          if (!varint(&size)) return fail();
          continue;  // no number is wanted
        case 1: size = 8; break;
        case 5: size = 4; break;
        case 2:
          if (!varint(&size)) return fail();
          break;
        default: return fail();
      }
      if (size > rest_.size()) return fail();
      *value = rest_.substr(0, size);
      rest_.remove_prefix(size);
      if ((key & 7) == 2) return true;
    }
    return false;
  }
  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    rest_ = {};
    return false;
  }
  bool varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return false;
      auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  std::string_view rest_;
  bool failed_ = false;
};

constexpr std::string_view kNamespace = "k8s.io";

}  // namespace

Result<TaskEvent> parse_event(std::string_view envelope) {
  TaskEvent event;
  std::string_view any, ns, value;
  uint32_t field = 0;
  Reader outer(envelope);
  while (outer.next(&field, &value)) {
    if (field == 2) ns = value;
    if (field == 3) event.topic = value;
    if (field == 4) any = value;
  }
  if (outer.failed()) return Status::error("malformed event envelope");
  if (ns != kNamespace) event.topic.clear();
  std::string_view body;
  Reader middle(any);
  while (middle.next(&field, &value))
    if (field == 2) body = value;
  Reader inner(body);
  while (inner.next(&field, &value)) {
    if (field == 1) event.container_id = value;
    if (field == 2 && event.topic == "/tasks/exit") event.exec_id = value;
  }
  if (middle.failed() || inner.failed()) return Status::error("malformed event");
  return event;
}

struct RuntimeEvents::Impl {
  std::shared_ptr<net::GrpcChannel> channel;
  Executor executor;
  std::function<void(const TaskEvent&)> event;
  std::function<void(bool)> connected;
  std::shared_ptr<net::GrpcChannel::Stream> stream;
  bool stopped = false, started = false;
};

RuntimeEvents::RuntimeEvents(std::shared_ptr<net::GrpcChannel> channel, Executor executor, std::function<void(const TaskEvent&)> event,
                             std::function<void(bool)> connected)
    : impl_(std::make_shared<Impl>()) {
  impl_->channel = std::move(channel);
  impl_->executor = std::move(executor);
  impl_->event = std::move(event);
  impl_->connected = std::move(connected);
}

RuntimeEvents::~RuntimeEvents() { stop(); }

void RuntimeEvents::start() {
  if (impl_->started) return;
  impl_->started = true;
  spawn(impl_->executor, run(impl_));
}

void RuntimeEvents::stop() {
  impl_->stopped = true;
  if (impl_->stream) impl_->stream->cancel();
}

Task<Status> RuntimeEvents::follow(std::shared_ptr<Impl> impl) {
  // SubscribeRequest{filters = 1}
  std::string request;
  for (std::string_view filter : {"topic==\"/tasks/delete\"", "topic==\"/tasks/exit\""}) {
    request += '\x0a';
    request += static_cast<char>(filter.size());
    request += filter;
  }
  std::string method = "/containerd.services.events.v1.Events/Subscribe";
  auto opened = co_await impl->channel->stream(std::move(method), std::move(request));
  if (!opened.ok()) co_return opened.status();
  impl->stream = std::shared_ptr<net::GrpcChannel::Stream>(std::move(*opened));
  (void)(co_await impl->stream->finish_sending()).ok();
  impl->connected(true);
  while (!impl->stopped) {
    auto message = co_await impl->stream->next();
    if (impl->stopped) break;
    if (!message.ok()) co_return message.status();
    if (!message->has_value()) co_return Status::make(503, "Unavailable", "event stream ended");
    auto event = parse_event(**message);
    if (event.ok() && !event->topic.empty() && !event->container_id.empty()) impl->event(*event);
  }
  co_return Status();
}

Task<void> RuntimeEvents::run(std::shared_ptr<Impl> impl) {
  Duration retry = std::chrono::milliseconds(100);
  while (!impl->stopped) {
    MonoTime began = Clock::real().mono();
    Status status = co_await follow(impl);
    impl->stream.reset();
    if (impl->stopped) co_return;
    impl->connected(false);
    if (status.is("Unimplemented")) {
      log_info("The runtime has no event stream; listing its containers instead");
      co_return;
    }
    if (Clock::real().mono() - began > std::chrono::seconds(30)) retry = std::chrono::milliseconds(100);
    log_warning("Lost the runtime's event stream", {{"err", status.message()}});
    co_await sleep_for(retry);
    retry = std::min<Duration>(retry * 2, std::chrono::seconds(5));
  }
}

}  // namespace knarr::kubelet
