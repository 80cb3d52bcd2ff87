// SPDX-License-Identifier: Apache-2.0
// Pages in arbitrary pieces: the pieces must not matter, and nothing but links may change.
#include <cstdint>
#include <cstdlib>

#include "apiserver/subresource/html_links.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::apiserver::subresource;
  if (size < 2) return 0;
  std::string_view page(reinterpret_cast<const char*>(data) + 1, size - 1);
  LinkRules rules{"/proxy", "10.0.0.1:80", "server"};
  HtmlLinks whole(rules);
  std::string expected = whole.feed(page);
  expected += whole.finish();
  HtmlLinks pieces(rules);
  std::string actual;
  size_t step = data[0] % 17 + 1;
  for (size_t at = 0; at < page.size(); at += step) actual += pieces.feed(page.substr(at, step));
  actual += pieces.finish();
  if (actual != expected) std::abort();
  if (page.find('/') == std::string_view::npos && actual != page) std::abort();
  return 0;
}
