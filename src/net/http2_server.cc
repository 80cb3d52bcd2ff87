// SPDX-License-Identifier: Apache-2.0
// HTTP/2 for a server: each request becomes one coroutine that runs the handler.
#include "net/http2.h"
#include "net/server_internal.h"
#include "net/text.h"

namespace knarr::net {

namespace {

class Http2ServerConnection final : public Http2Connection {
 public:
  Http2ServerConnection(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                        Http2Limits limits)
      : Http2Connection(context.executor, std::move(stream), limits),
        context_(std::move(context)),
        idle_alarm_(context_.executor),
        idle_since_(Clock::real().mono()) {}

  Status start() {
    watch_idleness(context_.options->idle_timeout);
    return init(/*server=*/true);
  }
  const ConnectionContext& context() const { return context_; }

  // Handlers may outlive their streams, and the connection counts as busy until they are done.
  void handler_started() { ++handlers_; }
  void handler_ended() {
    --handlers_;
    idle_since_ = Clock::real().mono();
  }

 protected:
  void on_head(const std::shared_ptr<Http2Stream>& stream) override;
  void on_over() override { idle_alarm_.cancel(); }

 private:
  void watch_idleness(Duration after) {
    std::weak_ptr<Http2Connection> weak = weak_from_this();
    idle_alarm_.arm(after, [weak, this] {
      std::shared_ptr<Http2Connection> self = weak.lock();
      if (self == nullptr || over()) return;
      Duration limit = context_.options->idle_timeout;
      bool busy = handlers_ > 0 || stream_count() > 0;
      Duration idle = busy ? Duration::zero() : Clock::real().mono() - idle_since_;
      if (idle >= limit)
        go_away();
      else
        watch_idleness(limit - idle);
    });
  }

  ConnectionContext context_;
  Alarm idle_alarm_;
  MonoTime idle_since_;
  size_t handlers_ = 0;
};

class Http2Writer final : public ResponseWriter {
 public:
  Http2Writer(std::shared_ptr<Http2Stream> stream, bool is_head)
      : stream_(std::move(stream)), is_head_(is_head) {}

  Task<Status> respond(int status, Headers headers, Body body) override {
    if (started_) co_return Status::error("response has already been started");
    if (stream_->closed) co_return stream_->failure();
    started_ = true;
    if (status != 204 && !(status == 304 && body.empty()) && !headers.has("content-length"))
      headers.add("content-length", std::to_string(body.size()));
    bool bodiless = is_head_ || status == 204 || status == 304 || body.empty();
    if (!bodiless) stream_->queue(std::move(body));
    CO_TRY(submit(status, headers, !bodiless));
    finish_stream({});
    co_return Status();
  }

  Task<Status> start(int status, Headers headers) override {
    if (started_) co_return Status::error("response has already been started");
    if (stream_->closed) co_return stream_->failure();
    started_ = true;
    bodiless_ = is_head_ || status == 204 || status == 304;
    CO_TRY(submit(status, headers, !bodiless_));
    if (bodiless_) finish_stream({});
    co_return Status();
  }

  Task<Status> write(Body body) override {
    if (!started_) co_return Status::error("response has not been started");
    if (bodiless_) co_return Status();
    if (finished_) co_return Status::error("response is finished");
    Status sent = co_await stream_->send(std::move(body));
    co_return sent;
  }

  Task<Status> finish(Headers trailers) override {
    if (!started_) co_return Status::error("response has not been started");
    if (stream_->closed && !finished_) co_return stream_->failure();
    finish_stream(std::move(trailers));
    co_return Status();
  }

  Task<Result<std::unique_ptr<ByteStream>>> upgrade(Headers) override {
    co_return Status::make(400, "BadRequest",
                           "unable to upgrade: HTTP/2 has no connection upgrade");
  }

