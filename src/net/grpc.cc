// SPDX-License-Identifier: Apache-2.0
#include "net/grpc.h"

#include "net/event.h"
#include "net/grpc_framing.h"

namespace knarr::net {

namespace {

// gRPC allows eight digits and a unit.
std::string timeout_text(Duration timeout) {
  int64_t ns = timeout.count();
  if (ns < 100'000'000) return fmt::format("{}n", ns);
  if (ns / 1'000'000 < 100'000'000) return fmt::format("{}m", ns / 1'000'000);
  return fmt::format("{}S", std::min<int64_t>(ns / 1'000'000'000, 99'999'999));
}

ClientRequest make_request(std::string method, Duration timeout) {
  ClientRequest request;
  request.method = "POST";
  request.target = std::move(method);
  request.headers.add("content-type", "application/grpc");
  request.headers.add("te", "trailers");
  request.headers.add("user-agent", "knarr-grpc/1.0");
  if (timeout > Duration::zero()) request.headers.add("grpc-timeout", timeout_text(timeout));
  return request;
}

// A failure of the transport in gRPC's terms; one that has them already stays.
Status as_grpc(const Status& status) {
  if (status.ok()) return status;
  if (status.is("Timeout")) return grpc_status(4, "context deadline exceeded");
  if (status.is("InternalError") || status.is("ServiceUnavailable"))
    return grpc_status(14, status.message());
  return status;
}

// gRPC's mapping for answers that are none of its own.
Status check_head(const ClientResponse& response) {
  if (response.status == 200 &&
      response.headers.get("content-type").starts_with("application/grpc"))
    return Status();
  int code = 2;
  switch (response.status) {
    case 400:
      code = 13;
      break;
    case 401:
      code = 16;
      break;
    case 403:
      code = 7;
      break;
    case 404:
      code = 12;
      break;
    case 429:
    case 502:
    case 503:
    case 504:
      code = 14;
      break;
    default:
      break;
  }
  return grpc_status(
      code, fmt::format("unexpected HTTP status code received from server: {}", response.status));
}

Status final_status(const ClientResponse& response) {
  // "Trailers only": an answer without messages has its status in the head.
  if (response.headers.has("grpc-status")) return grpc_status_of(response.headers);
  return grpc_status_of(*response.trailers);
}

class GrpcStream final : public GrpcChannel::Stream {
 public:
  explicit GrpcStream(std::unique_ptr<ClientExchange> exchange) : exchange_(std::move(exchange)) {}

  Task<Result<std::optional<std::string>>> next() override {
    if (!response_) {
      Result<ClientResponse> response = co_await exchange_->response();
      if (cancelled_) co_return grpc_status(1, "context canceled");
      if (!response.ok()) co_return as_grpc(response.status());
      response_.emplace(std::move(*response));
      CO_TRY(check_head(*response_));
    }
    while (true) {
      CO_TRY_ASSIGN(std::optional<std::string> message, reader_.take());
      if (message) co_return std::move(message);
      Result<std::string> piece = co_await response_->body->read();
      if (cancelled_) co_return grpc_status(1, "context canceled");
      if (!piece.ok()) co_return as_grpc(piece.status());
      if (piece->empty()) break;
      reader_.feed(std::move(*piece));
    }
    CO_TRY(final_status(*response_));
    if (!reader_.empty()) co_return grpc_status(13, "grpc: the stream ended within a message");
    co_return std::optional<std::string>();
  }

  Task<Status> send(std::string message) override {
    Body frame = grpc_frame(std::move(message));
    Status status = co_await exchange_->write(std::move(frame));
    co_return as_grpc(status);
  }

  Task<Status> finish_sending() override {
    Status status = co_await exchange_->finish();
    co_return as_grpc(status);
  }

  void cancel() override {
    cancelled_ = true;
    exchange_->cancel();
    if (response_) response_->body->cancel();
  }

 private:
  std::unique_ptr<ClientExchange> exchange_;
  std::optional<ClientResponse> response_;
  GrpcReader reader_{kGrpcMaxMessage};
  bool cancelled_ = false;
};

Task<Result<std::string>> unary_call(std::shared_ptr<Client> client, std::string method,
                                     std::string message, Duration timeout) {
  ClientRequest request = make_request(std::move(method), timeout);
  request.timeout = timeout;
  request.body = grpc_frame(std::move(message));
  MonoTime started = Clock::real().mono();
  Result<ClientResponse> response = co_await client->send(std::move(request));
  if (!response.ok()) co_return as_grpc(response.status());
  CO_TRY(check_head(*response));
  Executor executor = co_await this_executor();
  Alarm alarm(executor);
  auto timed_out = std::make_shared<bool>(false);
  if (timeout > Duration::zero()) {
    Duration left = std::max<Duration>(timeout - (Clock::real().mono() - started),
                                       std::chrono::milliseconds(1));
    BodyReader* body = response->body.get();  // outlives the alarm: declared before it
    alarm.arm(left, [body, timed_out] {
      *timed_out = true;
      body->cancel();
    });
  }
  GrpcReader reader(kGrpcMaxMessage);
  std::optional<std::string> answer;
  while (true) {
    Result<std::string> piece = co_await response->body->read();
    if (*timed_out) co_return grpc_status(4, "context deadline exceeded");
    if (!piece.ok()) co_return as_grpc(piece.status());
    if (piece->empty()) break;
    reader.feed(std::move(*piece));
    CO_TRY_ASSIGN(std::optional<std::string> message, reader.take());
    if (message && answer) co_return grpc_status(13, "grpc: more than one answer to a unary call");
    if (message) answer = std::move(message);
  }
  CO_TRY(final_status(*response));
  if (!answer || !reader.empty()) co_return grpc_status(13, "grpc: the answer is incomplete");
  co_return std::move(*answer);
}

Task<Result<std::unique_ptr<GrpcChannel::Stream>>> open_stream(std::shared_ptr<Client> client,
                                                               std::string method,
                                                               std::string first_message) {
  ClientRequest request = make_request(std::move(method), Duration::zero());
  request.body = grpc_frame(std::move(first_message));
  Result<std::unique_ptr<ClientExchange>> exchange = co_await client->open(std::move(request));
  if (!exchange.ok()) co_return as_grpc(exchange.status());
  std::unique_ptr<GrpcChannel::Stream> stream = std::make_unique<GrpcStream>(std::move(*exchange));
  co_return std::move(stream);
}

class GrpcChannelImpl final : public GrpcChannel {
 public:
  explicit GrpcChannelImpl(std::shared_ptr<Client> client) : client_(std::move(client)) {}
  Task<Result<std::string>> call(std::string method, std::string message,
                                 Duration timeout) override {
    return unary_call(client_, std::move(method), std::move(message), timeout);
  }
  Task<Result<std::unique_ptr<Stream>>> stream(std::string method,
                                               std::string first_message) override {
    return open_stream(client_, std::move(method), std::move(first_message));
  }

 private:
  std::shared_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<GrpcChannel> make_grpc_channel(std::shared_ptr<Client> client) {
  return std::make_unique<GrpcChannelImpl>(std::move(client));
}

}  // namespace knarr::net
