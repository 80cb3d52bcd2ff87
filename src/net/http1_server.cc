// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection. A reader coroutine fills a bounded buffer and so notices at once when
// the peer goes away, also while a handler is busy; the serving coroutine takes heads and bodies
// from the buffer, one exchange after the other.
#include "net/event.h"
#include "net/http1_parser.h"
#include "net/server_internal.h"
#include "net/text.h"

namespace knarr::net {

namespace {

constexpr size_t kReadSize = 16 << 10;
constexpr size_t kBuffered = 64 << 10;  // unread bytes kept of a body or an upgraded stream
constexpr size_t kDrainLimit =
    256 << 10;  // of an unread request body, as in Go: beyond, the connection ends

class Http1Connection final : public std::enable_shared_from_this<Http1Connection> {
 public:
  Http1Connection(ConnectionContext c, std::unique_ptr<ByteStream> s, std::string initial)
      : context(std::move(c)),
        stream(std::move(s)),
        idle_alarm(context.executor),
        in_(std::move(initial)) {}

  std::string_view buffered() const { return std::string_view(in_).substr(begin_); }
  bool ended() const { return ended_; }

  void consume(size_t count) {
    begin_ += count;
    if (begin_ == in_.size()) {
      in_.clear();
      begin_ = 0;
    }
    if (buffered().size() < limit) room_.set();
  }

  std::string take(size_t count) {
    std::string taken(buffered().substr(0, count));
    consume(count);
    return taken;
  }

  Task<void> wait_for_more() { return readable_.wait(); }

  void close() {
    ended_ = true;
    stream->close();
    readable_.set();
    room_.set();
  }

  static Task<void> read_loop(std::shared_ptr<Http1Connection> self) {
    std::vector<char> buffer(kReadSize);
    while (!self->ended_) {
      if (self->buffered().size() >= self->limit) {
        co_await self->room_.wait();
        continue;
      }
      Result<size_t> count = co_await self->stream->read(buffer.data(), buffer.size());
      if (!count.ok() || *count == 0) break;
      if (self->begin_ >= kBuffered) {
        self->in_.erase(0, self->begin_);
        self->begin_ = 0;
      }
      self->in_.append(buffer.data(), *count);
      self->readable_.set();
    }
    self->ended_ = true;
    self->readable_.set();
    if (self->on_gone) self->post_gone();
  }

  // The callback runs from the queue, and only when its exchange still lasts.
  void post_gone() {
    post(context.executor, [self = shared_from_this(), exchange = exchange_number] {
      if (self->exchange_number != exchange || !self->on_gone) return;
      std::function<void()> callback = std::move(self->on_gone);
      self->on_gone = nullptr;
      callback();
    });
  }

  void watch_idleness(Duration after) {
    std::weak_ptr<Http1Connection> weak = weak_from_this();
    idle_alarm.arm(after, [weak] {
      std::shared_ptr<Http1Connection> self = weak.lock();
      if (self == nullptr || self->ended_ || self->upgraded) return;
      Duration limit = self->context.options->idle_timeout;
      Duration idle = self->busy ? Duration::zero() : Clock::real().mono() - self->idle_since;
      if (idle >= limit)
        self->close();
      else
        self->watch_idleness(limit - idle);
    });
  }

  ConnectionContext context;
  std::unique_ptr<ByteStream> stream;
  size_t limit = kBuffered;
  bool busy = false, upgraded = false;
  MonoTime idle_since{};
  Alarm idle_alarm;
  std::function<void()> on_gone;
  uint64_t exchange_number = 0;

 private:
  std::string in_;
  size_t begin_ = 0;
  bool ended_ = false;  // nothing more will come
  Event readable_, room_;
};

// The connection after a 101: what was buffered, then what comes.
class UpgradedStream final : public ByteStream {
 public:
  explicit UpgradedStream(std::shared_ptr<Http1Connection> connection)
      : connection_(std::move(connection)) {}
  ~UpgradedStream() override { connection_->close(); }
  Task<Result<size_t>> read(char* buffer, size_t size) override {
    std::shared_ptr<Http1Connection> connection = connection_;
    while (connection->buffered().empty() && !connection->ended())
      co_await connection->wait_for_more();
    std::string_view bytes = connection->buffered().substr(0, size);
    if (bytes.empty() && closed_) co_return Status::error("use of closed network connection");
    std::memcpy(buffer, bytes.data(), bytes.size());
    connection->consume(bytes.size());
    co_return bytes.size();
  }
  Task<Status> write(std::string_view bytes) override { return connection_->stream->write(bytes); }
  Task<Status> write(const Body& body) override { return connection_->stream->write(body); }
  void shutdown_write() override { connection_->stream->shutdown_write(); }
  void close() override {
    closed_ = true;
    connection_->close();
  }

