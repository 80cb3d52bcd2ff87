// SPDX-License-Identifier: Apache-2.0
// TLS over any byte stream. Internal to this module; OpenSSL is known to tls.cc and tls_context.cc
// only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/http.h"
#include "net/stream.h"
#include "net/tls.h"

namespace knarr::net {

struct TlsResult {
  std::unique_ptr<ByteStream> stream;
  std::string alpn;  // "h2", "http/1.1" or ""
};

// Handshakes end with the stream's: close `under` to abandon one (it is owned by the handshake;
// hence the alarm in here). The server's fills peer->certificates and certificate_verified.
Task<Result<TlsResult>> tls_accept(std::unique_ptr<ByteStream> under,
                                   std::shared_ptr<TlsServerContext> context,
                                   std::shared_ptr<Peer> peer, Duration timeout);
// `host`: without port; used when the context names none. `protocols`: offered ALPN names.
Task<Result<TlsResult>> tls_connect(std::unique_ptr<ByteStream> under,
                                    std::shared_ptr<TlsClientContext> context, std::string host,
                                    std::vector<std::string> protocols, Duration timeout);

}  // namespace knarr::net
