// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/html_links.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace knarr::apiserver::subresource {
namespace {

constexpr size_t kMaxTag = 64 * 1024;

struct LinkAttributes {
  std::string_view tag;
  std::string_view attributes;  // separated by spaces
};

// Which attributes hold URLs, by HTML's own tables.
constexpr LinkAttributes kLinks[] = {
    {"a", "href"},           {"applet", "codebase"},      {"area", "href"},          {"audio", "src"},
    {"base", "href"},        {"blockquote", "cite"},      {"body", "background"},    {"button", "formaction"},
    {"command", "icon"},     {"del", "cite"},             {"embed", "src"},          {"form", "action"},
    {"frame", "longdesc src"}, {"head", "profile"},       {"html", "manifest"},      {"iframe", "longdesc src"},
    {"img", "longdesc src usemap"}, {"input", "src usemap formaction"}, {"ins", "cite"}, {"link", "href"},
    {"object", "classid codebase data usemap"}, {"q", "cite"}, {"script", "src"},    {"source", "src"},
    {"video", "poster src"},
};
constexpr std::string_view kRawText[] = {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

bool holds_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    size_t space = words.find(' ');
    if (words.substr(0, space) == word) return true;
    if (space == std::string_view::npos) break;
    words.remove_prefix(space + 1);
  }
  return false;
}

std::string_view link_attributes(std::string_view tag) {
  for (const LinkAttributes& each : kLinks)
    if (each.tag == tag) return each.attributes;
  return {};
}

// The name at the start of "<name ...".
std::string tag_name(std::string_view tag) {
  size_t end = 1;
  while (end < tag.size() && !is_space(tag[end]) && tag[end] != '/' && tag[end] != '>') ++end;
  return lower(tag.substr(1, end - 1));
}

// Where a tag that begins at 0 ends (behind its '>'), past quoted values; npos when that has not come yet.
size_t tag_end(std::string_view text) {
  char quote = 0;
  bool value_begins = false;
  for (size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
      continue;
    }
    if (c == '>') return i + 1;
    if ((c == '"' || c == '\'') && value_begins) quote = c;
    if (!is_space(c)) value_begins = c == '=';
  }
  return std::string_view::npos;
}

// Position of `needle` (lower case) in any case.
size_t find_folded(std::string_view text, std::string_view needle) {
  auto at = std::search(text.begin(), text.end(), needle.begin(), needle.end(), [](char a, char b) { return lower(a) == b; });
  return at == text.end() ? std::string_view::npos : static_cast<size_t>(at - text.begin());
}

struct UrlParts {
  bool opaque = false;       // mailto:x, or no URL at all
  std::string_view host;
  std::string_view rest;     // path, query and fragment
};

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  parts.rest = url;
  size_t colon = url.find_first_of(":/?#");
  if (colon != std::string_view::npos && url[colon] == ':') {
    bool scheme = colon > 0 && is_letter(url[0]) && std::all_of(url.begin(), url.begin() + static_cast<ptrdiff_t>(colon), [](char c) {
                    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
                  });
    if (!scheme || !url.substr(colon + 1).starts_with('/')) {
      parts.opaque = true;
      return parts;
    }
    parts.rest = url.substr(colon + 1);
  }
  if (parts.rest.starts_with("//")) {
    std::string_view after = parts.rest.substr(2);
    size_t end = std::min(after.find_first_of("/?#"), after.size());
    parts.host = after.substr(0, end);
    size_t at = parts.host.rfind('@');
    if (at != std::string_view::npos) parts.host.remove_prefix(at + 1);
    parts.rest = after.substr(end);
  }
  return parts;
}

}  // namespace

std::string rewrite_url(std::string_view url, const LinkRules& rules) {
  UrlParts parts = split_url(url);
  if (parts.opaque || !parts.rest.starts_with('/')) return std::string(url);
  if (!parts.host.empty() && parts.host != rules.backend_host && parts.host != rules.request_host) return std::string(url);
  // The client's own name for us may stay in front; the backend's must not.
  std::string head;
  if (!parts.host.empty() && parts.host == rules.request_host) head = url.substr(0, url.size() - parts.rest.size());
  if (parts.rest.starts_with(rules.prefix)) return head + std::string(parts.rest);
  return head + rules.prefix + std::string(parts.rest);
}

