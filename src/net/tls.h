// SPDX-License-Identifier: Apache-2.0
// What a TLS endpoint needs. Files are looked at again when their modification time changes, so
// that renewed certificates are used without a restart. TLS 1.2 and 1.3.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace knarr::net {

struct TlsServerOptions {
  std::string cert_file, key_file;               // PEM
  std::string client_ca_file;                    // "" = do not ask for client certificates; else ask, do not require
  std::string cert_pem, key_pem, client_ca_pem;  // in place of the files
  // More CAs whose certificates clients may show. They are not verified by these: whoever reads Peer::certificates does that.
  std::string announced_ca_file;
  bool may_come_later = false;                   // cert_file: connections are refused until it is there
};
struct TlsClientOptions {
  std::string ca_file, ca_pem;      // one of them; both empty = system roots
  std::string cert_file, key_file;  // client certificate; or
  std::string cert_pem, key_pem;
  std::string server_name;  // SNI and verification; "" = the host dialled
  bool insecure_skip_verify = false;
};

class TlsServerContext;  // net/tls.cc
class TlsClientContext;
// The files are looked at anew by the next connection, however lately they were: who replaced them says so.
void look_again(TlsClientContext& context);
Result<std::shared_ptr<TlsServerContext>> make_tls_server_context(TlsServerOptions options);
Result<std::shared_ptr<TlsClientContext>> make_tls_client_context(TlsClientOptions options);

}  // namespace knarr::net
