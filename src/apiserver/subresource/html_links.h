// SPDX-License-Identifier: Apache-2.0
// Links of proxied pages: what points to the backend is made to point through the proxy (upstream: apimachinery's util/proxy/transport.go).
#pragma once

#include <string>
#include <string_view>

namespace knarr::apiserver::subresource {

struct LinkRules {
  std::string prefix;        // the path that stands for the backend's root: /api/v1/namespaces/x/services/y/proxy
  std::string backend_host;  // "10.0.0.1:80"
  std::string request_host;  // the Host header that the client sent
};

// A URL in a Location header or an attribute. Relative ones, those of other hosts and those that have the prefix stay.
std::string rewrite_url(std::string_view url, const LinkRules& rules);

// Rewrites the URLs in the attributes of a page that comes in pieces; everything else passes untouched. Keeps an unfinished tag
// (64 KiB at most, longer ones pass as they are) until the next piece. One executor.
class HtmlLinks {
 public:
  explicit HtmlLinks(LinkRules rules) : rules_(std::move(rules)) {}
  std::string feed(std::string_view piece);
  std::string finish();  // what was kept

 private:
  bool step(std::string& out);
  bool pass_until(std::string_view end, std::string& out);
  void emit_tag(std::string_view tag, std::string& out);

  const LinkRules rules_;
  std::string buffer_;
  std::string raw_text_end_;  // "</script": inside an element without markup
  bool in_comment_ = false;
};

}  // namespace knarr::apiserver::subresource
