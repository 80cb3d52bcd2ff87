// SPDX-License-Identifier: Apache-2.0
#include <random>

#include "apiserver/errors.h"
#include "apiserver/handlers/handlers.h"
#include "apiserver/handlers/options.h"
#include "apiserver/handlers/respond.h"
#include "apiserver/storage/list.h"
#include "schema/codec.h"

namespace knarr::apiserver {
namespace {

using namespace std::chrono_literals;
using schema::Encoding;

constexpr size_t kBatch = 256;
constexpr auto kBookmarkPeriod = 60s;
// The last bookmark goes out this long before the end, so that the next watch starts near it.
constexpr auto kBookmarkLead = 2s;
constexpr int64_t kMinTimeoutSeconds = 1800;

// Events in the negotiated framing, or as objects where they are wanted so. One a watch; keeps whether a Table's columns have been sent.
class EventWriter {
 public:
  EventWriter(RequestContext& context, OutputFormat format) : context_(context), format_(format) {}

  void add(std::string_view type, const CachedPtr& object) {
    if (context_.events != nullptr) {
      const bool partial = format_.as == OutputFormat::As::kPartial;
      give(type, partial ? object->shared_metadata() : object->in_version(object, *context_.resource)->shared());
      return;
    }
    if (format_.as == OutputFormat::As::kTable) {
      std::string meta = R"({"resourceVersion":")" + std::to_string(object->revision()) + R"("})";
      frame(type, table_json(*context_.resource, {object}, include_, context_.core.clock().now(), !columns_sent_, meta));
      columns_sent_ = true;
      return;
    }
    frame(type, object_body(format_, *context_.resource, object));
  }

  // An object of the watched kind with nothing but its revision.
  void bookmark(int64_t revision) {
    const schema::Resource& resource = *context_.resource;
    if (format_.as == OutputFormat::As::kTable) {
      std::string meta = R"({"resourceVersion":")" + std::to_string(revision) + R"("})";
      frame("BOOKMARK", table_json(resource, {}, include_, context_.core.clock().now(), !columns_sent_, meta));
      columns_sent_ = true;
      return;
    }
    bool partial = format_.as == OutputFormat::As::kPartial;
    const schema::KindInfo* kind = partial ? &api::meta_v1::PartialObjectMetadata::kind_info() : schema::find_kind(resource.api_version, resource.kind);
    schema::Object object(partial ? api::meta_v1::PartialObjectMetadata::table() : *resource.type);
    metadata_of(object.type(), object.data()).resource_version = std::to_string(revision);
    made("BOOKMARK", *kind, std::move(object));
  }

  void error(const Status& status) { made("ERROR", api::meta_v1::Status::kind_info(), schema::Object::of(status_object(status))); }

  bool empty() const { return out_.empty() && !given_; }
  // Sends what was added. Fails once the reader has gone.
  Task<Status> flush() {
    given_ = false;
    Status status;
    if (context_.events != nullptr) {
      status = co_await context_.events->flush();
    } else {
      status = co_await context_.writer.write(std::exchange(out_, Body()));
    }
    co_return status;
  }

  void set_include(IncludeObject include) { include_ = include; }

 private:
  void give(std::string_view type, std::shared_ptr<const schema::Object> object) {
    context_.events->event(type, std::move(object));
    given_ = true;
  }

  // An object that was made for this event.
  void made(std::string_view type, const schema::KindInfo& kind, schema::Object object) {
    if (context_.events != nullptr) return give(type, std::make_shared<const schema::Object>(std::move(object)));
    std::string text;
    if (format_.encoding == Encoding::kProtobuf) {
      schema::encode_envelope(text, kind, object.data());
    } else {
      schema::encode_json(text, *kind.type, object.data(), &kind);
    }
    frame(type, Body(text));
  }

