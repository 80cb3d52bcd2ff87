// SPDX-License-Identifier: Apache-2.0
#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "base/log.h"

namespace knarr::net {

namespace {

using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// Certificates are judged after the handshake, so that a client without a good one can still show a
// token.
int accept_any(int, X509_STORE_CTX*) { return 1; }

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned int in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x02h2\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kOurs, sizeof(kOurs) - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Result<SslContextPtr> new_context(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (context == nullptr) return Status::error(take_openssl_errors("SSL_CTX_new"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Go's order, so that both ends settle on what upstream's would; OpenSSL's begins with AES-256,
  // which costs both of them a third more.
  if (SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                              "TLS_CHACHA20_POLY1305_SHA256") != 1)
    return Status::error(take_openssl_errors("cipher suites"));
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Status use_pem_pair(SSL_CTX* context, const std::string& cert_pem, const std::string& key_pem) {
  BioPtr certs(BIO_new_mem_buf(cert_pem.data(), static_cast<int>(cert_pem.size())));
  X509Ptr leaf(PEM_read_bio_X509(certs.get(), nullptr, nullptr, nullptr));
  if (leaf == nullptr || SSL_CTX_use_certificate(context, leaf.get()) != 1)
    return Status::error(take_openssl_errors("no certificate in the PEM data"));
  while (X509* more = PEM_read_bio_X509(certs.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, more) != 1) X509_free(more);
  }
  ERR_clear_error();
  BioPtr keys(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(keys.get(), nullptr, nullptr, nullptr));
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return Status::error(take_openssl_errors("no private key in the PEM data"));
  return Status();
}

Status use_file_pair(SSL_CTX* context, const std::string& cert_file, const std::string& key_file) {
  if (SSL_CTX_use_certificate_chain_file(context, cert_file.c_str()) != 1)
    return Status::error(take_openssl_errors("certificate")).with_context(cert_file);
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return Status::error(take_openssl_errors("private key")).with_context(key_file);
  return Status();
}

Status trust_pem(SSL_CTX* context, const std::string& pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int count = 0;
  while (true) {
    X509Ptr cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (cert == nullptr) break;
    if (X509_STORE_add_cert(store, cert.get()) == 1) ++count;
  }
  ERR_clear_error();
  if (count == 0) return Status::error("no CA certificate in the PEM data");
  return Status();
}

std::vector<std::string> non_empty(std::vector<std::string> files) {
  std::erase_if(files, [](const std::string& file) { return file.empty(); });
  return files;
}

}  // namespace

std::string take_openssl_errors(std::string_view otherwise) {
  std::string text;
  while (unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (reason == nullptr) continue;
    if (!text.empty()) text += ", ";
    text += reason;
  }
  return text.empty() ? std::string(otherwise) : text;
}

std::vector<int64_t> ReloadingContext::stamps() const {
  std::vector<int64_t> stamps;
  for (const std::string& file : files_) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) info = {};
    stamps.push_back(info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
    stamps.push_back(static_cast<int64_t>(info.st_ino));
    stamps.push_back(info.st_size);
  }
  return stamps;
}

Status ReloadingContext::load() {
  stamps_ = stamps();
  TRY_ASSIGN(context_, build());
  checked_ = Clock::real().mono();
  return Status();
}

void ReloadingContext::look_again() {
  std::lock_guard lock(mutex_);
  checked_ = {};
}

Result<SslPtr> ReloadingContext::make_ssl() {
  std::lock_guard lock(mutex_);
  MonoTime now = Clock::real().mono();
  if (!files_.empty() && now - checked_ >= std::chrono::seconds(1)) {
    checked_ = now;
    std::vector<int64_t> current = stamps();
    if (current != stamps_) {
      // A pair that is being replaced may not fit together yet; then the old one serves and the
      // next look tries again.
      Result<SslContextPtr> fresh = build();
      if (fresh.ok()) {
        context_ = std::move(*fresh);
        stamps_ = std::move(current);
        log_info("Reloaded TLS material", {{"file", files_.front()}});
      } else {
        log_warning("Kept the old TLS material", {{"err", fresh.status().message()}});
      }
    }
  }
  if (context_ == nullptr) return Status::error("no certificate available yet");
  SslPtr ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return Status::error(take_openssl_errors("SSL_new"));
  return ssl;
}

TlsServerContext::TlsServerContext(TlsServerOptions options)
    : ReloadingContext(non_empty({options.cert_file, options.key_file, options.client_ca_file, options.announced_ca_file})),
      options_(std::move(options)) {}

Result<SslContextPtr> TlsServerContext::build() const {
  TRY_ASSIGN(SslContextPtr context, new_context(TLS_server_method()));
  if (!options_.cert_pem.empty()) {
    TRY(use_pem_pair(context.get(), options_.cert_pem, options_.key_pem));
  } else {
    TRY(use_file_pair(context.get(), options_.cert_file, options_.key_file));
  }
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return Status::error(take_openssl_errors("key mismatch"));
  if (!options_.client_ca_file.empty()) {
    const char* file = options_.client_ca_file.c_str();
    if (SSL_CTX_load_verify_locations(context.get(), file, nullptr) != 1)
      return Status::error(take_openssl_errors("CA bundle")).with_context(options_.client_ca_file);
  } else if (!options_.client_ca_pem.empty()) {
    TRY(trust_pem(context.get(), options_.client_ca_pem));
  }
  if (!options_.client_ca_file.empty() || !options_.client_ca_pem.empty() || !options_.announced_ca_file.empty()) {
    SSL_CTX_set_client_CA_list(context.get(), sk_X509_NAME_new_null());
    for (const std::string& file : {options_.client_ca_file, options_.announced_ca_file}) {
      STACK_OF(X509_NAME)* names = file.empty() ? nullptr : SSL_load_client_CA_file(file.c_str());
      while (names != nullptr && sk_X509_NAME_num(names) > 0) {
        X509_NAME* name = sk_X509_NAME_pop(names);
        sk_X509_NAME_push(SSL_CTX_get_client_CA_list(context.get()), name);
      }
      sk_X509_NAME_free(names);
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, accept_any);
    SSL_CTX_set_verify_depth(context.get(), 8);
  }
  static constexpr unsigned char kSessionContext[] = "knarr";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof(kSessionContext) - 1);
  // Tickets keep the state with the client; the cache in memory would only grow.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
  return context;
}

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::make(TlsServerOptions options) {
  std::shared_ptr<TlsServerContext> context(new TlsServerContext(std::move(options)));
  Status loaded = context->load();
  if (!loaded.ok() && !context->options_.may_come_later) return loaded;
  return context;
}

