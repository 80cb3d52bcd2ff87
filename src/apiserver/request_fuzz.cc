// SPDX-License-Identifier: Apache-2.0
// Bytes into everything that reads a request's head: the path and query, Accept and Content-Type, continue tokens.
#include <cstdint>

#include "apiserver/negotiate.h"
#include "apiserver/request_info.h"
#include "apiserver/storage/continue_token.h"
#include "base/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr;
  using namespace knarr::apiserver;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t question = text.find('?');
  auto query = net::parse_query(question == std::string_view::npos ? std::string_view() : text.substr(question + 1));
  net::QueryParams none;
  auto info = parse_request_info("GET", text.substr(0, question), query.ok() ? *query : none);
  if (info.ok()) KNARR_CHECK(!info->is_resource || !info->resource.empty() || !info->parts.empty());
  Offers offers;
  offers.table = offers.partial = offers.list = true;
  (void)negotiate_output(text, offers);
  (void)negotiate_input(text);
  auto token = decode_continue(text);
  // A token that was accepted is one that we could have made.
  if (token.ok()) {
    auto again = decode_continue(encode_continue(*token));
    KNARR_CHECK(again.ok() && again->start == token->start && again->revision == token->revision);
  }
  return 0;
}