  bool started() const override { return started_; }
  bool closed() const override { return stream_->closed && !stream_->out_sent; }
  void on_close(std::function<void()> callback) override {
    if (finished_) return;
    stream_->on_closed = std::move(callback);
    if (!stream_->closed) return;
    post(stream_->connection->executor(), [stream = stream_] {
      std::function<void()> callback = std::move(stream->on_closed);
      stream->on_closed = nullptr;
      if (callback) callback();
    });
  }

 private:
  Status submit(int status, const Headers& headers, bool has_body) {
    char code[12];
    int size = std::snprintf(code, sizeof(code), "%d", status);
    Http2Fields fields;
    fields.add(":status", {code, static_cast<size_t>(size)});
    fields.add(headers);
    if (!headers.has("date")) fields.add("date", http_date());
    nghttp2_data_provider body = http2_body_of(stream_.get());
    Http2Connection& connection = *stream_->connection;
    int error = nghttp2_submit_response(connection.session(), stream_->id, fields.data(),
                                        fields.size(), has_body ? &body : nullptr);
    if (error != 0) return Status::error(nghttp2_strerror(error));
    connection.kick();
    return Status();
  }

  void finish_stream(Headers trailers) {
    if (finished_) return;
    finished_ = true;
    stream_->on_closed = nullptr;
    stream_->end(std::move(trailers));
  }

  std::shared_ptr<Http2Stream> stream_;
  bool is_head_;
  bool started_ = false, finished_ = false, bodiless_ = false;
};

Task<void> serve_request(std::shared_ptr<Http2ServerConnection> connection,
                         std::shared_ptr<Http2Stream> stream) {
  Request request;
  request.method = std::move(stream->method);
  size_t question = stream->path.find('?');
  if (question != std::string::npos) {
    request.query = stream->path.substr(question + 1);
    stream->path.resize(question);
  }
  request.path = std::move(stream->path);
  request.authority = std::move(stream->authority);
  request.headers = std::move(stream->headers);
  if (request.authority.empty()) request.authority = request.headers.get("host");
  request.http_major = 2;
  request.peer = connection->context().peer;
  request.body = stream.get();
  Http2Writer writer(stream, request.method == "HEAD");
  Headers text;
  text.add("content-type", "text/plain; charset=utf-8");
  if (stream->too_large || request.method == "CONNECT" || request.path.empty()) {
    int refusal = stream->too_large ? 431 : request.method == "CONNECT" ? 405 : 400;
    Body why(status_text(refusal));
    Status ignored = co_await writer.respond(refusal, std::move(text), std::move(why));
  } else {
    co_await run_handler(connection->context().handler, &request, &writer);
  }
  stream->discard = true;
  stream->inbound = std::string();
  stream->on_closed = nullptr;
  connection->handler_ended();
}

void Http2ServerConnection::on_head(const std::shared_ptr<Http2Stream>& stream) {
  handler_started();
  auto self = std::static_pointer_cast<Http2ServerConnection>(shared_from_this());
  spawn(executor(), serve_request(std::move(self), stream));
}

}  // namespace

Task<void> serve_http2(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                       std::string initial) {
  Http2Limits limits;
  limits.max_header_bytes = context.options->max_header_bytes;
  limits.max_concurrent_streams = context.options->max_concurrent_streams;
  std::shared_ptr<ConnectionControl> control = context.control;
  auto connection =
      std::make_shared<Http2ServerConnection>(std::move(context), std::move(stream), limits);
  std::weak_ptr<Http2ServerConnection> weak = connection;
  control->abort = [weak] {
    if (auto self = weak.lock()) self->close();
  };
  control->begin_shutdown = [weak] {
    if (auto self = weak.lock()) self->go_away();
  };
  Status started = connection->start();
  if (!started.ok()) co_return;
  if (control->stopping) connection->go_away();
  std::shared_ptr<Http2Connection> base = connection;
  co_await Http2Connection::run(std::move(base), std::move(initial));
}

}  // namespace knarr::net