TlsClientContext::TlsClientContext(TlsClientOptions options)
    : ReloadingContext(non_empty({options.ca_file, options.cert_file, options.key_file})),
      options_(std::move(options)) {}

Result<SslContextPtr> TlsClientContext::build() const {
  TRY_ASSIGN(SslContextPtr context, new_context(TLS_client_method()));
  if (!options_.cert_pem.empty()) {
    TRY(use_pem_pair(context.get(), options_.cert_pem, options_.key_pem));
  } else if (!options_.cert_file.empty()) {
    TRY(use_file_pair(context.get(), options_.cert_file, options_.key_file));
  }
  if (options_.insecure_skip_verify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    return context;
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!options_.ca_pem.empty()) {
    TRY(trust_pem(context.get(), options_.ca_pem));
  } else if (!options_.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), options_.ca_file.c_str(), nullptr) != 1)
      return Status::error(take_openssl_errors("CA bundle")).with_context(options_.ca_file);
  } else {
    SSL_CTX_set_default_verify_paths(context.get());
  }
  // Go trusts any certificate of the bundle, self-signed or not.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
  return context;
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::make(TlsClientOptions options) {
  std::shared_ptr<TlsClientContext> context(new TlsClientContext(std::move(options)));
  TRY(context->load());
  return context;
}

void look_again(TlsClientContext& context) { context.look_again(); }

Result<std::shared_ptr<TlsServerContext>> make_tls_server_context(TlsServerOptions options) {
  return TlsServerContext::make(std::move(options));
}

Result<std::shared_ptr<TlsClientContext>> make_tls_client_context(TlsClientOptions options) {
  return TlsClientContext::make(std::move(options));
}

}  // namespace knarr::net
