// SPDX-License-Identifier: Apache-2.0
#include "net/http2.h"

#include "net/text.h"

namespace knarr::net {

namespace {

constexpr size_t kReadSize = 16 << 10;   // a TLS record
constexpr size_t kWriteSize = 64 << 10;  // what one gathered write aims at
constexpr size_t kCopyBelow =
    1 << 10;  // smaller runs of a body are cheaper copied than passed along
constexpr size_t kQueueMax = 64 << 10;  // a sender waits while more than this is queued
constexpr size_t kFlatKept = 16 << 10;

Http2Connection* connection_of(void* user_data) { return static_cast<Http2Connection*>(user_data); }

Http2Stream* stream_of(nghttp2_session* session, int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

std::string_view view_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

// ---- Http2Stream

Task<Result<std::string>> Http2Stream::read() {
  std::shared_ptr<Http2Stream> self = shared_from_this();
  while (inbound.empty()) {
    if (in_end && !cancelled_) co_return std::string();
    if (cancelled_) co_return Status::error("body reading was cancelled");
    if (closed) co_return failure();
    co_await readable.wait();
  }
  std::string piece = std::move(inbound);
  inbound.clear();
  if (!closed && connection->session() != nullptr) {
    nghttp2_session_consume_stream(connection->session(), id, piece.size());
    connection->kick();
  }
  co_return std::move(piece);
}

void Http2Stream::cancel() {
  cancelled_ = true;
  readable.set();
  writable.set();
}

void Http2Stream::queue(Body body) {
  out_size += body.size();
  if (out_index == out.size()) {
    out.clear();
    out_index = 0;
  }
  if (out.empty())
    out = body.slices();
  else
    out.insert(out.end(), body.slices().begin(), body.slices().end());
  if (deferred && !closed) {
    deferred = false;
    nghttp2_session_resume_data(connection->session(), id);
  }
  connection->kick();
}

Task<Status> Http2Stream::send(Body body) {
  std::shared_ptr<Http2Stream> self = shared_from_this();
  if (closed) co_return failure();
  queue(std::move(body));
  while (out_size > kQueueMax && !closed && !cancelled_) co_await writable.wait();
  if (closed && !out_sent) co_return failure();
  co_return Status();
}

void Http2Stream::end(Headers trailers) {
  if (out_end) return;
  out_end = true;
  out_trailers = std::move(trailers);
  if (closed) return;
  if (deferred) {
    deferred = false;
    nghttp2_session_resume_data(connection->session(), id);
  }
  connection->kick();
}

void Http2Stream::reset(uint32_t code) {
  if (closed || connection->over()) return;
  nghttp2_submit_rst_stream(connection->session(), NGHTTP2_FLAG_NONE, id, code);
  connection->kick();
}

Status Http2Stream::failure() const {
  if (refused) return Status::make(503, "ServiceUnavailable", "http2: the peer refused the stream");
  if (connection->over()) return Status::error("http2: connection closed");
  return Status::error(fmt::format("http2: stream closed: {}", nghttp2_http2_strerror(error)));
}

// ---- Fields

void Http2Fields::add(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  if (!is_field_value(value)) {
    cleaned_.push_back(std::make_unique<std::string>(clean_field_value(value)));
    value = *cleaned_.back();
  }
  fields_.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
}

void Http2Fields::add(const Headers& headers, bool skip_host) {
  fields_.reserve(fields_.size() + headers.fields().size() + 2);
  for (const auto& [name, value] : headers.fields()) {
    if (is_connection_specific(name) || !is_token(name)) continue;
    if (skip_host && iequals(name, "host")) continue;
    add(name, value);
  }
}

// ---- nghttp2's callbacks

struct Http2Callbacks {
  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    Http2Connection* connection = connection_of(user_data);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    if (connection->going_away_) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    connection->add_stream(frame->hd.stream_id);
    return 0;
  }

  static int header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                    size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                    void* user_data) {
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr || frame->hd.type != NGHTTP2_HEADERS) return 0;
    stream->header_bytes += name_size + value_size + 32;
    if (stream->header_bytes > connection_of(user_data)->limits_.max_header_bytes) {
      stream->too_large = true;
      return 0;
    }
    std::string_view key = view_of(name, name_size), text = view_of(value, value_size);
    if (stream->head_done)
      stream->trailers.add(key, text);
    else if (key == ":method")
      stream->method = text;
    else if (key == ":path")
      stream->path = text;
    else if (key == ":authority")
      stream->authority = text;
    else if (key == ":scheme")
      stream->scheme = text;
    else if (key == ":status")
      stream->status = static_cast<int>(parse_decimal(text).value_or(0));
    else if (!key.starts_with(':'))
      stream->headers.add(key, text);
    return 0;
  }

  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    Http2Connection* connection = connection_of(user_data);
    // Only a server's GOAWAY says that no more streams may be opened by us.
    if (frame->hd.type == NGHTTP2_GOAWAY && nghttp2_session_check_server_session(session) == 0)
      connection->going_away_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (end) stream->in_end = true;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->head_done) {
      if (stream->status / 100 == 1 && !end) {
        // An interim response: the real one follows.
        stream->status = 0;
        stream->headers = Headers();
        return 0;
      }
      stream->head_done = true;
      connection->on_head(stream->shared_from_this());
    }
    if (end) stream->readable.set();
    return 0;
  }

  static int data_chunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                        size_t size, void*) {
    // The connection's window never closes for one slow stream; each stream's own window does.
    nghttp2_session_consume_connection(session, size);
    Http2Stream* stream = stream_of(session, id);
    if (stream == nullptr || stream->discard) return 0;
    stream->inbound.append(view_of(data, size));
    stream->readable.set();
    return 0;
  }

  static int stream_closed(nghttp2_session*, int32_t id, uint32_t error, void* user_data) {
    connection_of(user_data)->close_stream(id, error);
    return 0;
  }

  // A request that never left: nghttp2 knows no stream yet, so its close call back does not come.
  static int frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      connection_of(user_data)->close_stream(frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
    return 0;
  }

  static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    if (stream == nullptr) return 0;
    stream->out_sent = true;
    // RFC 9113 8.1: a complete response makes the rest of the request pointless.
    if (!stream->in_end && nghttp2_session_check_server_session(session))
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t length,
                           uint32_t* flags, nghttp2_data_source* source, void*) {
    auto* stream = static_cast<Http2Stream*>(source->ptr);
    if (stream->out_size == 0 && !stream->out_end) {
      stream->deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    size_t count = std::min(length, stream->out_size);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (count == stream->out_size && stream->out_end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream->out_trailers.fields().empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        Http2Fields fields;
        fields.add(stream->out_trailers);
        nghttp2_submit_trailer(session, id, fields.data(), fields.size());
      }
    }
    return static_cast<ssize_t>(count);
  }

  static int send_body(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t length,
                       nghttp2_data_source* source, void* user_data) {
    Http2Connection* connection = connection_of(user_data);
    // Ends this round: nghttp2 would go on for as long as there is data and window. The frame comes
    // again.
    if (connection->pending_ >= kWriteSize) return NGHTTP2_ERR_WOULDBLOCK;
    connection->put_flat(view_of(head, 9));
    connection->put_body(static_cast<Http2Stream*>(source->ptr), length);
    return 0;
  }

  static ssize_t frame_length(nghttp2_session*, uint8_t, int32_t, int32_t session_window,
                              int32_t stream_window, uint32_t max_frame_size, void*) {
    int64_t length = std::min<int64_t>({session_window, stream_window, max_frame_size, 64 << 10});
    return static_cast<ssize_t>(length);
  }

  static nghttp2_session_callbacks* table() {
    static nghttp2_session_callbacks* callbacks = [] {
      nghttp2_session_callbacks* c = nullptr;
      nghttp2_session_callbacks_new(&c);
      nghttp2_session_callbacks_set_on_begin_headers_callback(c, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback(c, header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(c, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, data_chunk);
      nghttp2_session_callbacks_set_on_stream_close_callback(c, stream_closed);
      nghttp2_session_callbacks_set_on_frame_send_callback(c, frame_sent);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(c, frame_not_sent);
      nghttp2_session_callbacks_set_send_data_callback(c, send_body);
      nghttp2_session_callbacks_set_data_source_read_length_callback(c, frame_length);
      return c;
    }();
    return callbacks;
  }
};

nghttp2_data_provider http2_body_of(Http2Stream* stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = stream;
  provider.read_callback = Http2Callbacks::read_body;
  return provider;
}

// ---- Http2Connection

Http2Connection::Http2Connection(Executor executor, std::unique_ptr<ByteStream> stream,
                                 Http2Limits limits)
    : executor_(std::move(executor)), stream_(std::move(stream)), limits_(limits) {}

Http2Connection::~Http2Connection() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

Status Http2Connection::init(bool server) {
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // CVE-2023-44487 (rapid reset) and CVE-2024-28182 (CONTINUATION flood). The frames of a head of 1
  // MB at 16 kB each must fit.
  nghttp2_option_set_stream_reset_rate_limit(option, 1000, 100);
  nghttp2_option_set_max_continuations(option, 2 + (limits_.max_header_bytes >> 14));
  // Go's servers take them, and its clients send them: a User-Agent with the name of a test that ends in a blank. Refused, client-go tries for ever.
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, 2 * limits_.max_header_bytes);
  nghttp2_option_set_peer_max_concurrent_streams(option, 100);
  int error = server
                  ? nghttp2_session_server_new2(&session_, Http2Callbacks::table(), this, option)
                  : nghttp2_session_client_new2(&session_, Http2Callbacks::table(), this, option);
  nghttp2_option_del(option);
  if (error != 0) return Status::error(nghttp2_strerror(error));
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(limits_.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits_.max_header_bytes)}};
  if (server)
    settings.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_concurrent_streams});
  else
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, limits_.connection_window);
  return Status();
}

