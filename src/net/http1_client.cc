// SPDX-License-Identifier: Apache-2.0
#include "net/client_internal.h"
#include "net/socket.h"
#include "net/text.h"

namespace knarr::net {

namespace {

constexpr auto kIdleLimit = std::chrono::seconds(90);
constexpr size_t kMaxIdle = 100;
constexpr size_t kMaxHead = 10 << 20;
constexpr size_t kReadSize = 16 << 10;
constexpr size_t kPiece = 256 << 10;

// More bytes into `buffered`; false at the end of the connection.
Task<Result<bool>> fill(std::shared_ptr<Http1ClientConnection> connection) {
  char buffer[kReadSize];
  Result<size_t> count = co_await connection->stream->read(buffer, sizeof(buffer));
  if (!count.ok()) co_return count.status();
  connection->buffered.append(buffer, *count);
  co_return *count > 0;
}

class Http1Body final : public BodyReader {
 public:
  Http1Body(std::shared_ptr<Http1ClientConnection> connection, std::shared_ptr<Http1Pool> pool,
            const Http1Head& head)
      : connection_(std::move(connection)),
        pool_(std::move(pool)),
        framing_(head.framing),
        left_(head.length),
        keep_alive_(head.keep_alive) {
    if (framing_ == Framing::kNone) release();
  }
  ~Http1Body() override {
    if (connection_ != nullptr) connection_->stream->close();
  }

  Task<Result<std::string>> read() override {
    while (connection_ != nullptr) {
      if (cancelled_) co_return Status::error("body reading was cancelled");
      std::shared_ptr<Http1ClientConnection> connection = connection_;
      std::string piece;
      CO_TRY(decode(&piece));
      if (!piece.empty()) co_return std::move(piece);
      if (connection_ == nullptr) break;
      Result<bool> more = co_await fill(connection);
      if (!more.ok()) co_return more.status();
      if (*more) continue;
      if (framing_ != Framing::kUntilClose) co_return Status::error("unexpected EOF");
      connection->stream->close();
      connection_ = nullptr;
    }
    co_return std::string();
  }
  void cancel() override {
    cancelled_ = true;
    if (connection_ != nullptr) connection_->stream->close();
  }
  const Headers* trailers() const { return &chunks_.trailers(); }

 private:
  Status decode(std::string* piece) {
    std::string& buffered = connection_->buffered;
    switch (framing_) {
      case Framing::kNone:
        break;
      case Framing::kUntilClose:
        piece->swap(buffered);
        return Status();
      case Framing::kLength: {
        size_t count = std::min<uint64_t>(left_, buffered.size());
        if (count == buffered.size()) {
          piece->swap(buffered);
        } else {
          *piece = buffered.substr(0, count);
          buffered.erase(0, count);
        }
        left_ -= count;
        if (left_ > 0) return Status();
        break;
      }
      case Framing::kChunked: {
        size_t used = chunks_.feed(buffered, kPiece, piece);
        buffered.erase(0, used);
        if (chunks_.failed()) return Status::error("invalid chunked encoding");
        if (!chunks_.done()) return Status();
        break;
      }
    }
    release();
    return Status();
  }

  void release() {
    // Bytes beyond the answer: whatever they are, this connection is not to be trusted with
    // another.
    if (keep_alive_ && connection_->buffered.empty() && pool_ != nullptr)
      pool_->put(std::move(connection_));
    else
      connection_->stream->close();
    connection_ = nullptr;
  }

  std::shared_ptr<Http1ClientConnection> connection_;  // null once the body is complete
  std::shared_ptr<Http1Pool> pool_;
  Framing framing_;
  uint64_t left_;
  bool keep_alive_, cancelled_ = false;
  ChunkDecoder chunks_;
};

class Http1Exchange final : public ClientExchange {
 public:
  Http1Exchange(std::shared_ptr<Http1ClientConnection> connection, std::shared_ptr<Http1Pool> pool,
                bool head_request, Duration timeout)
      : connection_(std::move(connection)),
        pool_(std::move(pool)),
        head_request_(head_request),
        timeout_(timeout) {}
  ~Http1Exchange() override {
    if (!answered_) connection_->stream->close();
  }
  Task<Status> write(Body body) override {
    if (finished_) co_return Status::error("request is finished");
    if (body.empty()) co_return Status();
    Body out(fmt::format("{:x}\r\n", body.size()));
    out.append(std::move(body));
    out.append(Slice::of_static("\r\n"));
    std::shared_ptr<Http1ClientConnection> connection = connection_;
    Status status = co_await connection->stream->write(out);
    co_return status;
  }
  Task<Status> finish() override {
    if (finished_) co_return Status();
    finished_ = true;
    std::shared_ptr<Http1ClientConnection> connection = connection_;
    std::string_view end = "0\r\n\r\n";
    Status status = co_await connection->stream->write(end);
    co_return status;
  }
  Task<Result<ClientResponse>> response() override {
    Http1Answer answer;
    std::shared_ptr<Http1ClientConnection> connection = connection_;
    Status status = co_await read_http1_head(connection, head_request_, timeout_, &answer);
    if (!status.ok()) co_return status;
    answered_ = true;
    // An answer that came before the request was complete leaves the connection unusable for
    // another.
    if (!finished_) answer.head.keep_alive = false;
    co_return http1_response(std::move(connection), pool_, std::move(answer.head));
  }
  void cancel() override { connection_->stream->close(); }

