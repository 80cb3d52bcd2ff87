// SPDX-License-Identifier: Apache-2.0
#include "apiserver/strategy/certificate_request.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "apiserver/field_errors.h"

namespace knarr::apiserver {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

// One PEM block; false at the end of the text.
struct Block {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  ~Block() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  bool read(BIO* bio) { return PEM_read_bio(bio, &name, &header, &data, &size) == 1; }
};

std::vector<std::string> entries(X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, nid, at)) {
    unsigned char* text = nullptr;
    int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size >= 0) out.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(size));
    OPENSSL_free(text);
  }
  return out;
}

}  // namespace

CertificateRequestInfo read_certificate_request(std::string_view pem) {
  CertificateRequestInfo info;
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Block block;
  if (bio == nullptr || !block.read(bio.get()) ||
      std::string_view(block.name) != "CERTIFICATE REQUEST") {
    info.problem = "PEM block type must be CERTIFICATE REQUEST";
    return info;
  }
  const unsigned char* at = block.data;
  Request request(d2i_X509_REQ(nullptr, &at, block.size));
  if (request == nullptr) {
    info.problem = "asn1: structure error: malformed certificate request";
    return info;
  }
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1)
    info.problem = "x509: signature of the certificate request does not verify";
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  std::vector<std::string> names = entries(subject, NID_commonName);
  if (!names.empty()) info.common_name = names.back();
  info.organizations = entries(subject, NID_organizationName);
  return info;
}

std::string certificate_chain_problem(std::string_view pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int blocks = 0;
  for (;; ++blocks) {
    Block block;
    if (bio == nullptr || !block.read(bio.get())) break;
    if (std::string_view(block.name) != "CERTIFICATE")
      return "only CERTIFICATE PEM blocks are allowed, found " + quoted(block.name);
    if (std::string_view(block.header) != "") return "no PEM block headers are permitted";
    const unsigned char* at = block.data;
    Certificate certificate(d2i_X509(nullptr, &at, block.size));
    if (certificate == nullptr) return "x509: malformed certificate";
  }
  return blocks == 0 ? "must contain at least one CERTIFICATE PEM block" : "";
}

}  // namespace knarr::apiserver
