// SPDX-License-Identifier: Apache-2.0
// The in-process transport: a request enters the server as one from a socket does, on its caller's executor.
#include <deque>

#include "apiserver/core.h"

namespace knarr::apiserver {
namespace {

// How far a stream's writer may run ahead of its reader.
constexpr size_t kMaxQueuedBytes = size_t{1} << 20;
constexpr size_t kMaxQueuedEvents = 1000;

class TextReader final : public net::BodyReader {
 public:
  explicit TextReader(std::string text) : text_(std::move(text)) {}
  Task<Result<std::string>> read() override { co_return std::exchange(text_, {}); }

 private:
  std::string text_;
};

// Both ends of one exchange; one executor.
struct Exchange {
  explicit Exchange(Executor e) : executor(e), readable(e), writable(e) {}
  Executor executor;
  Notifier readable, writable;
  std::deque<std::string> chunks;
  std::deque<client::WatchEvent> events;  // of a watch
  size_t queued = 0;
  bool head = false, finished = false, reader_gone = false;
  int status = 0;
  net::Headers headers;
  std::function<void()> on_close;

  void leave() {
    if (reader_gone) return;
    reader_gone = true;
    writable.notify();
    if (on_close && !finished) std::exchange(on_close, nullptr)();
  }
};

class Writer final : public net::ResponseWriter {
 public:
  // With `whole` nothing waits for the reader: the answer is taken when it is complete.
  Writer(std::shared_ptr<Exchange> exchange, bool whole) : exchange_(std::move(exchange)), whole_(whole) {}

  Task<Status> respond(int status, net::Headers headers, Body body) override {
    begin(status, std::move(headers));
    exchange_->chunks.push_back(body.flatten());
    end();
    co_return Status();
  }
  Task<Status> start(int status, net::Headers headers) override {
    begin(status, std::move(headers));
    co_return Status();
  }
  Task<Status> write(Body body) override {
    while (!whole_ && exchange_->queued > kMaxQueuedBytes && !exchange_->reader_gone) co_await exchange_->writable.wait();
    if (exchange_->reader_gone) co_return Status::make(499, "ClientClosed", "the reader has gone");
    exchange_->queued += body.size();
    exchange_->chunks.push_back(body.flatten());
    exchange_->readable.notify();
    co_return Status();
  }
  Task<Status> finish(net::Headers) override {
    end();
    co_return Status();
  }
  Task<Result<std::unique_ptr<net::ByteStream>>> upgrade(net::Headers) override {
    co_return Status::make(400, "BadRequest", "the in-process transport cannot upgrade");
  }
  bool started() const override { return exchange_->head; }
  bool closed() const override { return exchange_->reader_gone; }
  void on_close(std::function<void()> callback) override { exchange_->on_close = std::move(callback); }
  void end() {
    exchange_->finished = true;
    exchange_->readable.notify();
  }

