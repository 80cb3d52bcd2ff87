// SPDX-License-Identifier: Apache-2.0
// Bytes into the HTTP/1 parsers: heads of both kinds and chunked bodies.
#include <cstdint>

#include "net/http1_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::net;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  HeadScanner scanner;
  if (scanner.scan(text) == HeadScanner::State::kComplete) {
    Http1Head request, response;
    parse_request_head(text.substr(0, scanner.size()), &request);
    parse_response_head(text.substr(0, scanner.size()), size % 2 == 0, &response);
  }
  ChunkDecoder decoder;
  std::string out;
  size_t step = size == 0 ? 1 : 1 + data[0] % 16, at = 0;
  while (at < size && !decoder.done() && !decoder.failed())
    at += decoder.feed(text.substr(at, step), 64, &out);
  (void)percent_decode(text, true);
  (void)parse_query(text);
  return 0;
}