 private:
  std::shared_ptr<Http1Connection> connection_;
  bool closed_ = false;
};

// One request and its response.
class Http1Exchange final : public BodyReader, public ResponseWriter {
 public:
  Http1Exchange(std::shared_ptr<Http1Connection> connection, Http1Head head)
      : connection_(std::move(connection)),
        framing_(head.framing),
        length_left_(head.length),
        is_head_(head.method == "HEAD"),
        minor_(head.minor),
        keep_alive_(head.keep_alive),
        expects_continue_(head.framing != Framing::kNone &&
                          iequals(head.headers.get("expect"), "100-continue")) {}

  // BodyReader
  Task<Result<std::string>> read() override {
    if (expects_continue_ && state_ == State::kNew) {
      expects_continue_ = false;
      std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      Status status = co_await connection_->stream->write(go_on);
      if (!status.ok()) co_return status;
    }
    while (!body_done()) {
      if (cancelled_) co_return Status::error("request body reading was cancelled");
      std::string piece;
      CO_TRY(decode(&piece));
      if (!piece.empty()) co_return std::move(piece);
      if (body_done()) break;
      if (connection_->ended()) co_return Status::make(400, "BadRequest", "unexpected EOF");
      co_await connection_->wait_for_more();
    }
    co_return std::string();
  }
  void cancel() override {
    cancelled_ = true;
    connection_->close();
  }

  // ResponseWriter
  Task<Status> respond(int status, Headers headers, Body body) override {
    if (state_ != State::kNew) co_return Status::error("response has already been started");
    state_ = State::kDone;
    bool bodiless = is_head_ || status == 204 || status == 304;
    if (status != 204 && !(status == 304 && body.empty()) && !headers.has("content-length"))
      headers.add("Content-Length", std::to_string(body.size()));
    Body out(make_head(status, headers));
    if (!bodiless) out.append(std::move(body));
    Status sent = co_await connection_->stream->write(out);
    if (!sent.ok()) co_await lose();
    co_return sent;
  }

  Task<Status> start(int status, Headers headers) override {
    if (state_ != State::kNew) co_return Status::error("response has already been started");
    state_ = State::kStreaming;
    no_body_ = is_head_ || status == 204 || status == 304;
    if (std::optional<uint64_t> length = parse_decimal(headers.get("content-length"))) {
      declared_ = true;
      declared_left_ = *length;
    } else if (!no_body_ && minor_ == 0) {
      keep_alive_ = false;
    } else if (!no_body_) {
      chunked_ = true;
      headers.set("Transfer-Encoding", "chunked");
    }
    std::string head = make_head(status, headers);
    std::string_view view = head;
    Status sent = co_await connection_->stream->write(view);
    if (!sent.ok()) co_await lose();
    co_return sent;
  }

  Task<Status> write(Body body) override {
    if (state_ != State::kStreaming) co_return Status::error("response is not being streamed");
    if (closed()) co_return Status::error("client disconnected");
    if (body.empty() || no_body_) co_return Status();
    if (declared_ && body.size() > declared_left_)
      co_return Status::error("wrote more than the declared Content-Length");
    declared_left_ -= declared_ ? body.size() : 0;
    Status sent;
    if (chunked_) {
      Body out(fmt::format("{:x}\r\n", body.size()));
      out.append(std::move(body));
      out.append(Slice::of_static("\r\n"));
      sent = co_await connection_->stream->write(out);
    } else {
      sent = co_await connection_->stream->write(body);
    }
    if (!sent.ok()) co_await lose();
    co_return sent;
  }

  Task<Status> finish(Headers trailers) override {
    if (state_ == State::kDone) co_return Status();
    if (state_ != State::kStreaming) co_return Status::error("response has not been started");
    state_ = State::kDone;
    if (declared_ && declared_left_ > 0 && !no_body_) keep_alive_ = false;
    if (!chunked_) co_return Status();
    std::string end = "0\r\n";
    for (const auto& [name, value] : trailers.fields())
      end += name + ": " + clean_field_value(value) + "\r\n";
    end += "\r\n";
    std::string_view view = end;
    Status sent = co_await connection_->stream->write(view);
    if (!sent.ok()) co_await lose();
    co_return sent;
  }

