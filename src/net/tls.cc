// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/event.h"
#include "net/tls_context.h"
#include "net/tls_stream.h"

namespace knarr::net {

namespace {

constexpr size_t kReadSize = 17 << 10;    // one full record and its overhead
constexpr size_t kRecordSize = 16 << 10;  // the most plain text in a record
constexpr size_t kFlushSize = 128 << 10;  // cipher text handed to the carrier at once
constexpr size_t kKeepCapacity =
    20 << 10;  // an idle connection does not hold more than this for output

// Shared by the stream and its running operations. OpenSSL sees a BIO whose input is what was read
// last and whose output piles up until flush(); so SSL calls never block and never nest.
struct TlsState {
  explicit TlsState(Executor e) : executor(std::move(e)) {}
  Executor executor;
  std::unique_ptr<ByteStream> under;
  SslPtr ssl;
  std::vector<char> in;  // cipher text: [in_begin, in_end)
  size_t in_begin = 0, in_end = 0;
  bool in_eof = false;
  std::string out;
  bool flushing = false;
  bool closed = false;
  Event flushed;  // wakes the writer that found the reader flushing

  static Task<Status> flush(std::shared_ptr<TlsState> self);
  static Task<Status> fill(std::shared_ptr<TlsState> self);
};

TlsState* state_of(BIO* bio) { return static_cast<TlsState*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, int size) {
  state_of(bio)->out.append(data, static_cast<size_t>(size));
  return size;
}

int bio_read(BIO* bio, char* data, int size) {
  TlsState* state = state_of(bio);
  BIO_clear_retry_flags(bio);
  size_t count = std::min(static_cast<size_t>(size), state->in_end - state->in_begin);
  if (count == 0) {
    if (state->in_eof) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(data, state->in.data() + state->in_begin, count);
  state->in_begin += count;
  return static_cast<int>(count);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return state_of(bio)->in_eof ? 1 : 0;
  return 0;
}

const BIO_METHOD* bio_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "knarr stream");
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    return m;
  }();
  return method;
}

// Sends all output there is. When the other direction is at it already, waits for that.
Task<Status> TlsState::flush(std::shared_ptr<TlsState> self) {
  while (self->flushing) co_await self->flushed.wait();
  Status status;
  self->flushing = true;
  while (!self->out.empty() && status.ok()) {
    std::string sending;
    sending.swap(self->out);
    std::string_view view = sending;
    status = co_await self->under->write(view);
    if (self->out.empty() && sending.capacity() <= kKeepCapacity) {
      sending.clear();
      sending.swap(self->out);
    }
  }
  self->flushing = false;
  self->flushed.set();
  co_return status;
}

Task<Status> TlsState::fill(std::shared_ptr<TlsState> self) {
  if (self->in.empty()) self->in.resize(kReadSize);
  Result<size_t> count = co_await self->under->read(self->in.data(), self->in.size());
  if (!count.ok()) co_return count.status();
  self->in_begin = 0;
  self->in_end = *count;
  if (*count == 0) self->in_eof = true;
  co_return Status();
}

class TlsStream final : public ByteStream {
 public:
  explicit TlsStream(std::shared_ptr<TlsState> state) : state_(std::move(state)) {}
  ~TlsStream() override { close(); }

  Task<Result<size_t>> read(char* buffer, size_t size) override {
    std::shared_ptr<TlsState> state = state_;
    while (!state->closed) {
      size_t total = 0;
      int error = SSL_ERROR_NONE;
      // Every record at hand in one go, so that the caller sees as much as it has room for.
      while (total < size) {
        ERR_clear_error();
        size_t count = 0;
        int outcome = SSL_read_ex(state->ssl.get(), buffer + total, size - total, &count);
        if (outcome != 1) {
          error = SSL_get_error(state->ssl.get(), outcome);
          break;
        }
        total += count;
      }
      if (!state->out.empty() && !state->flushing) {
        // Answers to key updates and the like.
        Status flushed = co_await TlsState::flush(state);
        if (!flushed.ok()) co_return flushed;
      }
      if (total > 0) co_return total;
      if (error == SSL_ERROR_ZERO_RETURN) co_return size_t{0};
      if (error != SSL_ERROR_WANT_READ) {
        if (state->in_eof) co_return Status::error("unexpected EOF");
        co_return Status::error("tls: " + take_openssl_errors("read failed"));
      }
      Status filled = co_await TlsState::fill(state);
      if (!filled.ok()) co_return filled;
    }
    co_return Status::error("use of closed network connection");
  }

