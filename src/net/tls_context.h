// SPDX-License-Identifier: Apache-2.0
// The OpenSSL side of TlsServerContext and TlsClientContext. Includes OpenSSL: for tls*.cc only.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/tls.h"

namespace knarr::net {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using SslPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// Empties OpenSSL's queue of errors into one line, or `otherwise`.
std::string take_openssl_errors(std::string_view otherwise);

// Builds anew when a watched file has changed; looked at once a second at most. Thread-safe.
class ReloadingContext {
 public:
  virtual ~ReloadingContext() = default;
  // An SSL made from the newest good material.
  Result<SslPtr> make_ssl();
  void look_again();

 protected:
  explicit ReloadingContext(std::vector<std::string> files) : files_(std::move(files)) {}
  virtual Result<SslContextPtr> build() const = 0;
  Status load();  // the first time

 private:
  std::vector<int64_t> stamps() const;
  const std::vector<std::string> files_;
  std::mutex mutex_;
  SslContextPtr context_;
  std::vector<int64_t> stamps_;
  MonoTime checked_{};
};

class TlsServerContext final : public ReloadingContext {
 public:
  static Result<std::shared_ptr<TlsServerContext>> make(TlsServerOptions options);
  const TlsServerOptions& options() const { return options_; }

 private:
  explicit TlsServerContext(TlsServerOptions options);
  Result<SslContextPtr> build() const override;
  TlsServerOptions options_;
};

class TlsClientContext final : public ReloadingContext {
 public:
  static Result<std::shared_ptr<TlsClientContext>> make(TlsClientOptions options);
  const TlsClientOptions& options() const { return options_; }

 private:
  explicit TlsClientContext(TlsClientOptions options);
  Result<SslContextPtr> build() const override;
  TlsClientOptions options_;
};

}  // namespace knarr::net
