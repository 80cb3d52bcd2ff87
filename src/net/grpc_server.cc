// SPDX-License-Identifier: Apache-2.0
#include "net/grpc_server.h"

#include "net/grpc_framing.h"

namespace knarr::net {

namespace {

Headers status_fields(const Status& status) {
  Headers fields;
  fields.add("grpc-status", std::to_string(grpc_code_of(status)));
  if (!status.ok()) fields.add("grpc-message", grpc_encode_message(status.message()));
  return fields;
}

class ServerStream final : public GrpcServerStream {
 public:
  ServerStream(BodyReader* body, ResponseWriter* writer) : body_(body), writer_(writer) {}

  Task<Result<std::optional<std::string>>> next() override {
    while (true) {
      CO_TRY_ASSIGN(std::optional<std::string> message, reader_.take());
      if (message) co_return std::move(message);
      Result<std::string> piece = co_await body_->read();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) break;
      reader_.feed(std::move(*piece));
    }
    if (!reader_.empty()) co_return grpc_status(13, "grpc: the stream ended within a message");
    co_return std::optional<std::string>();
  }

  Task<Status> send(std::string message) override {
    Status ready = co_await begin();
    if (!ready.ok()) co_return ready;
    Body frame = grpc_frame(std::move(message));
    Status sent = co_await writer_->write(std::move(frame));
    co_return sent;
  }

  bool closed() const override { return writer_->closed(); }
  void on_close(std::function<void()> callback) override { writer_->on_close(std::move(callback)); }

  Task<Status> begin() {
    if (writer_->started()) co_return Status();
    Headers headers;
    headers.add("content-type", "application/grpc");
    Status started = co_await writer_->start(200, std::move(headers));
    co_return started;
  }

  Task<void> end(Status outcome) {
    Status ready = co_await begin();
    if (!ready.ok()) co_return;
    Headers trailers = status_fields(outcome);
    Status ignored = co_await writer_->finish(std::move(trailers));
  }

 private:
  BodyReader* body_;
  ResponseWriter* writer_;
  GrpcReader reader_{kGrpcMaxMessage};
};

Task<Status> run_unary(const GrpcService::Unary& unary, ServerStream& stream) {
  Result<std::optional<std::string>> message = co_await stream.next();
  if (!message.ok()) co_return message.status();
  if (!*message) co_return grpc_status(13, "grpc: a unary call needs one message");
  std::string text = std::move(**message);
  Task<Result<std::string>> work = unary(std::move(text));
  Result<std::string> answer = co_await std::move(work);
  if (!answer.ok()) co_return answer.status();
  std::string encoded = std::move(*answer);
  Status sent = co_await stream.send(std::move(encoded));
  co_return sent;
}

}  // namespace

void GrpcService::add_unary(std::string method, Unary unary) {
  methods_[std::move(method)].unary = std::move(unary);
}

void GrpcService::add_streaming(std::string method, Streaming streaming) {
  methods_[std::move(method)].streaming = std::move(streaming);
}

Handler GrpcService::handler() const {
  struct Dispatch {
    std::shared_ptr<const absl::flat_hash_map<std::string, Method>> methods;

    static Task<void> run(std::shared_ptr<const absl::flat_hash_map<std::string, Method>> methods,
                          Request& request, ResponseWriter& writer) {
      if (request.http_major != 2 ||
          !request.headers.get("content-type").starts_with("application/grpc")) {
        Headers headers;
        Body body("gRPC requires HTTP/2\n");
        Status ignored = co_await writer.respond(415, std::move(headers), std::move(body));
        co_return;
      }
      ServerStream stream(request.body, &writer);
      auto at = methods->find(request.path);
      Status outcome = grpc_status(12, "unknown method " + request.path);
      if (at != methods->end() && at->second.unary) {
        outcome = co_await run_unary(at->second.unary, stream);
      } else if (at != methods->end()) {
        Task<Status> work = at->second.streaming(stream);
        outcome = co_await std::move(work);
      }
      co_await stream.end(std::move(outcome));
    }

    Task<void> operator()(Request& request, ResponseWriter& writer) const {
      return run(methods, request, writer);
    }
  };
  return Dispatch{std::make_shared<const absl::flat_hash_map<std::string, Method>>(methods_)};
}

}  // namespace knarr::net
