// SPDX-License-Identifier: Apache-2.0
// HTTP as the rest of the program sees it, whichever version carries it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "base/task.h"
#include "net/stream.h"

namespace knarr::net {

// Names compare without regard to case; order and repetition are kept.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  void add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  std::string_view get(std::string_view name) const;  // first value, or ""
  bool has(std::string_view name) const;
  // True when a comma-separated list header contains `token` (case-insensitive): Connection:
  // Upgrade.
  bool has_token(std::string_view name, std::string_view token) const;
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

// Who is at the other end.
struct Peer {
  std::string address;  // "127.0.0.1"
  uint16_t port = 0;
  std::vector<std::string> certificates;  // DER, leaf first; empty when the client showed none
  bool certificate_verified = false;      // against the server's client CA bundle
  bool tls = false;
};

// A body that arrives over time. Reading applies back-pressure to the sender.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next piece, "" at the end.
  virtual Task<Result<std::string>> read() = 0;
  // All of it; 413 RequestEntityTooLarge beyond `limit` bytes.
  Task<Result<std::string>> read_all(size_t limit);
  virtual void cancel() {}  // wake a blocked read with an error
};

struct Request {
  std::string method;
  std::string path;   // percent-encoded as received, without the query
  std::string query;  // without '?'
  std::string authority;
  Headers headers;
  int http_major = 1;
  std::shared_ptr<const Peer> peer;
  BodyReader* body = nullptr;  // never null in a handler; valid until the handler returns
};

// The handler's side of one exchange. Either one respond(), or start() then write()... then
// finish() (implied by returning), or upgrade(). Single executor.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual Task<Status> respond(int status, Headers headers, Body body) = 0;
  virtual Task<Status> start(int status, Headers headers) = 0;
  // Waits while the peer's window is full; fails once the peer is gone. Each call is flushed.
  virtual Task<Status> write(Body body) = 0;
  virtual Task<Status> finish(Headers trailers = {}) = 0;
  // 101 with these headers, then the raw connection (HTTP/1.1 only; 400 on HTTP/2). Bytes already
  // received come first.
  virtual Task<Result<std::unique_ptr<ByteStream>>> upgrade(Headers headers) = 0;
  virtual bool started() const = 0;
  // True once the peer has gone or reset the stream.
  virtual bool closed() const = 0;
  // Called once, on the executor, when the peer goes away before the exchange is over.
  virtual void on_close(std::function<void()> callback) = 0;
};

using Handler = std::function<Task<void>(Request&, ResponseWriter&)>;

// Percent-decoding and query parsing; malformed escapes are an error (400).
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
std::string percent_encode(std::string_view text);       // everything but unreserved characters
std::string percent_encode_path(std::string_view text);  // keeps '/'
using QueryParams = std::vector<std::pair<std::string, std::string>>;
Result<QueryParams> parse_query(std::string_view query);
std::string_view status_text(int code);

}  // namespace knarr::net
