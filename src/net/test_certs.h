// SPDX-License-Identifier: Apache-2.0
// Throw-away certificates for tests: a CA and what it signs. Tests only; includes OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "base/status.h"

namespace knarr::net {

struct TestCert {
  std::string cert_pem, key_pem;
};

class TestCa {
 public:
  explicit TestCa(const std::string& name = "test-ca") : key_(new_key()) {
    cert_ = new_cert(name, "", key_.get(), nullptr, key_.get());
    add(cert_.get(), nullptr, NID_basic_constraints, "critical,CA:TRUE");
    add(cert_.get(), nullptr, NID_key_usage, "critical,keyCertSign,digitalSignature");
    KNARR_CHECK(X509_sign(cert_.get(), key_.get(), EVP_sha256()) > 0);
    pem_ = to_pem(cert_.get());
  }
  const std::string& pem() const { return pem_; }

  // sans: "DNS:localhost,IP:127.0.0.1"; "" for a client certificate.
  TestCert issue(const std::string& common_name, const std::string& sans,
                 const std::string& organization = "") const {
    Key key = new_key();
    Cert cert = new_cert(common_name, organization, key.get(), cert_.get(), key_.get());
    add(cert.get(), cert_.get(), NID_ext_key_usage,
        sans.empty() ? "clientAuth" : "serverAuth,clientAuth");
    if (!sans.empty()) add(cert.get(), cert_.get(), NID_subject_alt_name, sans.c_str());
    KNARR_CHECK(X509_sign(cert.get(), key_.get(), EVP_sha256()) > 0);
    return {to_pem(cert.get()), key_to_pem(key.get())};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* cert) const { X509_free(cert); }
    void operator()(BIO* bio) const { BIO_free_all(bio); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Cert = std::unique_ptr<X509, Free>;
  using Bio = std::unique_ptr<BIO, Free>;

  static Key new_key() { return Key(EVP_EC_gen("P-256")); }

  static Cert new_cert(const std::string& name, const std::string& organization, EVP_PKEY* key,
                       X509* issuer, EVP_PKEY*) {
    static int serial = static_cast<int>(::getpid()) * 100;
    Cert cert(X509_new());
    X509_set_version(cert.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
    X509_NAME* subject = X509_get_subject_name(cert.get());
    auto entry = [subject](const char* field, const std::string& value) {
      X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0);
    };
    if (!organization.empty()) entry("O", organization);
    entry("CN", name);
    X509_set_issuer_name(cert.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
    X509_set_pubkey(cert.get(), key);
    return cert;
  }

  static void add(X509* cert, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == nullptr ? cert : issuer, cert, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    KNARR_CHECK(extension != nullptr);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static std::string drain(BIO* bio) {
    char* data = nullptr;
    long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<size_t>(size));
  }
  static std::string to_pem(X509* cert) {
    Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), cert);
    return drain(bio.get());
  }
  static std::string key_to_pem(EVP_PKEY* key) {
    Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return drain(bio.get());
  }

  Key key_;
  Cert cert_;
  std::string pem_;
};

// A folder that goes away with the object.
class TestFolder {
 public:
  TestFolder() {
    char name[] = "/tmp/knarr-test-XXXXXX";
    KNARR_CHECK(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TestFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  std::string write(const std::string& name, const std::string& text) {
    std::string file = at(name);
    std::ofstream(file, std::ios::trunc) << text;
    return file;
  }
  std::string at(const std::string& name) {
    files_.push_back(path_ + "/" + name);
    return files_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

}  // namespace knarr::net
