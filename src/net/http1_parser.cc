// SPDX-License-Identifier: Apache-2.0
#include "net/http1_parser.h"

#include <cstring>

#include "net/text.h"

namespace knarr::net {

namespace {

constexpr size_t kMaxFields = 2000;
constexpr size_t kMaxExtension = 4096;
constexpr size_t kMaxTrailers = 64 << 10;

// The next line without its CRLF; the scanner has made sure that each has one.
std::string_view take_line(std::string_view* text) {
  size_t end = text->find("\r\n");
  std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 2);
  return line;
}

bool parse_field(std::string_view line, Headers* headers) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  std::string_view name = line.substr(0, colon);
  std::string_view value = trim(line.substr(colon + 1));
  if (!is_token(name) || !is_field_value(value)) return false;
  headers->add(name, value);
  return true;
}

int parse_fields(std::string_view text, Headers* headers) {
  size_t count = 0;
  while (!text.empty()) {
    std::string_view line = take_line(&text);
    if (line.empty()) break;
    if (++count > kMaxFields) return 431;
    if (!parse_field(line, headers)) return 400;
  }
  return 0;
}

// Content-Length and Transfer-Encoding. 0 or a status.
int find_framing(Http1Head* head) {
  bool has_length = false;
  for (const auto& [name, value] : head->headers.fields()) {
    if (!iequals(name, "content-length")) continue;
    std::optional<uint64_t> length = parse_decimal(value);
    if (!length || (has_length && *length != head->length)) return 400;
    head->length = *length;
    has_length = true;
  }
  if (head->headers.has("transfer-encoding")) {
    if (has_length || head->minor == 0) return 400;
    int count = 0;
    for (const auto& field : head->headers.fields())
      count += iequals(field.first, "transfer-encoding") ? 1 : 0;
    if (count != 1 || !iequals(head->headers.get("transfer-encoding"), "chunked")) return 501;
    head->framing = Framing::kChunked;
  } else if (has_length && head->length > 0) {
    head->framing = Framing::kLength;
  }
  return 0;
}

int find_target(std::string_view target, Http1Head* head) {
  std::string_view rest = target;
  if (head->method == "CONNECT") return 405;
  if (rest.starts_with("http://") || rest.starts_with("https://")) {
    rest.remove_prefix(rest.find("://") + 3);
    size_t end = rest.find_first_of("/?");
    head->authority = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
  } else if (rest != "*" && !rest.starts_with('/')) {
    return 400;
  }
  size_t question = rest.find('?');
  head->path = rest.substr(0, question);
  if (head->path.empty()) head->path = "/";
  if (question != std::string_view::npos) head->query = rest.substr(question + 1);
  return 0;
}

// "HTTP/1.1" -> 1; -1 when it is none of ours.
int minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return -1;
}

void find_keep_alive(Http1Head* head) {
  if (head->minor == 0)
    head->keep_alive = head->headers.has_token("connection", "keep-alive");
  else
    head->keep_alive = !head->headers.has_token("connection", "close");
}

}  // namespace

HeadScanner::State HeadScanner::scan(std::string_view buffer) {
  while (seen_ < buffer.size()) {
    const void* found = std::memchr(buffer.data() + seen_, '\n', buffer.size() - seen_);
    if (found == nullptr) {
      seen_ = buffer.size();
      break;
    }
    size_t at = static_cast<size_t>(static_cast<const char*>(found) - buffer.data());
    if (at == 0 || buffer[at - 1] != '\r') return State::kBad;
    bool blank = at - 1 == line_start_;
    seen_ = line_start_ = at + 1;
    // Blank lines before a request are tolerated (RFC 9112 2.2) by the caller; a head of them alone
    // ends here too.
    if (blank) {
      size_ = at + 1;
      return State::kComplete;
    }
  }
  return State::kMore;
}

