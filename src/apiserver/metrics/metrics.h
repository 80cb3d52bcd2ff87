// SPDX-License-Identifier: Apache-2.0
// What the server counts of its requests, under upstream's names, and the text that /metrics answers.
//
// A series is found by pointers and small numbers, not by label texts, so that counting costs one short lock and no allocation. Labels come
// from the resource tables and from routes, never from what a client wrote: their number is bounded.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "base/clock.h"
#include "base/metrics_text.h"
#include "base/task.h"
#include "net/http.h"
#include "schema/resource.h"

namespace knarr::apiserver {
struct RequestContext;
struct Route;
}

namespace knarr::apiserver::metrics {

using knarr::metrics::label, knarr::metrics::write_build_info, knarr::metrics::write_head, knarr::metrics::write_number,
    knarr::metrics::write_process_metrics, knarr::metrics::write_sample;

inline constexpr std::array<double, 23> kDurationBounds = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2,
                                                           3,     4,     5,    6,   8,   10,  15,  20,  30,   45,  60};

enum class Verb : uint8_t { kGet, kList, kWatch, kPost, kPut, kPatch, kApply, kDelete, kDeleteCollection, kConnect, kOther };
enum class Scope : uint8_t { kNone, kCluster, kNamespace, kResource };

// Any thread.
class RequestMetrics {
 public:
  struct Key {
    const schema::Resource* resource = nullptr;
    const schema::Subresource* subresource = nullptr;
    const Route* route = nullptr;  // of other paths
    Verb verb = Verb::kOther;
    Scope scope = Scope::kNone;
    uint8_t dry_run = 0;           // 1: All, 2: invalid
    auto operator<=>(const Key&) const = default;
  };
  void begin(bool long_running, bool mutating);
  void end(bool long_running, bool mutating);
  void record(const Key& key, int code, Duration elapsed);
  void write(std::string& out) const;

 private:
  struct Series {
    std::map<int, uint64_t> codes;
    std::array<uint64_t, kDurationBounds.size() + 1> buckets{};  // not yet summed up
    double seconds = 0;
  };
  std::atomic<int64_t> read_only_{0}, mutating_{0}, long_running_{0};
  mutable std::mutex mutex_;
  std::map<Key, Series> series_;  // guarded by mutex_
};

// The writer of an exchange that remembers which code it sent.
class CountingWriter final : public net::ResponseWriter {
 public:
  explicit CountingWriter(net::ResponseWriter& inner) : inner_(inner) {}
  Task<Status> respond(int status, net::Headers headers, Body body) override;
  Task<Status> start(int status, net::Headers headers) override;
  Task<Status> write(Body body) override { return inner_.write(std::move(body)); }
  Task<Status> finish(net::Headers trailers) override { return inner_.finish(std::move(trailers)); }
  Task<Result<std::unique_ptr<net::ByteStream>>> upgrade(net::Headers headers) override;
  bool started() const override { return inner_.started(); }
  bool closed() const override { return inner_.closed(); }
  void on_close(std::function<void()> callback) override { inner_.on_close(std::move(callback)); }
  int code() const { return code_; }

 private:
  net::ResponseWriter& inner_;
  int code_ = 0;
};

// One request, from its arrival to the end of its answer. Lives in the frame that serves it; a frame that is dropped with its event loop,
// perhaps after the server, counts as never answered.
class MeasuredRequest {
 public:
  MeasuredRequest(std::shared_ptr<RequestMetrics> metrics, const RequestContext& context);
  ~MeasuredRequest();
  MeasuredRequest(const MeasuredRequest&) = delete;
  MeasuredRequest& operator=(const MeasuredRequest&) = delete;
  // Everything has been sent.
  void finish(const RequestContext& context, const CountingWriter& writer);

 private:
  const std::shared_ptr<RequestMetrics> metrics_;
  const MonoTime start_;
  const bool long_running_, mutating_;
};

// GET /metrics
Task<Status> serve_metrics(RequestContext& context);

}  // namespace knarr::apiserver::metrics
