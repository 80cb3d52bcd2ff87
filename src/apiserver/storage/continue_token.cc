// SPDX-License-Identifier: Apache-2.0
#include "apiserver/storage/continue_token.h"

#include "apiserver/errors.h"
#include "pki/jwt.h"
#include "pki/jwt_verify.h"
#include "schema/json.h"

namespace knarr::apiserver {
namespace {

constexpr std::string_view kVersion = "meta.k8s.io/v1";
constexpr size_t kMaxTokenBytes = 4096;

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
  return pki::base64url(text + "}");
}

Result<ContinueToken> decode_continue(std::string_view text) {
  auto decoded = text.size() > kMaxTokenBytes ? std::nullopt : pki::base64url_decode(text);
  if (!decoded.has_value()) return invalid(": illegal base64 data");
  auto value = json::parse(*decoded);
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
