// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "apiserver/strategy/certificate_request.h"
#include "apiserver/strategy/validators.h"

// The first byte chooses the parser of a field's text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace knarr::apiserver;
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4) {
    case 0:
      read_certificate_request(text);
      break;
    case 1:
      certificate_chain_problem(text);
      break;
    case 2:
      parse_ip(text);
      parse_cidr(text);
      break;
    default:
      check_wildcard_dns1123_subdomain(text);
      check_http_header_name(text);
      check_path_segment(text, true);
  }
  return 0;
}