  void frame(std::string_view type, std::string text) { frame(type, Body(text)); }
  void frame(std::string_view type, Body object) {
    if (format_.encoding == Encoding::kProtobuf) {
      out_.append(Slice::copy(proto_head(type, object.size())));
      out_.append(std::move(object));
      return;
    }
    if (format_.encoding == Encoding::kYaml) {
      auto yaml = schema::json_to_yaml(R"({"type":")" + std::string(type) + R"(","object":)" + object.flatten() + "}");
      if (yaml.ok()) out_.append(Slice::copy("---\n" + *yaml));
      return;
    }
    out_.append(Slice::of_static(json_head(type)));
    out_.append(std::move(object));
    out_.append(Slice::of_static("}\n"));
  }

  static std::string_view json_head(std::string_view type) {
    if (type == "ADDED") return R"({"type":"ADDED","object":)";
    if (type == "MODIFIED") return R"({"type":"MODIFIED","object":)";
    if (type == "DELETED") return R"({"type":"DELETED","object":)";
    if (type == "BOOKMARK") return R"({"type":"BOOKMARK","object":)";
    return R"({"type":"ERROR","object":)";
  }

  // Length, then WatchEvent{type=1, object=2{raw=1}} up to the raw bytes.
  static std::string proto_head(std::string_view type, size_t raw_size) {
    std::string event = "\x0a";
    put_varint(event, type.size());
    event += type;
    std::string raw = "\x0a";
    put_varint(raw, raw_size);
    event += '\x12';
    put_varint(event, raw.size() + raw_size);
    event += raw;
    size_t total = event.size() + raw_size;
    std::string head;
    for (int shift = 24; shift >= 0; shift -= 8) head += static_cast<char>(total >> shift & 0xFF);
    return head + event;
  }
  static void put_varint(std::string& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
  }

