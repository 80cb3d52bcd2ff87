// SPDX-License-Identifier: Apache-2.0
// HTTP client: one object per remote endpoint, connections kept and shared (many streams on one
// HTTP/2 connection; a pool of HTTP/1.1 connections, idle ones kept 90 s). Reconnects by itself; a
// request is retried on a fresh connection only when the old one had been closed before any byte of
// an answer, and the body is replayable. One executor.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "net/http.h"
#include "net/tls.h"

namespace knarr::net {

enum class HttpVersion { kAuto /* ALPN */, kHttp1, kHttp2 /* prior knowledge on plain text */ };

struct ClientOptions {
  std::string address;                    // "host:port" or "unix:/path"
  std::string authority;                  // Host header; "" = derived from address
  std::shared_ptr<TlsClientContext> tls;  // null = plain text
  HttpVersion version = HttpVersion::kAuto;
  Duration connect_timeout = std::chrono::seconds(30);
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query
  Headers headers;
  Body body;
  Duration timeout{};  // until the response head; 0 = none
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::unique_ptr<BodyReader> body;   // dropping it cancels the exchange
  const Headers* trailers = nullptr;  // valid after the body's end while `body` lives
};

// A request whose body is written over time (gRPC streaming, uploads), with the answer read
// meanwhile.
class ClientExchange {
 public:
  virtual ~ClientExchange() = default;
  virtual Task<Status> write(Body body) = 0;
  virtual Task<Status> finish() = 0;
  virtual Task<Result<ClientResponse>> response() = 0;
  virtual void cancel() {}  // wakes whoever waits in the calls above with an error
};

class Client {
 public:
  virtual ~Client() = default;
  virtual Task<Result<ClientResponse>> send(ClientRequest request) = 0;
  virtual Task<Result<std::unique_ptr<ClientExchange>>> open(ClientRequest request) = 0;
  struct Upgraded {
    ClientResponse response;  // 101, or whatever the server answered instead (then stream is null)
    std::unique_ptr<ByteStream> stream;
  };
  // A dedicated HTTP/1.1 connection with the request's Upgrade headers.
  virtual Task<Result<Upgraded>> upgrade(ClientRequest request) = 0;
  virtual void close() = 0;
};

std::unique_ptr<Client> make_client(Executor executor, ClientOptions options);

// A raw connection: "host:port" or "unix:/path", with TLS when given.
Task<Result<std::unique_ptr<ByteStream>>> dial(std::string address,
                                               std::shared_ptr<TlsClientContext> tls,
                                               Duration timeout);

}  // namespace knarr::net