std::shared_ptr<Http2Stream> Http2Connection::add_stream(int32_t id) {
  auto stream = std::make_shared<Http2Stream>(shared_from_this(), id);
  nghttp2_session_set_stream_user_data(session_, id, stream.get());
  streams_.emplace(id, stream);
  return stream;
}

void Http2Connection::adopt_stream(std::shared_ptr<Http2Stream> stream) {
  int32_t id = stream->id;
  streams_.emplace(id, std::move(stream));
}

void Http2Connection::close_stream(int32_t id, uint32_t error) {
  auto at = streams_.find(id);
  if (at == streams_.end()) return;
  std::shared_ptr<Http2Stream> stream = std::move(at->second);
  streams_.erase(at);
  stream->closed = true;
  stream->error = error;
  if (error == NGHTTP2_REFUSED_STREAM) stream->refused = true;
  stream->out.clear();
  stream->out_index = stream->out_offset = stream->out_size = 0;
  if (stream->on_closed) {
    // Before the calls that fail now return; and not at all once the user has taken it back.
    post(executor_, [stream] {
      std::function<void()> callback = std::move(stream->on_closed);
      stream->on_closed = nullptr;
      if (callback) callback();
    });
  }
  stream->readable.set();
  stream->writable.set();
  on_stream_gone(*stream);
}

