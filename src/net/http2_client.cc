// SPDX-License-Identifier: Apache-2.0
#include "net/client_internal.h"

namespace knarr::net {

namespace {

constexpr auto kIdleLimit = std::chrono::seconds(90);
// As client-go's transport: silence for half a minute is answered with a ping, and no answer within
// 15 s ends the connection.
constexpr auto kSilence = std::chrono::seconds(30);
constexpr auto kPingLimit = std::chrono::seconds(15);
constexpr uint32_t kMaxStreams = 250;

class Http2Body final : public BodyReader {
 public:
  explicit Http2Body(std::shared_ptr<Http2Stream> stream) : stream_(std::move(stream)) {}
  ~Http2Body() override {
    stream_->discard = true;
    stream_->reset(NGHTTP2_CANCEL);
  }
  Task<Result<std::string>> read() override { return stream_->read(); }
  void cancel() override { stream_->cancel(); }

 private:
  std::shared_ptr<Http2Stream> stream_;
};

class Http2Exchange final : public ClientExchange {
 public:
  Http2Exchange(std::shared_ptr<Http2Stream> stream, Duration timeout)
      : stream_(std::move(stream)), timeout_(timeout) {}
  ~Http2Exchange() override {
    // Once there is a response, its body decides.
    if (!answered_) stream_->reset(NGHTTP2_CANCEL);
  }
  Task<Status> write(Body body) override { return stream_->send(std::move(body)); }
  Task<Status> finish() override {
    Headers none;
    stream_->end(std::move(none));
    co_return Status();
  }
  Task<Result<ClientResponse>> response() override {
    std::shared_ptr<Http2Stream> stream = stream_;
    Status status = co_await wait_for_head(stream, timeout_);
    if (!status.ok()) co_return status;
    answered_ = true;
    co_return http2_response(std::move(stream));
  }
  void cancel() override {
    stream_->reset(NGHTTP2_CANCEL);
    stream_->cancel();
  }

 private:
  std::shared_ptr<Http2Stream> stream_;
  Duration timeout_;
  bool answered_ = false;
};

Http2Limits client_limits() {
  Http2Limits limits;
  limits.max_header_bytes = 10 << 20;
  limits.stream_window = 4 << 20;  // as Go's
  limits.connection_window = 1 << 30;
  return limits;
}

}  // namespace

Status client_timeout() {
  return Status::make(504, "Timeout",
                      "request canceled (Client.Timeout exceeded while awaiting headers)");
}

Http2ClientConnection::Http2ClientConnection(Executor executor, std::unique_ptr<ByteStream> stream)
    : Http2Connection(executor, std::move(stream), client_limits()),
      alarm_(executor),
      idle_since_(Clock::real().mono()) {}

Status Http2ClientConnection::start() {
  watch();
  return init(/*server=*/false);
}

// One timer for both: dead peers while something runs, and idleness otherwise.
void Http2ClientConnection::watch() {
  std::weak_ptr<Http2Connection> weak = weak_from_this();
  Duration after = pinged_ ? Duration(kPingLimit) : Duration(kSilence);
  alarm_.arm(after, [weak, this] {
    std::shared_ptr<Http2Connection> self = weak.lock();
    if (self == nullptr || over()) return;
    if (stream_count() == 0) {
      pinged_ = false;
      if (Clock::real().mono() - idle_since_ >= kIdleLimit) {
        go_away();
        return;
      }
    } else if (received() == seen_) {
      if (pinged_) {
        close();
        return;
      }
      pinged_ = true;
      nghttp2_submit_ping(session(), NGHTTP2_FLAG_NONE, nullptr);
      kick();
    } else {
      pinged_ = false;
    }
    seen_ = received();
    watch();
  });
}

bool Http2ClientConnection::available() const {
  if (over() || going_away()) return false;
  auto* self = const_cast<Http2ClientConnection*>(this);
  uint32_t theirs =
      nghttp2_session_get_remote_settings(self->session(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  // Before their SETTINGS have come they are taken to allow 100 (RFC 9113 6.5.2's advice).
  uint32_t limit = received() == 0 ? 100 : std::min(theirs, kMaxStreams);
  return stream_count() < limit && nghttp2_session_check_request_allowed(self->session()) != 0;
}

Result<std::shared_ptr<Http2Stream>> Http2ClientConnection::open(const ClientRequest& request,
                                                                 std::string_view scheme,
                                                                 std::string_view authority,
                                                                 bool has_body) {
  auto stream = std::make_shared<Http2Stream>(shared_from_this(), -1);
  stream->method = request.method;
  Http2Fields fields;
  fields.add(":method", request.method);
  fields.add(":scheme", scheme);
  fields.add(":authority", authority);
  fields.add(":path", request.target);
  fields.add(request.headers, /*skip_host=*/true);
  nghttp2_data_provider body = http2_body_of(stream.get());
  int32_t id = nghttp2_submit_request(session(), nullptr, fields.data(), fields.size(),
                                      has_body ? &body : nullptr, stream.get());
  if (id < 0) return Status::error(nghttp2_strerror(id));
  stream->id = id;
  if (!has_body) stream->out_end = true;
  adopt_stream(stream);
  kick();
  return stream;
}

void Http2ClientConnection::on_head(const std::shared_ptr<Http2Stream>& stream) {
  used_ = true;
  stream->readable.set();
}

void Http2ClientConnection::on_stream_gone(Http2Stream&) { idle_since_ = Clock::real().mono(); }

Task<Status> wait_for_head(std::shared_ptr<Http2Stream> stream, Duration timeout) {
  auto timed_out = std::make_shared<bool>(false);
  Alarm alarm(stream->connection->executor());
  if (timeout > Duration::zero()) {
    alarm.arm(timeout, [stream, timed_out] {
      *timed_out = true;
      stream->readable.set();
    });
  }
  while (!stream->head_done && !stream->closed && !*timed_out && !stream->cancelled())
    co_await stream->readable.wait();
  if (stream->head_done && stream->status != 0 && !stream->too_large) {
    // What woke us may have been the body or the end.
    stream->readable.set();
    co_return Status();
  }
  if (stream->too_large) {
    stream->reset(NGHTTP2_CANCEL);
    co_return Status::error("http2: response header list larger than advertised limit");
  }
  if (stream->cancelled()) co_return Status::error("request canceled");
  if (stream->closed) co_return stream->failure();
  stream->reset(NGHTTP2_CANCEL);
  if (*timed_out) co_return client_timeout();
  co_return Status::error("http2: malformed response");
}

ClientResponse http2_response(std::shared_ptr<Http2Stream> stream) {
  ClientResponse response;
  response.status = stream->status;
  response.headers = std::move(stream->headers);
  response.trailers = &stream->trailers;
  response.body = std::make_unique<Http2Body>(std::move(stream));
  return response;
}

std::unique_ptr<ClientExchange> http2_exchange(std::shared_ptr<Http2Stream> stream,
                                               Duration timeout) {
  return std::make_unique<Http2Exchange>(std::move(stream), timeout);
}

}  // namespace knarr::net