  Task<Status> write(std::string_view bytes) override {
    std::shared_ptr<TlsState> state = state_;
    while (!bytes.empty()) {
      std::string_view now = bytes.substr(0, kFlushSize);
      bytes.remove_prefix(now.size());
      CO_TRY(encrypt(*state, now));
      Status status = co_await TlsState::flush(state);
      if (!status.ok()) co_return status;
    }
    co_return Status();
  }

  // Slices are gathered into full records: what a record costs does not depend on how many slices
  // it came from.
  Task<Status> write(const Body& body) override {
    std::shared_ptr<TlsState> state = state_;
    static thread_local char staging[kRecordSize];  // never in use across a suspension
    size_t staged = 0, slice_offset = 0;
    const std::vector<Slice>& slices = body.slices();
    // Room for a whole flush at once: growing would copy it several times.
    const size_t flush = std::min(body.size(), kFlushSize), room = flush + flush / 64 + kRecordSize;
    for (size_t i = 0; i < slices.size();) {
      if (state->out.empty() && flush > kKeepCapacity) state->out.reserve(room);
      std::string_view rest = slices[i].view.substr(slice_offset);
      size_t direct = staged == 0 && rest.size() >= kRecordSize ? kRecordSize : 0;
      if (direct > 0) {
        CO_TRY(encrypt(*state, rest.substr(0, direct)));
        slice_offset += direct;
      } else {
        size_t count = std::min(rest.size(), kRecordSize - staged);
        std::memcpy(staging + staged, rest.data(), count);
        staged += count;
        slice_offset += count;
      }
      if (slice_offset == slices[i].view.size()) {
        ++i;
        slice_offset = 0;
      }
      if (staged == kRecordSize || (staged > 0 && i == slices.size())) {
        CO_TRY(encrypt(*state, {staging, staged}));
        staged = 0;
      }
      if (staged == 0 && (state->out.size() >= kFlushSize || i == slices.size())) {
        Status status = co_await TlsState::flush(state);
        if (!status.ok()) co_return status;
      }
    }
    co_return Status();
  }

  void shutdown_write() override {
    if (!state_->closed) spawn(state_->executor, send_close_notify(state_, false));
  }

  void close() override {
    if (state_->closed) return;
    state_->closed = true;
    if (state_->in_eof || state_->flushing)
      state_->under->close();
    else
      spawn(state_->executor, send_close_notify(state_, true));
  }

 private:
  static Status encrypt(TlsState& state, std::string_view bytes) {
    if (state.closed) return Status::error("use of closed network connection");
    while (!bytes.empty()) {
      ERR_clear_error();
      size_t written = 0;
      if (SSL_write_ex(state.ssl.get(), bytes.data(), bytes.size(), &written) != 1)
        return Status::error("tls: " + take_openssl_errors("write failed"));
      bytes.remove_prefix(written);
    }
    return Status();
  }

  // The peer must be able to tell an end from a cut. Closing does not wait for it longer than a
  // moment.
  static Task<void> send_close_notify(std::shared_ptr<TlsState> state, bool then_close) {
    ERR_clear_error();
    SSL_shutdown(state->ssl.get());
    ERR_clear_error();
    Alarm alarm(state->executor);
    if (then_close) alarm.arm(std::chrono::seconds(1), [state] { state->under->close(); });
    Status status = co_await TlsState::flush(state);
    if (then_close)
      state->under->close();
    else if (status.ok())
      state->under->shutdown_write();
  }

  std::shared_ptr<TlsState> state_;
};

// Somebody left the "s" out of the URL. Go's answer, without TLS.
Task<void> explain_to_plain_http(TlsState* state) {
  std::string_view answer =
      "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
  Status ignored = co_await state->under->write(answer);
  state->under->shutdown_write();
}