std::string HtmlLinks::feed(std::string_view piece) {
  buffer_ += piece;
  std::string out;
  while (!buffer_.empty() && step(out)) {
  }
  return out;
}

std::string HtmlLinks::finish() { return std::exchange(buffer_, std::string()); }

// Passes everything up to and with `end` on; without it all but what may be its beginning. False when more input is needed.
bool HtmlLinks::pass_until(std::string_view end, std::string& out) {
  size_t at = find_folded(buffer_, end);
  bool found = at != std::string::npos;
  size_t keep = end.size() - 1;
  size_t pass = found ? at + end.size() : buffer_.size() - std::min(keep, buffer_.size());
  out.append(buffer_, 0, pass);
  buffer_.erase(0, pass);
  return found;
}

// Takes something off the buffer's front; false when that needs more input.
bool HtmlLinks::step(std::string& out) {
  constexpr std::string_view kComment = "<!--";
  if (in_comment_) {
    if (!pass_until("-->", out)) return false;
    in_comment_ = false;
    return true;
  }
  if (!raw_text_end_.empty()) {
    if (!pass_until(raw_text_end_, out)) return false;
    raw_text_end_.clear();
    return true;
  }
  size_t open = std::min(buffer_.find('<'), buffer_.size());
  out.append(buffer_, 0, open);
  buffer_.erase(0, open);
  if (buffer_.size() < 2) return false;
  if (buffer_[1] == '!') {
    if (buffer_.size() < kComment.size() && kComment.starts_with(buffer_)) return false;
    in_comment_ = buffer_.starts_with(kComment);
  }
  if (!is_letter(buffer_[1])) {
    size_t pass = in_comment_ ? kComment.size() : 1;
    out.append(buffer_, 0, pass);
    buffer_.erase(0, pass);
    return true;
  }
  size_t end = tag_end(buffer_);
  if (end == std::string_view::npos) {
    if (buffer_.size() < kMaxTag) return false;
    out += '<';
    buffer_.erase(0, 1);
    return true;
  }
  emit_tag(std::string_view(buffer_).substr(0, end), out);
  buffer_.erase(0, end);
  return true;
}

void HtmlLinks::emit_tag(std::string_view tag, std::string& out) {
  std::string name = tag_name(tag);
  if (std::find(std::begin(kRawText), std::end(kRawText), name) != std::end(kRawText)) raw_text_end_ = "</" + name;
  std::string_view links = link_attributes(name);
  if (links.empty()) {
    out += tag;
    return;
  }
  size_t i = 1 + name.size();
  out += tag.substr(0, i);
  while (i < tag.size()) {
    size_t start = i;
    while (i < tag.size() && (is_space(tag[i]) || tag[i] == '/' || tag[i] == '>')) ++i;
    out += tag.substr(start, i - start);
    size_t key = i;
    while (i < tag.size() && !is_space(tag[i]) && tag[i] != '/' && tag[i] != '>' && (tag[i] != '=' || i == key)) ++i;
    std::string attribute = lower(tag.substr(key, i - key));
    while (i < tag.size() && is_space(tag[i])) ++i;
    if (i >= tag.size() || tag[i] != '=') {
      out += tag.substr(key, i - key);
      continue;
    }
    ++i;
    while (i < tag.size() && is_space(tag[i])) ++i;
    char quote = i < tag.size() && (tag[i] == '"' || tag[i] == '\'') ? tag[i] : '\0';
    if (quote != 0) ++i;
    out += tag.substr(key, i - key);
    size_t value = i;
    while (i < tag.size() && (quote != 0 ? tag[i] != quote : !is_space(tag[i]) && tag[i] != '>')) ++i;
    std::string_view text = tag.substr(value, i - value);
    out += holds_word(links, attribute) ? rewrite_url(text, rules_) : std::string(text);
    if (quote != 0 && i < tag.size()) out += tag[i++];
  }
}

}  // namespace knarr::apiserver::subresource
