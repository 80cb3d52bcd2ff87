// SPDX-License-Identifier: Apache-2.0
// One HTTP/2 connection over nghttp2, as far as both sides are alike: frames in, frames out,
// streams and their windows.
//
// Two coroutines: the reader feeds nghttp2 and is never called back from it into user code; the
// writer collects what nghttp2 wants to send into one gathered write, bodies as slices, never
// copied unless tiny. All on one executor. nghttp2's send and receive are called by those two only,
// so never from inside a callback.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>
#include <vector>

#include "net/event.h"
#include "net/http.h"
#include "net/stream.h"

namespace knarr::net {

class Http2Connection;

// One exchange. Shared by the connection (until the stream closes) and its user.
class Http2Stream final : public BodyReader, public std::enable_shared_from_this<Http2Stream> {
 public:
  Http2Stream(std::shared_ptr<Http2Connection> c, int32_t i) : connection(std::move(c)), id(i) {}

  // Incoming body; opens the window by what was taken.
  Task<Result<std::string>> read() override;
  void cancel() override;
  bool cancelled() const { return cancelled_; }

  // Outgoing body: queues, wakes the writer, waits while more than a little is queued. Fails when
  // the stream is closed.
  Task<Status> send(Body body);
  void queue(Body body);
  void end(Headers trailers);  // no more will be queued
  void reset(uint32_t code);   // RST_STREAM
  Status failure() const;      // why it is closed

  const std::shared_ptr<Http2Connection> connection;
  int32_t id;

  // Incoming head, complete when head_done.
  std::string method, path, authority, scheme;
  int status = 0;
  Headers headers, trailers;
  size_t header_bytes = 0;
  bool too_large = false, head_done = false;
  // Incoming body.
  std::string inbound;
  bool in_end = false;
  bool discard = false;  // nobody reads any more
  Event readable;        // body, head or end
  // Outgoing body: out[out_index] from out_offset.
  std::vector<Slice> out;
  size_t out_index = 0, out_offset = 0, out_size = 0;
  bool out_end = false, out_sent = false, deferred = false;
  Headers out_trailers;
  Event writable;
  // The end.
  bool closed = false;
  uint32_t error = 0;
  bool refused = false;             // the peer has not looked at it: safe to repeat
  std::function<void()> on_closed;  // posted once

 private:
  bool cancelled_ = false;
};

struct Http2Limits {
  size_t max_header_bytes = 1 << 20;
  uint32_t max_concurrent_streams = 250;
  int32_t stream_window = 256 << 10;
  int32_t connection_window = 16 << 20;
};

class Http2Connection : public std::enable_shared_from_this<Http2Connection> {
 public:
  Http2Connection(Executor executor, std::unique_ptr<ByteStream> stream, Http2Limits limits);
  virtual ~Http2Connection();

  // Until the connection is over. `initial`: bytes already read.
  static Task<void> run(std::shared_ptr<Http2Connection> self, std::string initial);

  void kick() { write_event_.set(); }  // something may be there to send
  void close();                        // at once
  void go_away();                      // finish what runs, then close
  bool over() const { return closed_; }
  bool going_away() const { return going_away_; }
  uint64_t received() const { return received_; }  // grows with everything that comes
  size_t stream_count() const { return streams_.size(); }
  nghttp2_session* session() { return session_; }
  const Executor& executor() const { return executor_; }
  const Http2Limits& limits() const { return limits_; }

 protected:
  Status init(bool server);
  std::shared_ptr<Http2Stream> add_stream(int32_t id);
  void adopt_stream(std::shared_ptr<Http2Stream> stream);
  // Hooks, called within nghttp2's callbacks: they may only submit, set events and spawn.
  virtual void on_head(const std::shared_ptr<Http2Stream>& stream) = 0;
  virtual void on_stream_gone(Http2Stream&) {}
  virtual void on_over() {}
  bool going_away_ = false;

 private:
  friend class Http2Stream;
  friend struct Http2Callbacks;
  // A run of bytes to send: in flat_ from `offset`, or somebody's slice.
  struct Piece {
    size_t offset, size;
    Slice slice;
  };
  static Task<void> write_loop(std::shared_ptr<Http2Connection> self);
  static Task<void> finish(std::shared_ptr<Http2Connection> self);
  Status receive(std::string_view bytes);
  void collect();
  void put_flat(std::string_view bytes);
  void put_body(Http2Stream* stream, size_t count);
  void close_stream(int32_t id, uint32_t error);
  void fail_streams();

  Executor executor_;
  std::unique_ptr<ByteStream> stream_;
  Http2Limits limits_;
  nghttp2_session* session_ = nullptr;
  absl::flat_hash_map<int32_t, std::shared_ptr<Http2Stream>> streams_;
  Event write_event_, writer_done_;
  bool closed_ = false;  // nothing is read or written any more
  bool reading_ = true;  // the reader has not ended
  std::string flat_;
  std::vector<Piece> pieces_;
  size_t pending_ = 0;
  uint64_t received_ = 0;
};

// Header fields in nghttp2's form; views into the strings given, which have to outlive the submit
// call.
class Http2Fields {
 public:
  void add(std::string_view name, std::string_view value);
  void add(const Headers& headers, bool skip_host = false);
  nghttp2_nv* data() { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<nghttp2_nv> fields_;
  std::vector<std::unique_ptr<std::string>> cleaned_;
};

// The data provider of a stream's outgoing body.
nghttp2_data_provider http2_body_of(Http2Stream* stream);

}  // namespace knarr::net
