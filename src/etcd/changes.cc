// SPDX-License-Identifier: Apache-2.0
#include "etcd/changes.h"

#include "base/log.h"
#include "store/errors.h"

namespace knarr::etcd {
namespace {

// One stream, until it breaks; `after` moves on with what arrives.
Task<Status> follow_once(std::shared_ptr<Members> members, int64_t* after, ChangeSink* sink) {
  std::string method(kWatch), first = schema::to_proto(watch_everything(*after + 1));
  auto opened = co_await members->stream(std::move(method), std::move(first));
  CO_TRY_ASSIGN(auto stream, opened);
  ChangeReader reader;
  while (!sink->enough()) {
    auto message = co_await stream->next();
    if (!message.ok()) co_return message.status();
    if (!message->has_value()) co_return Status::error("etcd ended the watch");
    CO_TRY_ASSIGN(std::vector<store::Event> events, reader.read(**message));
    // After a reconnect a revision could come twice.
    std::erase_if(events, [&](const store::Event& event) { return event.revision <= *after; });
    if (events.empty()) continue;
    *after = events.back().revision;
    sink->changes(std::move(events));
  }
  stream->cancel();
  co_return Status();
}

}  // namespace

Result<std::vector<store::Event>> ChangeReader::read(std::string_view message) {
  TRY_ASSIGN(pb::WatchResponse response, schema::from_proto<pb::WatchResponse>(message));
  if (response.canceled) {
    if (response.compact_revision != 0) return store::watch_expired();
    return Status::error("etcd ended the watch: " + response.cancel_reason.str());
  }
  for (const pb::Event& event : response.events) {
    TRY_ASSIGN(store::Event made, to_event(event));
    if (!pending_.empty() && made.revision < pending_.back().revision) return Status::error("etcd's events are out of order");
    pending_.push_back(std::move(made));
  }
  if (response.fragment) return std::vector<store::Event>();
  return std::exchange(pending_, {});
}

Task<Status> follow_changes(std::shared_ptr<Members> members, int64_t after, ChangeSink* sink) {
  int failures = 0;
  while (!members->closed() && !sink->enough()) {
    uint64_t turn = members->turn();
    int64_t before = after;
    Status ended = co_await follow_once(members, &after, sink);
    if (ended.is("Expired")) co_return ended;
    if (members->closed() || sink->enough()) break;
    failures = after > before ? 1 : failures + 1;
    log_warning("Watch of etcd was interrupted", {{"revision", after}, {"error", ended.message()}});
    members->failed(turn);
    co_await members->pause(failures);
  }
  co_return Status();
}

}  // namespace knarr::etcd