void Http2Connection::fail_streams() {
  while (!streams_.empty()) close_stream(streams_.begin()->first, NGHTTP2_CANCEL);
}

void Http2Connection::close() {
  if (closed_) return;
  closed_ = true;
  stream_->close();
  write_event_.set();
}

void Http2Connection::go_away() {
  if (closed_ || session_ == nullptr) return;
  going_away_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  kick();
}

void Http2Connection::put_flat(std::string_view bytes) {
  if (pieces_.empty() || !pieces_.back().slice.view.empty())
    pieces_.push_back({flat_.size(), 0, {}});
  flat_.append(bytes);
  pieces_.back().size += bytes.size();
  pending_ += bytes.size();
}

void Http2Connection::put_body(Http2Stream* stream, size_t count) {
  stream->out_size -= count;
  while (count > 0) {
    Slice& slice = stream->out[stream->out_index];
    size_t here = std::min(count, slice.view.size() - stream->out_offset);
    std::string_view view = slice.view.substr(stream->out_offset, here);
    bool whole = stream->out_offset + here == slice.view.size();
    if (here < kCopyBelow) {
      put_flat(view);
    } else {
      Slice part = whole ? std::move(slice) : slice;
      part.view = view;
      pieces_.push_back({0, 0, std::move(part)});
      pending_ += here;
    }
    count -= here;
    stream->out_offset += here;
    if (whole) {
      ++stream->out_index;
      stream->out_offset = 0;
    }
  }
  if (stream->out_size == 0) {
    stream->out.clear();
    stream->out_index = 0;
  }
  if (stream->out_size <= kQueueMax) stream->writable.set();
}

