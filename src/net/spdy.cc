// SPDX-License-Identifier: Apache-2.0
#include "net/spdy.h"

#include <deque>

#include "net/event.h"
#include "net/spdy_headers.h"

namespace knarr::net {

namespace {

constexpr size_t kReadSize = 16 << 10;
constexpr size_t kMaxControl = 64 << 10;
constexpr size_t kSendChunk = 32 << 10;
constexpr size_t kMaxInbound = 1 << 20;  // unread bytes of one stream that stop the connection
constexpr size_t kMaxStreams = 1000;     // that nobody has accepted, and altogether
constexpr auto kReplyLimit = std::chrono::seconds(30);

enum FrameType : uint16_t {
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8
};
enum ResetCode : uint32_t {
  kProtocolError = 1,
  kInvalidStream = 2,
  kRefusedStream = 3,
  kCancel = 5
};
constexpr uint8_t kFin = 1, kUnidirectional = 2;

struct StreamState {
  uint32_t id = 0;
  Headers headers;
  std::string inbound;
  bool in_end = false, out_end = false, replied = false, dead = false;
  Event readable;  // data, end, reply
};
using StreamPtr = std::shared_ptr<StreamState>;

void put_u32(std::string* out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

uint32_t get_u32(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

std::string control_frame(FrameType type, uint8_t flags, std::string_view payload) {
  std::string frame;
  frame.reserve(8 + payload.size());
  put_u32(&frame, 0x80030000u | type);
  put_u32(&frame, static_cast<uint32_t>(flags) << 24 | static_cast<uint32_t>(payload.size()));
  frame += payload;
  return frame;
}

// Shared by the connection object, its streams and the reading coroutine.
struct Connection {
  Connection(Executor e, std::unique_ptr<ByteStream> s, bool is_server)
      : executor(std::move(e)),
        stream(std::move(s)),
        server(is_server),
        next_id(is_server ? 2 : 1) {}

  const Executor executor;
  std::unique_ptr<ByteStream> stream;
  const bool server;
  uint32_t next_id, last_peer_id = 0;
  SpdyHeaderCodec codec;
  absl::flat_hash_map<uint32_t, StreamPtr> streams;
  std::deque<StreamPtr> accepted;
  Event acceptable, room, over;
  Gate writing;
  // Replies that the reader owes (pongs, resets); sent by one coroutine so that reading never waits
  // for writing.
  std::string owed;
  bool paying = false;
  bool closed = false;

  void forget(const StreamPtr& state) {
    if (state->in_end && state->out_end) streams.erase(state->id);
  }

  void kill(const StreamPtr& state) {
    state->dead = true;
    state->readable.set();
    room.set();
    streams.erase(state->id);
  }

  void close() {
    if (closed) return;
    closed = true;
    stream->close();
    while (!streams.empty()) {
      StreamPtr state = streams.begin()->second;
      kill(state);
    }
    acceptable.set();
    room.set();
    over.set();
  }
};
using ConnectionPtr = std::shared_ptr<Connection>;

Status closed_error() { return Status::error("spdy: connection closed"); }
Status reset_error() { return Status::error("stream reset"); }

// The header block is made inside the gate: the peer must see blocks in the order of their
// compression.
Task<Status> send_syn(ConnectionPtr connection, FrameType type, StreamPtr state,
                      const Headers* headers) {
  co_await connection->writing.enter();
  Status status = connection->closed ? closed_error() : Status();
  if (status.ok()) {
    if (type == kSynStream) {
      state->id = connection->next_id;
      connection->next_id += 2;
      connection->streams[state->id] = state;
    }
    std::string payload;
    put_u32(&payload, state->id);
    if (type == kSynStream) payload.append(6, '\0');  // associated stream, priority, slot
    payload += connection->codec.encode(*headers);
    std::string frame = control_frame(type, 0, payload);
    std::string_view view = frame;
    status = co_await connection->stream->write(view);
  }
  connection->writing.leave();
  co_return status;
}

Task<Status> send_data(ConnectionPtr connection, StreamPtr state, std::string data, bool fin) {
  size_t at = 0;
  while (true) {
    co_await connection->writing.enter();
    Status status;
    size_t count = std::min(kSendChunk, data.size() - at);
    bool last = at + count == data.size();
    if (connection->closed)
      status = closed_error();
    else if (state->dead || (state->out_end && !fin))
      status = reset_error();
    if (status.ok()) {
      std::string head;
      put_u32(&head, state->id);
      put_u32(&head, (last && fin ? static_cast<uint32_t>(kFin) << 24 : 0u) |
                         static_cast<uint32_t>(count));
      Body body;
      body.append(Slice::of_static(head));
      body.append(Slice::of_static(std::string_view(data).substr(at, count)));
      status = co_await connection->stream->write(body);
    }
    connection->writing.leave();
    if (!status.ok()) co_return status;
    at += count;
    if (last) break;
  }
  co_return Status();
}

Task<void> pay(ConnectionPtr connection) {
  while (!connection->owed.empty() && !connection->closed) {
    co_await connection->writing.enter();
    std::string sending;
    sending.swap(connection->owed);
    std::string_view view = sending;
    Status ignored;
    if (!connection->closed) ignored = co_await connection->stream->write(view);
    connection->writing.leave();
  }
  connection->paying = false;
}

void owe(const ConnectionPtr& connection, std::string frame) {
  // A peer that floods us with pings and reads nothing has lost its claim.
  if (connection->owed.size() > kMaxControl) {
    connection->close();
    return;
  }
  connection->owed += frame;
  if (connection->paying || connection->closed) return;
  connection->paying = true;
  spawn(connection->executor, pay(connection));
}

void owe_reset(const ConnectionPtr& connection, uint32_t id, ResetCode code) {
  std::string payload;
  put_u32(&payload, id);
  put_u32(&payload, code);
  owe(connection, control_frame(kRstStream, 0, payload));
}

Status on_syn_stream(const ConnectionPtr& connection, uint8_t flags, std::string_view payload) {
  if (payload.size() < 10) return Status::error("spdy: short SYN_STREAM");
  uint32_t id = get_u32(payload, 0) & 0x7fffffff;
  auto state = std::make_shared<StreamState>();
  TRY(connection->codec.decode(payload.substr(10), &state->headers));
  bool theirs = (id % 2 == 1) == connection->server;
  if (!theirs || id <= connection->last_peer_id) return Status::error("spdy: bad stream id");
  connection->last_peer_id = id;
  if (connection->streams.size() >= kMaxStreams || connection->accepted.size() >= kMaxStreams) {
    owe_reset(connection, id, kRefusedStream);
    return Status();
  }
  state->id = id;
  state->in_end = (flags & kFin) != 0;
  state->out_end = (flags & kUnidirectional) != 0;
  connection->streams[id] = state;
  connection->accepted.push_back(state);
  connection->acceptable.set();
  return Status();
}

// SYN_REPLY and HEADERS: the block has to be decoded in any case, since it moves the shared state
// along.
Status on_headers(const ConnectionPtr& connection, FrameType type, uint8_t flags,
                  std::string_view payload) {
  if (payload.size() < 4) return Status::error("spdy: short frame");
  uint32_t id = get_u32(payload, 0) & 0x7fffffff;
  Headers ignored;
  TRY(connection->codec.decode(payload.substr(4), &ignored));
  auto at = connection->streams.find(id);
  if (at == connection->streams.end()) return Status();
  StreamPtr state = at->second;
  if (type == kSynReply) state->replied = true;
  if ((flags & kFin) != 0) state->in_end = true;
  state->readable.set();
  connection->forget(state);
  return Status();
}

Status on_control(const ConnectionPtr& connection, uint16_t type, uint8_t flags,
                  std::string_view payload) {
  switch (type) {
    case kSynStream:
      return on_syn_stream(connection, flags, payload);
    case kSynReply:
    case kHeaders:
      return on_headers(connection, static_cast<FrameType>(type), flags, payload);
    case kRstStream: {
      if (payload.size() < 8) return Status::error("spdy: short RST_STREAM");
      auto at = connection->streams.find(get_u32(payload, 0) & 0x7fffffff);
      if (at == connection->streams.end()) return Status();
      StreamPtr state = at->second;
      connection->kill(state);
      return Status();
    }
    case kPing: {
      if (payload.size() != 4) return Status::error("spdy: bad PING");
      // Ours would have our parity; we send none.
      bool theirs = (get_u32(payload, 0) % 2 == 1) == connection->server;
      if (theirs) owe(connection, control_frame(kPing, 0, payload));
      return Status();
    }
    case kGoAway:
      return Status::error("spdy: the peer is going away");
    default:
      return Status();  // SETTINGS, WINDOW_UPDATE and what may come: of no consequence here
  }
}

Task<Status> on_data(ConnectionPtr connection, uint32_t id, uint8_t flags,
                     std::string_view payload) {
  auto at = connection->streams.find(id);
  if (at == connection->streams.end()) {
    if (!payload.empty() && id > connection->last_peer_id && id >= connection->next_id)
      owe_reset(connection, id, kInvalidStream);
    co_return Status();
  }
  StreamPtr state = at->second;
  if (!state->in_end) {
    state->inbound.append(payload);
    if ((flags & kFin) != 0) state->in_end = true;
    state->readable.set();
    connection->forget(state);
  }
  while (state->inbound.size() > kMaxInbound && !state->dead && !connection->closed)
    co_await connection->room.wait();
  co_return Status();
}

// Takes what it can from `bytes`: one control frame, a frame's head, or some of a data frame's
// payload. 0: more is needed.
struct FrameReader {
  uint32_t data_stream = 0;
  size_t data_left =
      0;  // of the data frame being read; such a frame may have 16 MB, so it is never held whole
  uint8_t data_flags = 0;

  static Task<Status> step(ConnectionPtr connection, FrameReader* reader, std::string_view bytes,
                           size_t* used) {
    *used = 0;
    if (reader->data_left > 0) {
      std::string_view payload = bytes.substr(0, reader->data_left);
      *used = payload.size();
      if (payload.empty()) co_return Status();
      reader->data_left -= payload.size();
      uint8_t flags = reader->data_left == 0 ? reader->data_flags : 0;
      Status status = co_await on_data(connection, reader->data_stream, flags, payload);
      co_return status;
    }
    if (bytes.size() < 8) co_return Status();
    uint32_t first = get_u32(bytes, 0), second = get_u32(bytes, 4);
    size_t length = second & 0xffffff;
    auto flags = static_cast<uint8_t>(second >> 24);
    if ((first >> 31) == 0) {
      *used = 8;
      reader->data_stream = first;
      reader->data_left = length;
      reader->data_flags = flags;
      if (length > 0) co_return Status();
      Status status = co_await on_data(connection, first, flags, std::string_view());
      co_return status;
    }
    if (((first >> 16) & 0x7fff) != 3) co_return Status::error("spdy: unsupported version");
    if (length > kMaxControl) co_return Status::error("spdy: frame is too large");
    if (bytes.size() < 8 + length) co_return Status();
    *used = 8 + length;
    co_return on_control(connection, static_cast<uint16_t>(first & 0xffff), flags,
                         bytes.substr(8, length));
  }
};

Task<Status> read_frames(ConnectionPtr connection) {
  std::string in;
  size_t begin = 0;
  std::vector<char> buffer(kReadSize);
  FrameReader reader;
  while (!connection->closed) {
    std::string_view rest = std::string_view(in).substr(begin);
    size_t used = 0;
    Status status = co_await FrameReader::step(connection, &reader, rest, &used);
    if (!status.ok()) co_return status;
    begin += used;
    if (used > 0) continue;
    in.erase(0, begin);
    begin = 0;
    Result<size_t> count = co_await connection->stream->read(buffer.data(), buffer.size());
    if (!count.ok()) co_return count.status();
    if (*count == 0) co_return Status::error("EOF");
    in.append(buffer.data(), *count);
  }
  co_return closed_error();
}

Task<void> read_loop(ConnectionPtr connection) {
  // What the peer sent before it left stays readable: streams end rather than break when theirs
  // were finished.
  Status ignored = co_await read_frames(connection);
  connection->close();
}

class StreamImpl final : public SpdyStream {
 public:
  StreamImpl(ConnectionPtr connection, StreamPtr state)
      : connection_(std::move(connection)), state_(std::move(state)) {}
  ~StreamImpl() override {
    if (!state_->in_end || !state_->out_end) reset();
    // Nobody will read what came: the connection must not wait for that.
    state_->inbound = std::string();
    connection_->room.set();
  }
  uint32_t id() const override { return state_->id; }
  const Headers& headers() const override { return state_->headers; }
  bool closed() const override { return state_->dead; }

  Task<Result<std::string>> read() override {
    ConnectionPtr connection = connection_;
    StreamPtr state = state_;
    while (state->inbound.empty()) {
      if (state->in_end) co_return std::string();
      if (state->dead) co_return reset_error();
      co_await state->readable.wait();
    }
    std::string data = std::move(state->inbound);
    state->inbound.clear();
    connection->room.set();
    co_return std::move(data);
  }

  Task<Status> write(std::string data) override {
    if (data.empty()) return nothing();
    return send_data(connection_, state_, std::move(data), false);
  }

  Task<Status> finish() override {
    ConnectionPtr connection = connection_;
    StreamPtr state = state_;
    if (state->out_end) co_return Status();
    state->out_end = true;
    std::string none;
    Status status = co_await send_data(connection, state, std::move(none), true);
    connection->forget(state);
    co_return status;
  }

  void reset() override {
    if (state_->dead) return;
    bool over = state_->in_end && state_->out_end;
    if (!over && !connection_->closed) owe_reset(connection_, state_->id, kCancel);
    connection_->kill(state_);
  }

  Task<Status> reply() override {
    ConnectionPtr connection = connection_;
    StreamPtr state = state_;
    if (state->replied) co_return Status();
    state->replied = true;
    Headers none;
    Status status = co_await send_syn(connection, kSynReply, state, &none);
    co_return status;
  }

 private:
  static Task<Status> nothing() { co_return Status(); }
  ConnectionPtr connection_;
  StreamPtr state_;
};

class ConnectionImpl final : public SpdyConnection {
 public:
  explicit ConnectionImpl(ConnectionPtr connection) : connection_(std::move(connection)) {}
  ~ConnectionImpl() override { close(); }

  Task<Result<std::unique_ptr<SpdyStream>>> accept() override {
    ConnectionPtr connection = connection_;
    while (connection->accepted.empty()) {
      if (connection->closed) co_return closed_error();
      co_await connection->acceptable.wait();
    }
    StreamPtr state = connection->accepted.front();
    connection->accepted.pop_front();
    std::unique_ptr<SpdyStream> stream = std::make_unique<StreamImpl>(connection, std::move(state));
    co_return std::move(stream);
  }

  Task<Result<std::unique_ptr<SpdyStream>>> open(Headers headers) override {
    ConnectionPtr connection = connection_;
    auto state = std::make_shared<StreamState>();
    state->headers = std::move(headers);
    Status status = co_await send_syn(connection, kSynStream, state, &state->headers);
    if (!status.ok()) co_return status;
    auto stream = std::make_unique<StreamImpl>(connection, state);
    bool timed_out = false;
    Alarm alarm(connection->executor);
    alarm.arm(kReplyLimit, [state, &timed_out] {
      timed_out = true;
      state->readable.set();
    });
    while (!state->replied && !state->dead && !timed_out) co_await state->readable.wait();
    alarm.cancel();
    if (timed_out) co_return Status::error("timeout waiting for the stream's confirmation");
    if (!state->replied) co_return reset_error();
    state->readable.set();  // what woke us may have been data
    std::unique_ptr<SpdyStream> opened = std::move(stream);
    co_return std::move(opened);
  }

  bool closed() const override { return connection_->closed; }

  Task<void> wait_closed() override {
    ConnectionPtr connection = connection_;
    while (!connection->closed) co_await connection->over.wait();
  }

  void close() override {
    if (connection_->closed || closing_) return;
    closing_ = true;
    spawn(connection_->executor, say_goodbye(connection_));
  }

 private:
  static Task<void> say_goodbye(ConnectionPtr connection) {
    Alarm alarm(connection->executor);
    alarm.arm(std::chrono::seconds(1), [connection] { connection->close(); });
    co_await connection->writing.enter();
    std::string payload;
    put_u32(&payload, connection->last_peer_id);
    put_u32(&payload, 0);
    std::string frame = connection->owed + control_frame(kGoAway, 0, payload);
    connection->owed.clear();
    std::string_view view = frame;
    Status ignored;
    if (!connection->closed) ignored = co_await connection->stream->write(view);
    connection->writing.leave();
    connection->close();
  }

  ConnectionPtr connection_;
  bool closing_ = false;
};

}  // namespace

std::unique_ptr<SpdyConnection> make_spdy(Executor executor, std::unique_ptr<ByteStream> stream,
                                          bool server) {
  auto connection = std::make_shared<Connection>(executor, std::move(stream), server);
  spawn(executor, read_loop(connection));
  return std::make_unique<ConnectionImpl>(std::move(connection));
}

}  // namespace knarr::net