  Task<Result<std::unique_ptr<ByteStream>>> upgrade(Headers headers) override {
    if (state_ != State::kNew) co_return Status::error("response has already been started");
    if (!body_done())
      co_return Status::make(400, "BadRequest", "cannot upgrade a request that has a body");
    state_ = State::kDone;
    std::string head = "HTTP/1.1 101 Switching Protocols\r\n";
    if (!headers.has("connection")) headers.add("Connection", "Upgrade");
    for (const auto& [name, value] : headers.fields())
      head += name + ": " + clean_field_value(value) + "\r\n";
    head += "\r\n";
    std::string_view view = head;
    Status sent = co_await connection_->stream->write(view);
    if (!sent.ok()) {
      co_await lose();
      co_return sent;
    }
    connection_->upgraded = true;
    connection_->on_gone = nullptr;
    std::unique_ptr<ByteStream> stream = std::make_unique<UpgradedStream>(connection_);
    co_return std::move(stream);
  }

  bool started() const override { return state_ != State::kNew; }
  bool closed() const override { return connection_->ended(); }
  void on_close(std::function<void()> callback) override {
    connection_->on_gone = std::move(callback);
    if (connection_->ended()) connection_->post_gone();
  }

  bool body_done() const {
    if (framing_ == Framing::kLength) return length_left_ == 0;
    return framing_ != Framing::kChunked || chunks_.done();
  }
  bool keep_alive() const { return keep_alive_ && !(expects_continue_ && !body_done()); }

 private:
  enum class State { kNew, kStreaming, kDone };

  Status decode(std::string* piece) {
    std::string_view buffered = connection_->buffered();
    if (buffered.empty()) return Status();
    if (framing_ == Framing::kLength) {
      size_t count = std::min<uint64_t>(length_left_, buffered.size());
      *piece = connection_->take(count);
      length_left_ -= count;
      return Status();
    }
    size_t used = chunks_.feed(buffered, kBuffered, piece);
    connection_->consume(used);
    if (!chunks_.failed()) return Status();
    keep_alive_ = false;
    return Status::make(400, "BadRequest", "invalid chunked encoding");
  }

  std::string make_head(int status, const Headers& headers) {
    if (headers.has_token("connection", "close")) keep_alive_ = false;
    // A client that still waits for its 100 may or may not send the body: what follows cannot be
    // told.
    if (!keep_alive() || connection_->context.control->stopping) keep_alive_ = false;
    std::string head;
    head.reserve(256);
    head += "HTTP/1.1 ";
    head += std::to_string(status);
    head += ' ';
    head += status_text(status);
    head += "\r\n";
    for (const auto& [name, value] : headers.fields()) {
      if (is_connection_specific(name) && !(chunked_ && iequals(name, "transfer-encoding")))
        continue;
      if (!is_token(name)) continue;
      head += name;
      head += ": ";
      if (is_field_value(value))
        head += value;
      else
        head += clean_field_value(value);
      head += "\r\n";
    }
    if (!headers.has("date")) {
      head += "Date: ";
      head += http_date();
      head += "\r\n";
    }
    if (!keep_alive_)
      head += "Connection: close\r\n";
    else if (minor_ == 0)
      head += "Connection: keep-alive\r\n";
    head += "\r\n";
    return head;
  }

  // The peer has gone. The callback comes before the failing call returns: afterwards the handler
  // may be over.
  Task<void> lose() {
    keep_alive_ = false;
    connection_->close();
    if (!connection_->on_gone) co_return;
    connection_->post_gone();
    co_await yield_now();
  }

