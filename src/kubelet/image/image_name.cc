// SPDX-License-Identifier: Apache-2.0
#include "kubelet/image/image_name.h"

#include <algorithm>
#include <cctype>

#include "schema/json.h"

namespace knarr::kubelet {

namespace {

constexpr size_t kMaxNameLength = 255;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool alnum(char c) { return lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

// Lower-case words joined by '.', '_', '__' or any number of '-'.
bool valid_component(std::string_view text) {
  if (text.empty() || !lower_or_digit(text.front()) || !lower_or_digit(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (lower_or_digit(text[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && text[end] == text[i]) ++end;
    size_t run = end - i;
    bool fits = text[i] == '-' || (text[i] == '.' && run == 1) || (text[i] == '_' && run <= 2);
    if (!fits || end == text.size() || !lower_or_digit(text[end])) return false;
    i = end;
  }
  return true;
}

bool valid_tag(std::string_view text) {
  if (text.empty() || text.size() > 128 || !(alnum(text.front()) || text.front() == '_')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
}

bool valid_digest(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view hex = text.substr(colon + 1);
  return hex.size() >= 32 && hex.size() <= 256 &&
         std::all_of(hex.begin(), hex.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
}

bool valid_registry(std::string_view text) {
  if (text.empty()) return false;
  if (text.front() == '[') return text.find(']') != std::string_view::npos;
  size_t colon = text.find(':');
  std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    std::string_view port = text.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  }
  if (host.empty() || !alnum(host.front()) || !alnum(host.back())) return false;
  return std::all_of(host.begin(), host.end(), [](char c) { return alnum(c) || c == '.' || c == '-'; });
}

Status invalid(std::string_view image, std::string_view why) {
  std::string quoted;
  json::write_string(quoted, image);
  return Status::error("couldn't parse image name " + quoted + ": " + std::string(why));
}

}  // namespace

Result<ImageName> parse_image_name(std::string_view image) {
  ImageName name;
  std::string_view rest = image;
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    name.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!valid_digest(name.digest)) return invalid(image, "invalid reference format");
  }
  size_t colon = rest.rfind(':'), slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!valid_tag(name.tag)) return invalid(image, "invalid reference format");
  }
  size_t first = rest.find('/');
  std::string_view head = first == std::string_view::npos ? std::string_view() : rest.substr(0, first);
  bool has_registry = head.find_first_of(".:") != std::string_view::npos || head == "localhost" ||
                      std::any_of(head.begin(), head.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  std::string_view path = rest;
  name.registry = "docker.io";
  if (has_registry) {
    name.registry = head;
    path = rest.substr(first + 1);
    if (!valid_registry(head)) return invalid(image, "invalid reference format");
  }
  if (path.size() > kMaxNameLength) return invalid(image, "repository name must not be more than 255 characters");
  if (std::any_of(path.begin(), path.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return invalid(image, "invalid reference format: repository name must be lowercase");
  }
  std::string_view left = path;
  while (true) {
    size_t end = left.find('/');
    if (!valid_component(left.substr(0, end))) return invalid(image, "invalid reference format");
    if (end == std::string_view::npos) break;
    left = left.substr(end + 1);
  }
  name.repository = path;
  if (!has_registry && path.find('/') == std::string_view::npos) name.repository = "library/" + name.repository;
  return name;
}

Result<std::string> with_default_tag(std::string_view image) {
  TRY_ASSIGN(ImageName name, parse_image_name(image));
  if (name.tag.empty() && name.digest.empty()) return std::string(image) + ":latest";
  return std::string(image);
}

}  // namespace knarr::kubelet