 private:
  std::shared_ptr<Http1ClientConnection> connection_;
  std::shared_ptr<Http1Pool> pool_;
  bool head_request_;
  Duration timeout_;
  bool finished_ = false, answered_ = false;
};

class LeftoverStream final : public ByteStream {
 public:
  explicit LeftoverStream(std::shared_ptr<Http1ClientConnection> connection)
      : connection_(std::move(connection)) {}
  ~LeftoverStream() override { connection_->stream->close(); }
  Task<Result<size_t>> read(char* buffer, size_t size) override {
    std::string& buffered = connection_->buffered;
    if (buffered.empty()) return connection_->stream->read(buffer, size);
    size_t count = std::min(size, buffered.size());
    std::memcpy(buffer, buffered.data(), count);
    buffered.erase(0, count);
    return at_once(count);
  }
  Task<Status> write(std::string_view bytes) override { return connection_->stream->write(bytes); }
  Task<Status> write(const Body& body) override { return connection_->stream->write(body); }
  void shutdown_write() override { connection_->stream->shutdown_write(); }
  void close() override { connection_->stream->close(); }

 private:
  static Task<Result<size_t>> at_once(size_t count) { co_return count; }
  std::shared_ptr<Http1ClientConnection> connection_;
};

}  // namespace

void Http1Pool::put(std::shared_ptr<Http1ClientConnection> connection) {
  MonoTime now = Clock::real().mono();
  std::erase_if(idle_, [now](const auto& idle) { return now - idle->idle_since >= kIdleLimit; });
  if (closed_ || idle_.size() >= kMaxIdle) {
    connection->stream->close();
    return;
  }
  connection->used = true;
  connection->idle_since = now;
  idle_.push_back(std::move(connection));
}

std::shared_ptr<Http1ClientConnection> Http1Pool::take() {
  MonoTime now = Clock::real().mono();
  while (!idle_.empty()) {
    std::shared_ptr<Http1ClientConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (now - connection->idle_since < kIdleLimit && socket_is_quiet(connection->fd))
      return connection;
    connection->stream->close();
  }
  return nullptr;
}

void Http1Pool::close() {
  closed_ = true;
  for (auto& connection : idle_) connection->stream->close();
  idle_.clear();
}

std::string http1_request_head(const ClientRequest& request, std::string_view authority,
                               Http1Kind kind) {
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\n", request.method, clean_field_value(request.target));
  if (!request.headers.has("host")) head += fmt::format("Host: {}\r\n", authority);
  for (const auto& [name, value] : request.headers.fields()) {
    bool specific = is_connection_specific(name) && !iequals(name, "connection");
    if (!is_token(name) || (specific && !(kind == Http1Kind::kUpgrade && iequals(name, "upgrade"))))
      continue;
    if (kind == Http1Kind::kStreaming && iequals(name, "content-length")) continue;
    head += fmt::format("{}: {}\r\n", name, clean_field_value(value));
  }
  if (kind == Http1Kind::kUpgrade && !request.headers.has("connection"))
    head += "Connection: Upgrade\r\n";
  if (kind == Http1Kind::kStreaming) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (!request.headers.has("content-length")) {
    bool expected =
        request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (!request.body.empty() || expected)
      head += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  head += "\r\n";
  return head;
}

Task<Status> read_http1_head(std::shared_ptr<Http1ClientConnection> connection, bool head_request,
                             Duration timeout, Http1Answer* answer) {
  Executor executor = co_await this_executor();
  auto timed_out = std::make_shared<bool>(false);
  Alarm alarm(executor);
  if (timeout > Duration::zero()) {
    alarm.arm(timeout, [connection, timed_out] {
      *timed_out = true;
      connection->stream->close();
    });
  }
  HeadScanner scanner;
  bool anything = false;
  while (true) {
    anything = anything || !connection->buffered.empty();
    HeadScanner::State state = scanner.scan(connection->buffered);
    if (state == HeadScanner::State::kBad || connection->buffered.size() > kMaxHead)
      co_return Status::error("malformed HTTP response");
    if (state == HeadScanner::State::kMore) {
      Result<bool> more = co_await fill(connection);
      if (*timed_out) co_return client_timeout();
      if (more.ok() && *more) continue;
      answer->nothing_received = !anything;
      if (!more.ok()) co_return more.status();
      co_return Status::error("EOF");
    }
    answer->head = Http1Head();
    std::string_view text = std::string_view(connection->buffered).substr(0, scanner.size());
    if (!parse_response_head(text, head_request, &answer->head))
      co_return Status::error("malformed HTTP response");
    connection->buffered.erase(0, scanner.size());
    scanner.reset();
    if (answer->head.status >= 200 || answer->head.status == 101) co_return Status();
  }
}

ClientResponse http1_response(std::shared_ptr<Http1ClientConnection> connection,
                              std::shared_ptr<Http1Pool> pool, Http1Head head) {
  ClientResponse response;
  response.status = head.status;
  auto body = std::make_unique<Http1Body>(std::move(connection), std::move(pool), head);
  response.headers = std::move(head.headers);
  response.trailers = body->trailers();
  response.body = std::move(body);
  return response;
}

std::unique_ptr<ClientExchange> http1_exchange(std::shared_ptr<Http1ClientConnection> connection,
                                               std::shared_ptr<Http1Pool> pool, bool head_request,
                                               Duration timeout) {
  return std::make_unique<Http1Exchange>(std::move(connection), std::move(pool), head_request,
                                         timeout);
}

std::unique_ptr<ByteStream> http1_upgraded(std::shared_ptr<Http1ClientConnection> connection) {
  return std::make_unique<LeftoverStream>(std::move(connection));
}

}  // namespace knarr::net
