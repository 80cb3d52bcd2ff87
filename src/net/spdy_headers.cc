// SPDX-License-Identifier: Apache-2.0
#include "net/spdy_headers.h"

#include <zlib.h>

#include "net/text.h"

namespace knarr::net {

namespace {

constexpr size_t kMaxDecoded = 256 << 10;

// The first part of the dictionary: each word after its length in four bytes.
constexpr std::string_view kWords =
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location "
    "content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match "
    "if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    "proxy-authorization range "
    "referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning "
    "www-authenticate method get "
    "status";
// Two more values among the words have blanks or capitals of their own.
constexpr std::string_view kMoreWords[] = {"200 OK", "version",    "HTTP/1.1",   "url",
                                           "public", "set-cookie", "keep-alive", "origin"};
constexpr std::string_view kTail =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, "
    "GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/"
    "plain,text/javascript,public"
    "privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void put_u32(std::string* out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

std::string make_dictionary() {
  std::string dictionary;
  auto add = [&dictionary](std::string_view word) {
    put_u32(&dictionary, word.size());
    dictionary += word;
  };
  for (std::string_view rest = kWords; !rest.empty();) {
    size_t end = std::min(rest.find(' '), rest.size());
    add(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (std::string_view word : kMoreWords) add(word);
  dictionary += kTail;
  return dictionary;
}

const std::string& dictionary() {
  static const std::string text = make_dictionary();
  return text;
}

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

bool take_u32(std::string_view* text, uint32_t* value) {
  if (text->size() < 4) return false;
  *value = 0;
  for (int i = 0; i < 4; ++i) *value = *value << 8 | static_cast<unsigned char>((*text)[i]);
  text->remove_prefix(4);
  return true;
}

bool take_string(std::string_view* text, std::string_view* value) {
  uint32_t size = 0;
  if (!take_u32(text, &size) || size > text->size()) return false;
  *value = text->substr(0, size);
  text->remove_prefix(size);
  return true;
}

Status parse_pairs(std::string_view text, Headers* headers) {
  uint32_t count = 0;
  if (!take_u32(&text, &count)) return Status::error("spdy: truncated header block");
  for (uint32_t i = 0; i < count; ++i) {
    std::string_view name, values;
    if (!take_string(&text, &name) || !take_string(&text, &values))
      return Status::error("spdy: truncated header block");
    if (name.empty()) return Status::error("spdy: empty header name");
    // Several values of one name are joined by NUL.
    while (true) {
      size_t end = values.find('\0');
      headers->add(name, values.substr(0, end));
      if (end == std::string_view::npos) break;
      values.remove_prefix(end + 1);
    }
  }
  return Status();
}

}  // namespace

struct SpdyHeaderCodec::Impl {
  z_stream deflater{}, inflater{};
};

SpdyHeaderCodec::SpdyHeaderCodec() : impl_(std::make_unique<Impl>()) {
  // A small window and memory level: these blocks are tiny, and each connection has two.
  KNARR_CHECK(deflateInit2(&impl_->deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 11, 1,
                           Z_DEFAULT_STRATEGY) == Z_OK);
  const std::string& words = dictionary();
  KNARR_CHECK(deflateSetDictionary(&impl_->deflater, bytes_of(words),
                                   static_cast<uInt>(words.size())) == Z_OK);
  KNARR_CHECK(inflateInit(&impl_->inflater) == Z_OK);
}

SpdyHeaderCodec::~SpdyHeaderCodec() {
  deflateEnd(&impl_->deflater);
  inflateEnd(&impl_->inflater);
}

std::string SpdyHeaderCodec::encode(const Headers& headers) {
  // One entry a name, its values joined.
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : headers.fields()) {
    std::string lower = name;
    for (char& c : lower) c = ascii_lower(c);
    auto at = std::find_if(pairs.begin(), pairs.end(),
                           [&](const auto& pair) { return pair.first == lower; });
    if (at == pairs.end())
      pairs.emplace_back(std::move(lower), value);
    else
      at->second += std::string(1, '\0') + value;
  }
  std::string plain;
  put_u32(&plain, pairs.size());
  for (const auto& [name, value] : pairs) {
    put_u32(&plain, name.size());
    plain += name;
    put_u32(&plain, value.size());
    plain += value;
  }
  z_stream& z = impl_->deflater;
  std::string out(deflateBound(&z, plain.size()) + 64, '\0');
  z.next_in = bytes_of(plain);
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = bytes_of(out);
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_SYNC_FLUSH);
  out.resize(out.size() - z.avail_out);
  return out;
}

Status SpdyHeaderCodec::decode(std::string_view block, Headers* headers) {
  z_stream& z = impl_->inflater;
  z.next_in = bytes_of(block);
  z.avail_in = static_cast<uInt>(block.size());
  std::string plain;
  char buffer[4096];
  while (true) {
    z.next_out = reinterpret_cast<Bytef*>(buffer);
    z.avail_out = sizeof(buffer);
    int outcome = inflate(&z, Z_SYNC_FLUSH);
    if (outcome == Z_NEED_DICT) {
      const std::string& words = dictionary();
      if (inflateSetDictionary(&z, bytes_of(words), static_cast<uInt>(words.size())) != Z_OK)
        return Status::error("spdy: unknown dictionary");
      continue;
    }
    plain.append(buffer, sizeof(buffer) - z.avail_out);
    if (plain.size() > kMaxDecoded) return Status::error("spdy: header block is too large");
    if (outcome != Z_OK && outcome != Z_BUF_ERROR)
      return Status::error("spdy: malformed header block");
    if (z.avail_out > 0) break;  // all input is used up
  }
  return parse_pairs(plain, headers);
}

}  // namespace knarr::net
