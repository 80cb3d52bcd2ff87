// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/continue_token.h"

#include "apiserver/errors.h"
#include "schema/json.h"

namespace knarr::apiserver {
namespace {

constexpr std::string_view kVersion = "meta.k8s.io/v1";
constexpr size_t kMaxTokenBytes = 4096;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string base64url(std::string_view bytes) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (count += 8; count >= 6; count -= 6) out += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

bool base64url_decode(std::string_view text, std::string* out) {
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      *out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return text.size() % 4 != 1;
}

Status invalid(std::string_view detail) { return bad_request("continue key is not valid" + std::string(detail)); }

// Whether a key stays below its prefix: no empty, "." or ".." segments.
bool clean(std::string_view key) {
  if (key.starts_with("/")) key.remove_prefix(1);
  while (true) {
    size_t slash = key.find('/');
    std::string_view segment = key.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
  }
}

}  // namespace

std::string encode_continue(const ContinueToken& token) {
  std::string text = R"({"v":"meta.k8s.io/v1","rv":)" + std::to_string(token.revision) + R"(,"start":)";
  json::write_string(text, token.start);
  return base64url(text + "}");
}

Result<ContinueToken> decode_continue(std::string_view text) {
  std::string decoded;
  if (text.size() > kMaxTokenBytes || !base64url_decode(text, &decoded)) return invalid(": illegal base64 data");
  auto value = json::parse(decoded);
  if (!value.ok()) return invalid(": " + std::string(value.status().message()));
  if (value->at({"v"}).as_string() != kVersion)
    return invalid(": server does not recognize this encoded version " + value->at({"v"}).as_string());
  ContinueToken token;
  token.revision = value->at({"rv"}).as_int();
  token.start = value->at({"start"}).as_string();
  if (token.revision == 0) return invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (token.start.empty()) return invalid(": encoded start key empty (version meta.k8s.io/v1)");
  if (!clean(token.start)) return invalid(": " + token.start);
  if (token.start.starts_with("/")) token.start.erase(0, 1);
  return token;
}

}  // namespace knarr::apiserver