  std::shared_ptr<Http1Connection> connection_;
  Framing framing_;
  uint64_t length_left_;
  ChunkDecoder chunks_;
  bool is_head_;
  int minor_;
  bool keep_alive_;
  bool expects_continue_;
  bool cancelled_ = false;
  State state_ = State::kNew;
  bool no_body_ = false, chunked_ = false, declared_ = false;
  uint64_t declared_left_ = 0;
};

Task<void> refuse(std::shared_ptr<Http1Connection> connection, int status) {
  std::string text = fmt::format(
      "HTTP/1.1 {0} {1}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{0} "
      "{1}",
      status, status_text(status));
  std::string_view view = text;
  Status ignored = co_await connection->stream->write(view);
}

// Ends the connection so that the peer gets to read the last response: closing with unread input
// would reset it.
Task<void> linger(std::shared_ptr<Http1Connection> connection) {
  connection->stream->shutdown_write();
  connection->idle_alarm.arm(std::chrono::milliseconds(500), [connection] { connection->close(); });
  size_t dropped = 0;
  while (!connection->ended() && dropped < (4 << 20)) {
    size_t count = connection->buffered().size();
    dropped += count;
    if (count > 0) connection->consume(count);
    co_await connection->wait_for_more();
  }
  connection->idle_alarm.cancel();
  connection->close();
}

// Waits for a whole head. 0: parsed; else the status to refuse with, or -1 at the end of the
// connection.
Task<int> next_head(std::shared_ptr<Http1Connection> connection, Http1Head* head) {
  size_t max = connection->context.options->max_header_bytes;
  connection->limit = max + 1;
  HeadScanner scanner;
  int blanks = 0;
  while (true) {
    // RFC 9112 2.2: blank lines before a request are skipped (a few).
    while (connection->buffered().starts_with("\r\n") && ++blanks < 4) {
      connection->consume(2);
      scanner.reset();
    }
    HeadScanner::State state = scanner.scan(connection->buffered());
    if (state == HeadScanner::State::kBad) co_return 400;
    if (state == HeadScanner::State::kComplete) break;
    if (connection->buffered().size() > max) co_return 431;
    if (connection->ended()) co_return -1;
    if (connection->context.control->stopping && connection->buffered().empty()) co_return -1;
    co_await connection->wait_for_more();
  }
  if (scanner.size() > max) co_return 431;
  connection->limit = kBuffered;
  int refused = parse_request_head(connection->buffered().substr(0, scanner.size()), head);
  if (refused == 0) connection->consume(scanner.size());
  co_return refused;
}

// One exchange; false when the connection cannot serve another.
Task<bool> serve_one(std::shared_ptr<Http1Connection> connection, Http1Head head) {
  Request request;
  request.method = head.method;
  request.path = std::move(head.path);
  request.query = std::move(head.query);
  request.authority = std::move(head.authority);
  request.http_major = 1;
  request.peer = connection->context.peer;
  Http1Exchange exchange(connection, head);
  request.headers = std::move(head.headers);
  request.body = &exchange;
  co_await run_handler(connection->context.handler, &request, &exchange);
  ++connection->exchange_number;
  connection->on_gone = nullptr;
  if (connection->upgraded) co_return false;
  if (!exchange.keep_alive() || connection->ended()) co_return false;
  for (size_t drained = 0; !exchange.body_done();) {
    Result<std::string> piece = co_await exchange.read();
    if (!piece.ok()) co_return false;
    drained += piece->size();
    if (drained > kDrainLimit) co_return false;
  }
  co_return true;
}

}  // namespace

Task<void> serve_http1(ConnectionContext context, std::unique_ptr<ByteStream> stream,
                       std::string initial) {
  Executor executor = context.executor;
  auto connection =
      std::make_shared<Http1Connection>(std::move(context), std::move(stream), std::move(initial));
  std::weak_ptr<Http1Connection> weak = connection;
  ConnectionControl& control = *connection->context.control;
  control.abort = [weak] {
    if (auto self = weak.lock()) self->close();
  };
  control.begin_shutdown = [weak] {
    auto self = weak.lock();
    if (self != nullptr && !self->busy) self->close();
  };
  connection->idle_since = Clock::real().mono();
  connection->watch_idleness(connection->context.options->idle_timeout);
  spawn(executor, Http1Connection::read_loop(connection));
  bool more = true;
  while (more && !connection->context.control->stopping) {
    Http1Head head;
    connection->busy = false;
    int refused = co_await next_head(connection, &head);
    connection->busy = true;
    if (refused < 0) break;
    if (refused > 0) {
      co_await refuse(connection, refused);
      more = false;
    } else {
      more = co_await serve_one(connection, std::move(head));
      connection->idle_since = Clock::real().mono();
    }
  }
  if (connection->upgraded) co_return;
  if (connection->ended())
    connection->close();
  else
    co_await linger(connection);
}

}  // namespace knarr::net
