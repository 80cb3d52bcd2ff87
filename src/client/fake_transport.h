// SPDX-License-Identifier: Apache-2.0
// A server played by a test: scripted answers, and watches that the test feeds. For tests of this and other modules.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/client.h"

namespace knarr::client {

// A body that arrives when the test says so.
class FakeBody final : public net::BodyReader {
 public:
  struct State {
    explicit State(Executor executor) : changed(std::move(executor)) {}
    Notifier changed;
    std::deque<std::string> pieces;
    bool ended = false;
    Status failure;
    void push(std::string piece) {
      pieces.push_back(std::move(piece));
      changed.notify();
    }
    void end(Status status = {}) {
      ended = true;
      failure = std::move(status);
      changed.notify();
    }
  };
  explicit FakeBody(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Task<Result<std::string>> read() override {
    std::shared_ptr<State> state = state_;
    while (state->pieces.empty() && !state->ended) co_await state->changed.wait();
    if (state->pieces.empty()) {
      if (!state->failure.ok()) co_return state->failure;
      co_return std::string();
    }
    std::string piece = std::move(state->pieces.front());
    state->pieces.pop_front();
    co_return piece;
  }
  void cancel() override { state_->end(Status::error("cancelled")); }

 private:
  std::shared_ptr<State> state_;
};

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Executor executor) : executor_(std::move(executor)) {}

  // Answers are given in order; without one left, `fallback` answers, else 503.
  struct Answer {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
  };
  std::deque<Answer> answers;
  std::function<Answer(const ApiRequest&)> fallback;
  // Every watch that was opened. A watch is answered 200 unless a refusal is queued.
  std::vector<std::shared_ptr<FakeBody::State>> watches;
  std::deque<Answer> watch_refusals;
  std::vector<ApiRequest> requests;

  Task<Result<ApiResponse>> send(ApiRequest request) override {
    requests.push_back(request);
    Answer answer{503, "", "text/plain"};
    if (!answers.empty()) {
      answer = std::move(answers.front());
      answers.pop_front();
    } else if (fallback) {
      answer = fallback(request);
    }
    ApiResponse response;
    response.status = answer.status;
    response.headers.add("Content-Type", answer.content_type);
    response.body = std::move(answer.body);
    co_return response;
  }

  Task<Result<Streaming>> open(ApiRequest request) override {
    requests.push_back(request);
    auto state = std::make_shared<FakeBody::State>(executor_);
    Streaming streaming;
    streaming.status = 200;
    std::string type = "application/json";
    if (!watch_refusals.empty()) {
      Answer refusal = std::move(watch_refusals.front());
      watch_refusals.pop_front();
      streaming.status = refusal.status;
      type = refusal.content_type;
      if (!refusal.body.empty()) state->push(refusal.body);
      state->end();
    } else {
      watches.push_back(state);
    }
    streaming.headers.add("Content-Type", type);
    streaming.body = std::make_unique<FakeBody>(state);
    co_return streaming;
  }

 private:
  Executor executor_;
};

}  // namespace knarr::client
