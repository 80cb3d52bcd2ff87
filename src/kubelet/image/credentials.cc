// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/credentials.h"

#include <algorithm>

#include "schema/json.h"

namespace knarr::kubelet {

namespace {

std::string decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int value = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
    if (value < 0) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (++count == 4) {
      out += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 3) out += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  if (count == 2) out += static_cast<char>(bits >> 4);
  return out;
}

// "https://index.docker.io/v1/" -> "index.docker.io" as registry and path.
std::string_view strip(std::string_view server) {
  for (std::string_view scheme : {"https://", "http://"})
    if (server.substr(0, scheme.size()) == scheme) server.remove_prefix(scheme.size());
  while (!server.empty() && server.back() == '/') server.remove_suffix(1);
  for (std::string_view version : {"/v1", "/v2"})
    if (server.size() > version.size() && server.substr(server.size() - version.size()) == version) server.remove_suffix(version.size());
  return server;
}

// A label "*" of the pattern stands for one of the host's.
bool host_matches(std::string_view pattern, std::string_view host) {
  while (true) {
    size_t p = pattern.find('.'), h = host.find('.');
    std::string_view left = pattern.substr(0, p), right = host.substr(0, h);
    if (left != "*" && left != right) return false;
    if (p == std::string_view::npos || h == std::string_view::npos) return p == h;
    pattern.remove_prefix(p + 1);
    host.remove_prefix(h + 1);
  }
}

bool matches(std::string_view server, const ImageName& image) {
  size_t slash = server.find('/');
  std::string_view host = server.substr(0, slash);
  std::string registry = image.registry;
  if (registry == "docker.io" && (host == "index.docker.io" || host == "registry-1.docker.io")) host = "docker.io";
  if (!host_matches(host, registry)) return false;
  if (slash == std::string_view::npos) return true;
  std::string_view path = server.substr(slash + 1);
  return image.repository.compare(0, path.size(), path) == 0;
}

cri::AuthConfig convert(const json::Value& entry, std::string_view server) {
  cri::AuthConfig auth;
  auth.username = entry.at({"username"}).as_string();
  auth.password = entry.at({"password"}).as_string();
  const std::string& packed = entry.at({"auth"}).as_string();
  if (!packed.empty()) {
    std::string plain = decode_base64(packed);
    size_t colon = plain.find(':');
    if (colon != std::string::npos) {
      auth.username = plain.substr(0, colon);
      auth.password = plain.substr(colon + 1);
    }
  }
  auth.server_address = server;
  return auth;
}

}  // namespace

std::vector<cri::AuthConfig> credentials_for(const ImageName& image, const std::vector<std::shared_ptr<const core::Secret>>& secrets) {
  std::vector<std::pair<size_t, cri::AuthConfig>> found;
  for (const auto& secret : secrets) {
    const schema::Str* data = secret->data.find(".dockerconfigjson");
    bool nested = data != nullptr;
    if (data == nullptr) data = secret->data.find(".dockercfg");
    if (data == nullptr) continue;
    auto document = json::parse(data->view());
    if (!document.ok()) continue;
    const json::Value& entries = nested ? document->at({"auths"}) : *document;
    for (const auto& [server, entry] : entries.members()) {
      std::string_view stripped = strip(server);
      if (matches(stripped, image)) found.emplace_back(stripped.size(), convert(entry, server));
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<cri::AuthConfig> auths;
  for (auto& item : found) auths.push_back(std::move(item.second));
  return auths;
}

}  // namespace knarr::kubelet