void Http2Connection::collect() {
  while (pending_ < kWriteSize) {
    const uint8_t* data = nullptr;
    ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) {
      if (size < 0) close();
      break;
    }
    put_flat(view_of(data, static_cast<size_t>(size)));
  }
}

Task<void> Http2Connection::write_loop(std::shared_ptr<Http2Connection> self) {
  while (!self->closed_) {
    self->collect();
    if (self->pending_ == 0) {
      bool wanted = nghttp2_session_want_read(self->session_) != 0 ||
                    nghttp2_session_want_write(self->session_) != 0;
      if (!wanted || !self->reading_) break;
      co_await self->write_event_.wait();
      continue;
    }
    Status status;
    if (self->pieces_.size() == 1 && self->pieces_[0].slice.view.empty()) {
      std::string_view view = self->flat_;
      status = co_await self->stream_->write(view);
    } else {
      Body body;
      for (Piece& piece : self->pieces_) {
        if (piece.slice.view.empty())
          body.append(
              Slice::of_static(std::string_view(self->flat_).substr(piece.offset, piece.size)));
        else
          body.append(std::move(piece.slice));
      }
      status = co_await self->stream_->write(body);
    }
    self->pieces_.clear();
    self->pending_ = 0;
    if (self->flat_.capacity() > kFlatKept)
      self->flat_ = std::string();
    else
      self->flat_.clear();
    if (!status.ok()) break;
  }
  self->close();
  self->writer_done_.set();
}

Status Http2Connection::receive(std::string_view bytes) {
  ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()),
                                           bytes.size());
  if (taken < 0) return Status::error(nghttp2_strerror(static_cast<int>(taken)));
  ++received_;
  kick();
  return Status();
}

Task<void> Http2Connection::run(std::shared_ptr<Http2Connection> self, std::string initial) {
  spawn(self->executor_, write_loop(self));
  Status status = self->receive(initial);
  initial = std::string();
  std::vector<char> buffer(kReadSize);
  while (status.ok() && !self->closed_) {
    Result<size_t> count = co_await self->stream_->read(buffer.data(), buffer.size());
    if (self->closed_ || !count.ok() || *count == 0) break;
    status = self->receive({buffer.data(), *count});
    if (nghttp2_session_want_read(self->session_) == 0 &&
        nghttp2_session_want_write(self->session_) == 0)
      break;
  }
  // What is left to say (a GOAWAY with the reason) gets a moment to leave.
  self->reading_ = false;
  self->write_event_.set();
  Alarm alarm(self->executor_);
  alarm.arm(std::chrono::seconds(1), [self] { self->close(); });
  co_await self->writer_done_.wait();
  alarm.cancel();
  self->closed_ = true;
  self->fail_streams();
  self->on_over();
}

}  // namespace knarr::net
