// SPDX-License-Identifier: Apache-2.0
#include <openssl/x509.h>

#include "apiserver/authn/authenticator.h"

namespace knarr::apiserver::authn {
namespace {

std::string text_of(const X509_NAME_ENTRY* entry) {
  uint8_t* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

}  // namespace

std::optional<User> user_of_certificate(std::string_view der) {
  const auto* data = reinterpret_cast<const uint8_t*>(der.data());
  std::unique_ptr<X509, decltype(&X509_free)> certificate(d2i_X509(nullptr, &data, static_cast<long>(der.size())), X509_free);
  if (certificate == nullptr) return std::nullopt;
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  User user;
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int id = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (id == NID_commonName) user.name = text_of(entry);
    if (id == NID_organizationName) user.groups.push_back(text_of(entry));
  }
  if (user.name.empty()) return std::nullopt;
  return user;
}

}  // namespace knarr::apiserver::authn
