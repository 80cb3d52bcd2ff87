// SPDX-License-Identifier: Apache-2.0
#include "net/grpc_framing.h"

#include "net/text.h"

namespace knarr::net {

namespace {

struct Code {
  const char* name;
  int http;
};
constexpr Code kCodes[] = {
    {"OK", 200},
    {"Canceled", 499},
    {"Unknown", 500},
    {"InvalidArgument", 400},
    {"DeadlineExceeded", 504},
    {"NotFound", 404},
    {"AlreadyExists", 409},
    {"PermissionDenied", 403},
    {"ResourceExhausted", 429},
    {"FailedPrecondition", 400},
    {"Aborted", 409},
    {"OutOfRange", 400},
    {"Unimplemented", 501},
    {"Internal", 500},
    {"Unavailable", 503},
    {"DataLoss", 500},
    {"Unauthenticated", 401},
};
constexpr int kUnknown = 2;
constexpr size_t kPrefix = 5;

// Malformed escapes stay as they are: gRPC asks for leniency here.
std::string decode_message(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  return out;
}

}  // namespace

Body grpc_frame(std::string message) {
  char* data = nullptr;
  Bytes bytes = Bytes::allocate(message.size() + kPrefix, &data);
  data[0] = 0;
  for (int i = 0; i < 4; ++i) data[1 + i] = static_cast<char>(message.size() >> (24 - 8 * i));
  std::memcpy(data + kPrefix, message.data(), message.size());
  return Body(std::move(bytes));
}

void GrpcReader::feed(std::string piece) {
  if (empty()) {
    buffered_ = std::move(piece);
    taken_ = 0;
    return;
  }
  if (taken_ > 0) {
    buffered_.erase(0, taken_);
    taken_ = 0;
  }
  buffered_ += piece;
}

Result<std::optional<std::string>> GrpcReader::take() {
  std::string_view rest = std::string_view(buffered_).substr(taken_);
  if (rest.size() < kPrefix) return std::optional<std::string>();
  if (rest[0] != 0) return grpc_status(12, "grpc: compressed messages are not supported");
  size_t size = 0;
  for (size_t i = 1; i < kPrefix; ++i) size = size << 8 | static_cast<unsigned char>(rest[i]);
  if (size > max_)
    return grpc_status(
        8, fmt::format("grpc: received message larger than max ({} vs. {})", size, max_));
  if (rest.size() < kPrefix + size) return std::optional<std::string>();
  taken_ += kPrefix + size;
  return std::optional<std::string>(std::string(rest.substr(kPrefix, size)));
}

Status grpc_status(int code, std::string_view message) {
  if (code == 0) return Status();
  if (code < 0 || code >= static_cast<int>(std::size(kCodes))) code = kUnknown;
  return Status::make(kCodes[code].http, kCodes[code].name, message);
}

Status grpc_status_of(const Headers& trailers) {
  if (!trailers.has("grpc-status"))
    return grpc_status(kUnknown, "grpc: the stream ended without a status");
  std::optional<uint64_t> code = parse_decimal(trailers.get("grpc-status"));
  if (!code || *code > 1000) return grpc_status(kUnknown, "grpc: malformed grpc-status");
  return grpc_status(static_cast<int>(*code), decode_message(trailers.get("grpc-message")));
}

int grpc_code_of(const Status& status) {
  if (status.ok()) return 0;
  for (size_t i = 0; i < std::size(kCodes); ++i)
    if (status.is(kCodes[i].name)) return static_cast<int>(i);
  switch (status.code()) {
    case 400:
      return 3;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 5;
    case 409:
      return 10;
    case 429:
      return 8;
    case 499:
      return 1;
    case 501:
      return 12;
    case 503:
      return 14;
    case 504:
      return 4;
    default:
      return kUnknown;
  }
}

std::string grpc_encode_message(std::string_view message) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : message) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace knarr::net
