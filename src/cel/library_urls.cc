// SPDX-License-Identifier: Apache-2.0
// URLs, taken apart as Go's net/url does (ParseRequestURI, then Parse).
#include <absl/container/flat_hash_map.h>

#include <algorithm>

#include "cel/library.h"
#include "cel/opaque.h"

namespace knarr::cel {
namespace {

enum class Part : uint8_t { kPath, kHost, kZone, kUser, kQuery, kFragment };

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
int hex_value(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }
bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool should_escape(char c, Part part) {
  if (is_alnum(c) || is_one_of(c, "-_.~")) return false;
  bool host = part == Part::kHost || part == Part::kZone;
  if (host && is_one_of(c, "!$&'()*+,;=:[]<>\"")) return false;
  if (!is_one_of(c, "$&+,/:;=?@")) return part != Part::kFragment || !is_one_of(c, "!()*");
  switch (part) {
    case Part::kPath:
      return c == '?';
    case Part::kUser:
      return is_one_of(c, "@/?:");
    case Part::kQuery:
      return true;
    case Part::kFragment:
      return false;
    default:
      return true;
  }
}

std::string escape(std::string_view text, Part part) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    if (!should_escape(c, part)) {
      out += c;
      continue;
    }
    out += '%';
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

bool unescape(std::string_view text, Part part, std::string& out, std::string& error) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      std::string_view escaped = text.substr(i, 3);
      bool is_valid = escaped.size() == 3 && is_hex(escaped[1]) && is_hex(escaped[2]);
      if (is_valid && part == Part::kHost && hex_value(escaped[1]) < 8 && escaped != "%25")
        is_valid = false;
      char decoded =
          is_valid ? static_cast<char>(hex_value(escaped[1]) << 4 | hex_value(escaped[2])) : '\0';
      if (is_valid && part == Part::kZone && escaped != "%25" && decoded != ' ' &&
          should_escape(decoded, Part::kHost))
        is_valid = false;
      if (!is_valid) {
        error = "invalid URL escape " + quoted(escaped);
        return false;
      }
      out += decoded;
      i += 2;
    } else if (c == '+' && part == Part::kQuery) {
      out += ' ';
    } else if ((part == Part::kHost || part == Part::kZone) && static_cast<signed char>(c) >= 0 &&
               should_escape(c, part)) {
      error = "invalid character " + quoted(text.substr(i, 1)) + " in host name";
      return false;
    } else {
      out += c;
    }
  }
  return true;
}

bool is_valid_port(std::string_view text) {
  if (text.empty()) return true;
  return text[0] == ':' &&
         std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

struct Url {
  std::string scheme, opaque, user, host, path, raw_path, query, fragment;
  bool has_user = false, force_query = false, omit_host = false;

  std::string escaped_path() const {
    if (!raw_path.empty() && is_valid_encoding(raw_path)) {
      std::string decoded, error;
      if (unescape(raw_path, Part::kPath, decoded, error) && decoded == path) return raw_path;
    }
    return path == "*" ? "*" : escape(path, Part::kPath);
  }

  std::string whole() const {
    std::string out = scheme.empty() ? "" : scheme + ":";
    if (!opaque.empty()) {
      out += opaque;
    } else {
      bool has_authority = !scheme.empty() || !host.empty() || has_user;
      if (has_authority && !(omit_host && host.empty() && !has_user)) {
        if (!host.empty() || !path.empty() || has_user) out += "//";
        if (has_user) out += user + "@";
        out += escape(host, Part::kHost);
      }
      std::string shown = escaped_path();
      if (!shown.empty() && shown[0] != '/' && !host.empty()) out += '/';
      out += shown;
    }
    if (force_query || !query.empty()) out += "?" + query;
    if (!fragment.empty()) out += "#" + escape(fragment, Part::kFragment);
    return out;
  }

  static bool is_valid_encoding(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
      return is_one_of(c, "!$&'()*+,;=:@[]%") || !should_escape(c, Part::kPath);
    });
  }
};

