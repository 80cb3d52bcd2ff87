// SPDX-License-Identifier: Apache-2.0
// SPDY/3's header blocks: name/value pairs, deflated with a dictionary that the protocol
// prescribes, one zlib stream a direction and connection. Internal.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"

namespace knarr::net {

class SpdyHeaderCodec {
 public:
  SpdyHeaderCodec();
  ~SpdyHeaderCodec();
  std::string encode(const Headers& headers);
  // At most 256 kB decoded; an error leaves the connection unusable.
  Status decode(std::string_view block, Headers* headers);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace knarr::net
