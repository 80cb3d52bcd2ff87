// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on the wire: heads and chunked bodies. Strict where leniency is what request smuggling
// lives on (bare LF, folded lines, spaces before ':', both lengths, repeated lengths): those are
// 400. Pure functions and small machines; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

namespace knarr::net {

// How the body after a head is delimited.
enum class Framing { kNone, kLength, kChunked, kUntilClose };

struct Http1Head {
  // Request
  std::string method, path, query, authority;
  // Response
  int status = 0;
  // Both
  int minor = 1;  // HTTP/1.minor
  Headers headers;
  Framing framing = Framing::kNone;
  uint64_t length = 0;
  bool keep_alive = true;
};

// Finds the end of a head in a buffer that grows; remembers what it has seen. `size` counts the
// blank line.
class HeadScanner {
 public:
  enum class State { kMore, kComplete, kBad };
  State scan(std::string_view buffer);
  size_t size() const { return size_; }
  void reset() { *this = HeadScanner(); }

 private:
  size_t line_start_ = 0, seen_ = 0, size_ = 0;
};

// Parse a complete head (with its blank line). 0, or the status to refuse with: 400, 405, 431, 501,
// 505.
int parse_request_head(std::string_view text, Http1Head* head);
// False when it is not HTTP/1. `head_request`: the answer to HEAD has no body, whatever it says.
bool parse_response_head(std::string_view text, bool head_request, Http1Head* head);

// Decodes a chunked body piece by piece.
class ChunkDecoder {
 public:
  // Takes what it can from `input` (its size is returned) and appends decoded bytes to `out`, at
  // most `room` of them.
  size_t feed(std::string_view input, size_t room, std::string* out);
  bool done() const { return state_ == State::kDone; }
  bool failed() const { return state_ == State::kFailed; }
  const Headers& trailers() const { return trailers_; }

 private:
  enum class State {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kDone,
    kFailed
  };
  void step(char c);
  void end_trailer_line();
  State state_ = State::kSize;
  uint64_t left_ = 0;
  int digits_ = 0;
  size_t overhead_ = 0;  // extension bytes of the whole body
  size_t trailer_bytes_ = 0;
  std::string line_;
  Headers trailers_;
};

}  // namespace knarr::net