 private:
  void begin(int status, net::Headers headers) {
    exchange_->status = status;
    exchange_->headers = std::move(headers);
    exchange_->head = true;
    exchange_->readable.notify();
  }
  std::shared_ptr<Exchange> exchange_;
  bool whole_;
};

class Sink final : public EventSink {
 public:
  explicit Sink(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  void event(std::string_view type, std::shared_ptr<const schema::Object> object) override {
    exchange_->events.push_back({std::string(type), std::move(object)});
    exchange_->readable.notify();
  }
  Task<Status> flush() override {
    while (exchange_->events.size() > kMaxQueuedEvents && !exchange_->reader_gone) co_await exchange_->writable.wait();
    if (exchange_->reader_gone) co_return Status::make(499, "ClientClosed", "the reader has gone");
    co_return Status();
  }

 private:
  std::shared_ptr<Exchange> exchange_;
};

class LocalWatchStream final : public client::WatchStream {
 public:
  explicit LocalWatchStream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~LocalWatchStream() override { exchange_->leave(); }
  Task<Result<client::WatchEvent>> next() override {
    std::shared_ptr<Exchange> exchange = exchange_;
    while (exchange->events.empty() && !exchange->finished && !cancelled_) co_await exchange->readable.wait();
    if (exchange->events.empty()) {
      if (exchange->finished) co_return Status::make(200, "Closed", "watch closed");
      co_return Status::make(499, "ClientClosed", "the read was cancelled");
    }
    client::WatchEvent event = std::move(exchange->events.front());
    exchange->events.pop_front();
    if (exchange->events.size() == kMaxQueuedEvents) exchange->writable.notify();
    co_return event;
  }
  void cancel() override {
    cancelled_ = true;
    exchange_->readable.notify();
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  bool cancelled_ = false;
};

class StreamReader final : public net::BodyReader {
 public:
  explicit StreamReader(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~StreamReader() override { exchange_->leave(); }
  Task<Result<std::string>> read() override {
    std::shared_ptr<Exchange> exchange = exchange_;
    while (exchange->chunks.empty() && !exchange->finished && !cancelled_) co_await exchange->readable.wait();
    if (exchange->chunks.empty()) {
      if (exchange->finished) co_return std::string();
      co_return Status::make(499, "ClientClosed", "the read was cancelled");
    }
    std::string chunk = std::move(exchange->chunks.front());
    exchange->chunks.pop_front();
    exchange->queued -= std::min(exchange->queued, chunk.size());
    exchange->writable.notify();
    co_return chunk;
  }
  void cancel() override {
    cancelled_ = true;
    exchange_->readable.notify();
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  bool cancelled_ = false;
};

net::Request make_request(client::ApiRequest& request) {
  net::Request made;
  made.method = std::move(request.method);
  size_t question = request.target.find('?');
  made.path = request.target.substr(0, question);
  if (question != std::string::npos) made.query = request.target.substr(question + 1);
  made.authority = "in-process";
  made.http_major = 2;
  made.headers.add("Accept", request.accept);
  if (!request.content_type.empty()) made.headers.add("Content-Type", request.content_type);
  if (!request.user_agent.empty()) made.headers.add("User-Agent", request.user_agent);
  static const auto peer = std::make_shared<const net::Peer>(net::Peer{"127.0.0.1"});
  made.peer = peer;
  return made;
}

enum class Form { kWhole, kStream, kEvents };

Task<void> run(Core* core, std::shared_ptr<Exchange> exchange, client::ApiRequest request, User user, Form form) {
  net::Request made = make_request(request);
  TextReader body(std::move(request.body));
  made.body = &body;
  Writer writer(exchange, form == Form::kWhole);
  Sink sink(exchange);
  std::optional<User> trusted(std::move(user));
  co_await core->serve(made, writer, std::move(trusted), form == Form::kEvents ? &sink : nullptr);
  if (!exchange->head) {
    // A handler that said nothing.
    exchange->status = 500;
    exchange->head = true;
  }
  writer.end();
}

class LocalTransport final : public client::Transport {
 public:
  LocalTransport(Core& core, User user) : core_(core), user_(std::move(user)) {}

  Task<Result<client::ApiResponse>> send(client::ApiRequest request) override {
    Executor executor = co_await this_executor();
    auto exchange = std::make_shared<Exchange>(executor);
    Core* core = &core_;
    User user = user_;
    co_await run(core, exchange, std::move(request), std::move(user), Form::kWhole);
    client::ApiResponse response;
    response.status = exchange->status;
    response.headers = std::move(exchange->headers);
    for (std::string& chunk : exchange->chunks) response.body = response.body.empty() ? std::move(chunk) : response.body + chunk;
    co_return response;
  }

  Task<Result<Streaming>> open(client::ApiRequest request) override {
    Executor executor = co_await this_executor();
    std::shared_ptr<Exchange> exchange = begin(executor, std::move(request), Form::kStream);
    // Made first: when this coroutine is dropped, the exchange ends with it.
    auto reader = std::make_unique<StreamReader>(exchange);
    while (!exchange->head) co_await exchange->readable.wait();
    Streaming streaming;
    streaming.status = exchange->status;
    streaming.headers = std::move(exchange->headers);
    streaming.body = std::move(reader);
    co_return streaming;
  }

  Task<Result<std::unique_ptr<client::WatchStream>>> watch(client::ApiRequest request, const schema::Type&) override {
    Executor executor = co_await this_executor();
    std::shared_ptr<Exchange> exchange = begin(executor, std::move(request), Form::kEvents);
    std::unique_ptr<client::WatchStream> stream = std::make_unique<LocalWatchStream>(exchange);
    while (!exchange->head) co_await exchange->readable.wait();
    if (exchange->status == 200) co_return std::move(stream);
    while (!exchange->finished) co_await exchange->readable.wait();
    std::string body;
    for (const std::string& chunk : exchange->chunks) body += chunk;
    co_return client::status_of_response(exchange->status, exchange->headers.get("Content-Type"), body);
  }

 private:
  std::shared_ptr<Exchange> begin(const Executor& executor, client::ApiRequest request, Form form) {
    auto exchange = std::make_shared<Exchange>(executor);
    User user = user_;
    spawn(executor, run(&core_, exchange, std::move(request), std::move(user), form));
    return exchange;
  }
  Core& core_;
  const User user_;
};

}  // namespace

std::shared_ptr<client::Transport> Core::local_transport(User user) { return std::make_shared<LocalTransport>(*this, std::move(user)); }

}  // namespace knarr::apiserver