int parse_request_head(std::string_view text, Http1Head* head) {
  std::string_view line = take_line(&text);
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  std::string_view method = line.substr(0, first),
                   target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (!is_token(method) || method.size() > 64 || target.empty()) return 400;
  for (char c : target)
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return 400;
  head->minor = minor_version(version);
  if (head->minor < 0) return version.starts_with("HTTP/") && version.size() == 8 ? 505 : 400;
  head->method = method;
  if (int refused = find_target(target, head)) return refused;
  if (int refused = parse_fields(text, &head->headers)) return refused;
  int hosts = 0;
  for (const auto& field : head->headers.fields()) hosts += iequals(field.first, "host") ? 1 : 0;
  if (hosts > 1 || (hosts == 0 && head->minor == 1)) return 400;
  if (head->authority.empty()) head->authority = head->headers.get("host");
  if (int refused = find_framing(head)) return refused;
  find_keep_alive(head);
  return 0;
}

bool parse_response_head(std::string_view text, bool head_request, Http1Head* head) {
  std::string_view line = take_line(&text);
  if (line.size() < 12 || line[8] != ' ') return false;
  head->minor = minor_version(line.substr(0, 8));
  if (head->minor < 0) return false;
  std::optional<uint64_t> status = parse_decimal(line.substr(9, 3));
  if (!status || *status < 100 || (line.size() > 12 && line[12] != ' ')) return false;
  head->status = static_cast<int>(*status);
  if (parse_fields(text, &head->headers) != 0) return false;
  bool bodiless = head_request || head->status < 200 || head->status == 204 || head->status == 304;
  if (find_framing(head) != 0) return false;
  if (bodiless) {
    head->framing = Framing::kNone;
  } else if (head->framing == Framing::kNone && !head->headers.has("content-length")) {
    head->framing = Framing::kUntilClose;
  }
  find_keep_alive(head);
  if (head->framing == Framing::kUntilClose) head->keep_alive = false;
  return true;
}

size_t ChunkDecoder::feed(std::string_view input, size_t room, std::string* out) {
  size_t used = 0;
  while (used < input.size() && state_ != State::kDone && state_ != State::kFailed) {
    if (state_ != State::kData) {
      step(input[used++]);
      continue;
    }
    if (room == 0) break;
    size_t count = std::min({input.size() - used, room, static_cast<size_t>(left_)});
    out->append(input.substr(used, count));
    used += count;
    room -= count;
    left_ -= count;
    if (left_ == 0) state_ = State::kDataCr;
  }
  return used;
}

void ChunkDecoder::step(char c) {
  switch (state_) {
    case State::kSize:
      if (int digit = hex_digit(c); digit >= 0) {
        left_ = left_ << 4 | static_cast<uint64_t>(digit);
        if (++digits_ > 15) state_ = State::kFailed;
        return;
      }
      if (digits_ == 0)
        state_ = State::kFailed;
      else if (c == '\r')
        state_ = State::kSizeLf;
      else if (c == ';' || c == ' ' || c == '\t')
        state_ = State::kExtension;
      else
        state_ = State::kFailed;
      return;
    case State::kExtension:
      // Ignored, but a peer that sends nothing else is refused (Go's rule, CVE-2023-39326).
      if (c == '\r')
        state_ = State::kSizeLf;
      else if (c == '\n' || ++overhead_ > kMaxExtension)
        state_ = State::kFailed;
      return;
    case State::kSizeLf:
      if (c != '\n')
        state_ = State::kFailed;
      else
        state_ = left_ == 0 ? State::kTrailer : State::kData;
      return;
    case State::kDataCr:
      state_ = c == '\r' ? State::kDataLf : State::kFailed;
      return;
    case State::kDataLf:
      state_ = c == '\n' ? State::kSize : State::kFailed;
      digits_ = 0;
      left_ = 0;
      return;
    case State::kTrailer:
      if (++trailer_bytes_ > kMaxTrailers)
        state_ = State::kFailed;
      else if (c == '\n')
        end_trailer_line();
      else
        line_.push_back(c);
      return;
    case State::kData:
    case State::kDone:
    case State::kFailed:
      return;
  }
}

void ChunkDecoder::end_trailer_line() {
  if (line_.empty() || line_.back() != '\r') {
    state_ = State::kFailed;
    return;
  }
  line_.pop_back();
  if (line_.empty())
    state_ = State::kDone;
  else if (!parse_field(line_, &trailers_))
    state_ = State::kFailed;
  line_.clear();
}

}  // namespace knarr::net
