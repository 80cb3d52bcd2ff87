// SPDX-License-Identifier: Apache-2.0
// What client.cc needs of the two protocols. Everything on the client's executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/client.h"
#include "net/event.h"
#include "net/http1_parser.h"
#include "net/http2.h"

namespace knarr::net {

Status client_timeout();  // the head did not come in time

// ---- HTTP/2

class Http2ClientConnection final : public Http2Connection {
 public:
  Http2ClientConnection(Executor executor, std::unique_ptr<ByteStream> stream);
  Status start();  // then spawn run()
  // Takes another request now.
  bool available() const;
  bool used() const { return used_; }  // an answer has come over it
  Result<std::shared_ptr<Http2Stream>> open(const ClientRequest& request, std::string_view scheme,
                                            std::string_view authority, bool has_body);

 protected:
  void on_head(const std::shared_ptr<Http2Stream>& stream) override;
  void on_stream_gone(Http2Stream&) override;
  void on_over() override { alarm_.cancel(); }

 private:
  void watch();
  Alarm alarm_;
  uint64_t seen_ = 0;    // received() at the last look
  bool pinged_ = false;  // and nothing has come since
  bool used_ = false;
  MonoTime idle_since_;
};

// Until the head or the stream's end; 0 = no limit. On time-out the stream is reset.
Task<Status> wait_for_head(std::shared_ptr<Http2Stream> stream, Duration timeout);
ClientResponse http2_response(std::shared_ptr<Http2Stream> stream);
std::unique_ptr<ClientExchange> http2_exchange(std::shared_ptr<Http2Stream> stream,
                                               Duration timeout);

// ---- HTTP/1.1

class Http1ClientConnection;

// Idle connections of one endpoint.
class Http1Pool {
 public:
  void put(std::shared_ptr<Http1ClientConnection> connection);
  std::shared_ptr<Http1ClientConnection> take();  // one that is still good, or null
  void close();

 private:
  std::vector<std::shared_ptr<Http1ClientConnection>> idle_;
  bool closed_ = false;
};

class Http1ClientConnection {
 public:
  Http1ClientConnection(std::unique_ptr<ByteStream> s, int f) : stream(std::move(s)), fd(f) {}
  std::unique_ptr<ByteStream> stream;
  int fd;
  std::string buffered;
  bool used = false;  // has carried an exchange before
  MonoTime idle_since{};
};

struct Http1Answer {
  Http1Head head;
  bool nothing_received = false;  // the connection ended before any byte of an answer
};
enum class Http1Kind { kWhole, kStreaming, kUpgrade };
std::string http1_request_head(const ClientRequest& request, std::string_view authority,
                               Http1Kind kind);
// Skips interim answers, but not 101.
Task<Status> read_http1_head(std::shared_ptr<Http1ClientConnection> connection, bool head_request,
                             Duration timeout, Http1Answer* answer);
ClientResponse http1_response(std::shared_ptr<Http1ClientConnection> connection,
                              std::shared_ptr<Http1Pool> pool, Http1Head head);
std::unique_ptr<ClientExchange> http1_exchange(std::shared_ptr<Http1ClientConnection> connection,
                                               std::shared_ptr<Http1Pool> pool, bool head_request,
                                               Duration timeout);
// The connection after a 101.
std::unique_ptr<ByteStream> http1_upgraded(std::shared_ptr<Http1ClientConnection> connection);

}  // namespace knarr::net