  RequestContext& context_;
  OutputFormat format_;
  Body out_;            // added and not sent yet
  bool given_ = false;  // events were given to the sink since the last flush
  IncludeObject include_ = IncludeObject::kMetadata;
  bool columns_sent_ = false;
};

std::string_view content_type(Encoding encoding) {
  switch (encoding) {
    case Encoding::kJson: return "application/json";
    case Encoding::kYaml: return "application/yaml";
    case Encoding::kProtobuf: return "application/vnd.kubernetes.protobuf;stream=watch";
  }
  return "";
}

// What an event is to one who sees only a selection: objects enter and leave it.
void add_event(EventWriter& writer, const WatchScope& scope, const CacheEvent& event) {
  bool now = !event.deleted && scope.contains(*event.object);
  bool before = event.previous != nullptr && scope.contains(*event.previous);
  if (now && before) {
    writer.add("MODIFIED", event.object);
  } else if (now) {
    writer.add("ADDED", event.object);
  } else if (before) {
    writer.add("DELETED", event.previous_here());
  }
}

Duration watch_timeout(const ListOptions& options) {
  if (options.timeout_seconds.has_value() && *options.timeout_seconds > 0) return std::chrono::seconds(std::min<int64_t>(*options.timeout_seconds, 86400 * 365));
  thread_local std::minstd_rand random(std::random_device{}());
  return std::chrono::seconds(kMinTimeoutSeconds + static_cast<int64_t>(random() % kMinTimeoutSeconds));
}

// One event, then the end: what a watch that cannot start answers, with HTTP 200.
Task<Status> refuse(RequestContext& context, EventWriter& writer, net::Headers headers, Status why) {
  Status status = co_await context.writer.start(200, std::move(headers));
  if (!status.ok()) co_return Status();
  writer.error(why);
  status = co_await writer.flush();
  co_return Status();
}

struct Session {
  RequestContext& context;
  WatchCache& cache;
  EventWriter& writer;
  std::shared_ptr<const WatchScope> scope;
  std::shared_ptr<CacheWatch> watch;
  MonoTime deadline, next_bookmark;
  bool bookmarks = false;
};

MonoTime bookmark_after(const Session& session, MonoTime now) {
  MonoTime regular = now + kBookmarkPeriod, last = session.deadline - kBookmarkLead;
  return last > now ? std::min(regular, last) : regular;
}

// Pumps events until the deadline, the client's departure or the server's end.
Task<void> pump(Session& session) {
  RequestContext& context = session.context;
  while (!context.writer.closed() && !context.core.stopping()) {
    auto events = session.watch->poll(kBatch);
    if (!events.ok()) {
      session.writer.error(events.status());
      Status ignored = co_await session.writer.flush();
      co_return;
    }
    for (const EventPtr& event : *events) add_event(session.writer, *session.scope, *event);
    MonoTime now = Clock::real().mono();
    bool bookmark = session.bookmarks && now >= session.next_bookmark;
    if (bookmark) {
      session.cache.sync();
      // Only what has been sent may be promised.
      session.writer.bookmark(session.watch->progress());
      session.next_bookmark = bookmark_after(session, now);
    }
    if (!session.writer.empty()) {
      Status status = co_await session.writer.flush();
      if (!status.ok()) co_return;
      continue;
    }
    if (now >= session.deadline) co_return;
    MonoTime until = session.bookmarks ? std::min(session.deadline, session.next_bookmark) : session.deadline;
    Duration timeout = std::max<Duration>(until - now, 1ms);
    co_await session.watch->wait(timeout);
  }
}

Task<Status> send_initial(Session& session, const std::vector<CachedPtr>& objects) {
  constexpr size_t kObjectsPerWrite = 64;
  for (size_t i = 0; i < objects.size();) {
    for (size_t end = std::min(objects.size(), i + kObjectsPerWrite); i < end; ++i) session.writer.add("ADDED", objects[i]);
    Status status = co_await session.writer.flush();
    if (!status.ok()) co_return status;
  }
  co_return Status();
}

}  // namespace

Task<Status> handle_watch(RequestContext& context) {
  WatchCache* cache = context.core.cache(*context.resource);
  if (cache == nullptr) co_return method_not_supported(context.info.group, context.info.resource, "watch");
  Offers offers;
  offers.table = offers.partial = offers.watch = true;
  auto format = negotiate_output(context.request.headers.get("Accept"), offers);
  if (!format.ok()) co_return format.status();
  auto options = parse_list_options(context);
  if (!options.ok()) co_return options.status();
  auto include = parse_include_object(context);
  if (!include.ok()) co_return include.status();
  auto revision = parse_revision(options->resource_version);
  if (!revision.ok()) co_return revision.status();

  EventWriter writer(context, *format);
  writer.set_include(*include);
  auto scope = std::make_shared<WatchScope>();
  if (cache->resource().namespaced) scope->namespace_ = context.info.namespace_;
  scope->labels = options->labels;
  scope->fields = options->fields;
  net::Headers headers = response_headers(context);
  headers.add("Content-Type", content_type(format->encoding));

  cache->sync();
  ListPage initial;
  int64_t after = *revision;
  if (after == 0) {
    options->limit = 0;
    options->resource_version.clear();
    std::string ns = scope->namespace_;
    auto page = co_await list_page(*cache, std::move(ns), *options);
    if (!page.ok()) co_return page.status();
    initial = std::move(*page);
    after = initial.revision;
  } else if (after > cache->store().revision()) {
    Status status = co_await wait_for_revision(*cache, after);
    if (!status.ok()) co_return status;
  }
  Executor executor = co_await this_executor();
  auto watch = cache->watch(after, scope, executor);
  if (!watch.ok()) {
    Status status = co_await refuse(context, writer, std::move(headers), watch.status());
    co_return status;
  }
  Status started = co_await context.writer.start(200, std::move(headers));
  if (!started.ok()) co_return Status();
  MonoTime now = Clock::real().mono();
  Session session{context, *cache, writer, scope, std::move(*watch), now + watch_timeout(*options), {}, options->bookmarks};
  session.next_bookmark = bookmark_after(session, now);
  std::weak_ptr<CacheWatch> weak = session.watch;
  std::function<void()> on_close = [weak] {
    if (auto alive = weak.lock()) alive->wake();
  };
  context.writer.on_close(std::move(on_close));
  Core::WatchGuard guard(context.core, executor, weak);
  Status sent = co_await send_initial(session, initial.objects);
  if (sent.ok()) co_await pump(session);
  co_return Status();
}

}  // namespace knarr::apiserver