// Runs the handshake of a prepared SSL; the alarm closes the carrier, which ends it.
Task<Status> handshake(std::shared_ptr<TlsState> state, Duration timeout) {
  Alarm alarm(state->executor);
  auto timed_out = std::make_shared<bool>(false);
  alarm.arm(timeout, [state, timed_out] {
    *timed_out = true;
    state->under->close();
  });
  BIO* bio = BIO_new(bio_method());
  BIO_set_data(bio, state.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(state->ssl.get(), bio, bio);
  while (true) {
    ERR_clear_error();
    int outcome = SSL_do_handshake(state->ssl.get());
    int error = outcome == 1 ? SSL_ERROR_NONE : SSL_get_error(state->ssl.get(), outcome);
    std::string reason;
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
      reason = take_openssl_errors("EOF");
    // Also on failure: the alert tells the peer why.
    Status flushed = co_await TlsState::flush(state);
    if (*timed_out) co_return Status::error("net/http: TLS handshake timeout");
    if (reason == "http request") co_await explain_to_plain_http(state.get());
    if (!reason.empty()) co_return Status::error(reason).with_context("tls");
    if (!flushed.ok()) co_return flushed;
    if (error == SSL_ERROR_NONE) co_return Status();
    Status filled = co_await TlsState::fill(state);
    if (*timed_out) co_return Status::error("net/http: TLS handshake timeout");
    if (!filled.ok()) co_return filled;
  }
}

std::string chosen_protocol(SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string der_of(X509* certificate) {
  int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &out);
  return der;
}

void describe_client(SSL* ssl, Peer* peer) {
  peer->tls = true;
  X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return;
  peer->certificates.push_back(der_of(leaf));
  if (STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl)) {
    for (int i = 0; i < sk_X509_num(chain); ++i)
      peer->certificates.push_back(der_of(sk_X509_value(chain, i)));
  }
  peer->certificate_verified = SSL_get_verify_result(ssl) == X509_V_OK;
  // A resumed session carries the verdict of its first handshake, which may have become too old.
  if (SSL_session_reused(ssl) && (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0))
    peer->certificate_verified = false;
}

// Go's words, which users of kubectl know.
Status explain_client_failure(Status status, SSL* ssl, const std::string& host) {
  long verdict = SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) return status;
  std::string why;
  switch (verdict) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      why = "certificate signed by unknown authority";
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      why = "certificate has expired or is not yet valid";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      why = "certificate is not valid for " + host;
      break;
    default:
      why = X509_verify_cert_error_string(verdict);
  }
  return Status::error("tls: failed to verify certificate: x509: " + why);
}

Status name_server(SSL* ssl, const std::string& name, bool verify) {
  unsigned char address[16];
  bool is_address = ::inet_pton(AF_INET, name.c_str(), address) == 1 ||
                    ::inet_pton(AF_INET6, name.c_str(), address) == 1;
  if (!is_address && !name.empty()) SSL_set_tlsext_host_name(ssl, name.c_str());
  if (!verify || name.empty()) return Status();
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  int outcome = is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str())
                           : X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size());
  if (outcome != 1) return Status::error("invalid server name " + name);
  return Status();
}

}  // namespace

Task<Result<TlsResult>> tls_accept(std::unique_ptr<ByteStream> under,
                                   std::shared_ptr<TlsServerContext> context,
                                   std::shared_ptr<Peer> peer, Duration timeout) {
  Executor executor = co_await this_executor();
  auto state = std::make_shared<TlsState>(executor);
  state->under = std::move(under);
  CO_TRY_ASSIGN(state->ssl, context->make_ssl());
  SSL_set_accept_state(state->ssl.get());
  Status status = co_await handshake(state, timeout);
  if (!status.ok()) co_return status;
  describe_client(state->ssl.get(), peer.get());
  TlsResult result;
  result.alpn = chosen_protocol(state->ssl.get());
  result.stream = std::make_unique<TlsStream>(state);
  co_return std::move(result);
}

Task<Result<TlsResult>> tls_connect(std::unique_ptr<ByteStream> under,
                                    std::shared_ptr<TlsClientContext> context, std::string host,
                                    std::vector<std::string> protocols, Duration timeout) {
  Executor executor = co_await this_executor();
  auto state = std::make_shared<TlsState>(executor);
  state->under = std::move(under);
  CO_TRY_ASSIGN(state->ssl, context->make_ssl());
  SSL* ssl = state->ssl.get();
  SSL_set_connect_state(ssl);
  const TlsClientOptions& options = context->options();
  std::string name = options.server_name.empty() ? host : options.server_name;
  CO_TRY(name_server(ssl, name, !options.insecure_skip_verify));
  std::string offer;
  for (const std::string& protocol : protocols) {
    offer.push_back(static_cast<char>(protocol.size()));
    offer += protocol;
  }
  if (!offer.empty())
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  Status status = co_await handshake(state, timeout);
  if (!status.ok()) co_return explain_client_failure(status, ssl, name);
  TlsResult result;
  result.alpn = chosen_protocol(ssl);
  result.stream = std::make_unique<TlsStream>(state);
  co_return std::move(result);
}

}  // namespace knarr::net