class UrlParser {
 public:
  UrlParser(std::string_view text, bool is_request) : text_(text), is_request_(is_request) {}

  bool parse(Url& url) {
    std::string_view rest = text_;
    if (!is_request_) {
      size_t hash = rest.find('#');
      if (hash != std::string_view::npos) {
        if (!unescape(rest.substr(hash + 1), Part::kFragment, url.fragment, error_)) return false;
        rest = rest.substr(0, hash);
      }
    }
    if (std::any_of(rest.begin(), rest.end(),
                    [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
      return fail("net/url: invalid control character in URL");
    if (rest.empty() && is_request_) return fail("empty url");
    if (rest == "*") {
      url.path = "*";
      return true;
    }
    return take_scheme(url, rest) && take_rest(url, rest);
  }
  // As Go words it: parse "x": reason.
  std::string error() const { return "parse " + quoted(text_) + ": " + error_; }

 private:
  bool fail(std::string_view reason) {
    error_ = reason;
    return false;
  }

  bool take_scheme(Url& url, std::string_view& rest) {
    for (size_t i = 0; i < rest.size(); ++i) {
      char c = rest[i];
      if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') continue;
      if (((c >= '0' && c <= '9') || is_one_of(c, "+-.")) && i != 0) continue;
      if (c != ':') return true;
      if (i == 0) return fail("missing protocol scheme");
      for (char letter : rest.substr(0, i))
        url.scheme += static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
      rest.remove_prefix(i + 1);
      return true;
    }
    return true;
  }

  bool take_rest(Url& url, std::string_view rest) {
    size_t mark = rest.find('?');
    if (mark != std::string_view::npos) {
      url.force_query = mark + 1 == rest.size();  // then the query is empty
      url.query = rest.substr(mark + 1);
      rest = rest.substr(0, mark);
    }
    if (!rest.starts_with('/')) {
      if (!url.scheme.empty()) {
        url.opaque = rest;
        return true;
      }
      if (is_request_) return fail("invalid URI for request");
      if (rest.substr(0, rest.find('/')).find(':') != std::string_view::npos)
        return fail("first path segment in URL cannot contain colon");
    }
    bool may_have_authority = !url.scheme.empty() || (!is_request_ && !rest.starts_with("///"));
    if (may_have_authority && rest.starts_with("//")) {
      std::string_view authority = rest.substr(2, rest.find('/', 2) - 2);
      rest = rest.substr(2 + authority.size());
      if (!take_authority(url, authority)) return false;
    } else if (!url.scheme.empty() && rest.starts_with('/')) {
      url.omit_host = true;
    }
    if (!unescape(rest, Part::kPath, url.path, error_)) return false;
    if (escape(url.path, Part::kPath) != rest) url.raw_path = rest;
    return true;
  }

  bool take_authority(Url& url, std::string_view authority) {
    size_t at = authority.rfind('@');
    if (!take_host(url, at == std::string_view::npos ? authority : authority.substr(at + 1)))
      return false;
    if (at == std::string_view::npos) return true;
    std::string_view user = authority.substr(0, at);
    if (!std::all_of(user.begin(), user.end(),
                     [](char c) { return is_alnum(c) || is_one_of(c, "-._:~!$&'()*+,;=%@"); }))
      return fail("net/url: invalid userinfo");
    size_t colon = user.find(':');
    std::string name, password;
    if (!unescape(user.substr(0, colon), Part::kUser, name, error_)) return false;
    url.user = escape(name, Part::kUser);
    if (colon != std::string_view::npos) {
      if (!unescape(user.substr(colon + 1), Part::kUser, password, error_)) return false;
      url.user += ":" + escape(password, Part::kUser);
    }
    url.has_user = true;
    return true;
  }

  bool take_host(Url& url, std::string_view host) {
    std::string_view port;
    if (host.starts_with('[')) {
      size_t close = host.rfind(']');
      if (close == std::string_view::npos) return fail("missing ']' in host");
      port = host.substr(close + 1);
      size_t zone = host.substr(0, close).find("%25");
      if (is_valid_port(port) && zone != std::string_view::npos)
        return take_zoned_host(url, host, zone, close);
    } else if (size_t colon = host.rfind(':'); colon != std::string_view::npos) {
      port = host.substr(colon);
    }
    if (!is_valid_port(port)) return fail("invalid port " + quoted(port) + " after host");
    return unescape(host, Part::kHost, url.host, error_);
  }

  // [fe80::1%25eth0]:80
  bool take_zoned_host(Url& url, std::string_view host, size_t zone, size_t close) {
    std::string address, name, port;
    if (!unescape(host.substr(0, zone), Part::kHost, address, error_) ||
        !unescape(host.substr(zone, close - zone), Part::kZone, name, error_) ||
        !unescape(host.substr(close), Part::kHost, port, error_))
      return false;
    url.host = address + name + port;
    return true;
  }

  std::string_view text_;
  bool is_request_;
  std::string error_;
};

const UrlValue& url_of(const Call& call) {
  return *static_cast<const UrlValue*>(call.args[0].as_opaque());
}

// The place of ":port" in a host; npos without one.
size_t port_place(std::string_view host) {
  size_t colon = host.rfind(':');
  return colon != std::string_view::npos && is_valid_port(host.substr(colon))
             ? colon
             : std::string_view::npos;
}

}  // namespace

namespace functions {

Value url(const Call& call) {
  Url checked, parsed;
  UrlParser request(call.args[0].text(), true), lenient(call.args[0].text(), false);
  constexpr std::string_view kContext = "URL parse error during conversion from string: ";
  if (!request.parse(checked))
    return Value::error(call.arena, std::string(kContext) + request.error());
  if (!lenient.parse(parsed))
    return Value::error(call.arena, std::string(kContext) + lenient.error());
  Arena& arena = call.arena;
  auto* made = new (arena.allocate(sizeof(UrlValue)))
      UrlValue{{kUrlTypeName},           arena.copy(parsed.scheme),
               arena.copy(parsed.host),  arena.copy(parsed.escaped_path()),
               arena.copy(parsed.query), arena.copy(parsed.whole())};
  return Value::opaque(made);
}

Value is_url(const Call& call) {
  Url parsed;
  return Value::boolean(UrlParser(call.args[0].text(), true).parse(parsed));
}

Value get_scheme(const Call& call) { return Value::string(url_of(call).scheme); }
Value get_host(const Call& call) { return Value::string(url_of(call).host); }

Value get_hostname(const Call& call) {
  std::string_view host = url_of(call).host;
  host = host.substr(0, port_place(host));
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return Value::string(host);
}

Value get_port(const Call& call) {
  std::string_view host = url_of(call).host;
  size_t colon = port_place(host);
  return Value::string(colon == std::string_view::npos ? "" : host.substr(colon + 1));
}

Value get_escaped_path(const Call& call) { return Value::string(url_of(call).path); }

// Every key with its values in order. What cannot be read is left out.
Value get_query(const Call& call) {
  std::vector<std::pair<std::string, std::vector<std::string>>> query;
  absl::flat_hash_map<std::string, size_t> places;
  std::string_view rest = url_of(call).query;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('&'), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    size_t equal = pair.find('=');
    std::string key, value, error;
    if (!unescape(pair.substr(0, equal), Part::kQuery, key, error)) continue;
    if (equal != std::string_view::npos &&
        !unescape(pair.substr(equal + 1), Part::kQuery, value, error))
      continue;
    auto [place, is_new] = places.emplace(key, query.size());
    if (is_new) query.emplace_back(key, std::vector<std::string>());
    query[place->second].second.push_back(value);
  }
  Arena& arena = call.arena;
  MadeMap* made = MadeMap::make(query.size(), arena);
  for (const auto& [key, texts] : query) {
    Value* values = arena.values(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) values[i] = Value::string(arena.copy(texts[i]));
    made->set(Value::string(arena.copy(key)), Value::list(values, texts.size()));
  }
  return Value::map(made);
}

}  // namespace functions
}  // namespace knarr::cel
