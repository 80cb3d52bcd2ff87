// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authn/request_header.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <mutex>

#include "apiserver/authn/authenticator.h"
#include "apiserver/errors.h"
#include "apiserver/field_errors.h"
#include "base/string_map.h"

namespace knarr::apiserver::authn {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* p) const { Free(p); }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;

void free_chain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); }
using Chain = std::unique_ptr<STACK_OF(X509), Freed<free_chain>>;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}
bool same_name(std::string_view a, std::string_view b) { return a.size() == b.size() && lower(a) == lower(b); }
bool has_prefix(std::string_view name, std::string_view prefix) { return name.size() >= prefix.size() && same_name(name.substr(0, prefix.size()), prefix); }

Certificate parse(std::string_view der) {
  const auto* data = reinterpret_cast<const uint8_t*>(der.data());
  return Certificate(d2i_X509(nullptr, &data, static_cast<long>(der.size())));
}

std::string common_name(X509* certificate) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
  return text;
}

}  // namespace

std::optional<User> take_header_user(const RequestHeaderOptions& options, net::Headers& headers) {
  User user;
  for (const std::string& name : options.username_headers) {
    user.name = headers.get(name);
    if (!user.name.empty()) break;
  }
  if (user.name.empty()) return std::nullopt;
  for (const std::string& name : options.group_headers)
    for (const auto& [key, value] : headers.fields())
      if (same_name(key, name) && !value.empty()) user.groups.push_back(value);
  std::vector<std::string> taken;
  for (const std::string& prefix : options.extra_headers_prefix)
    for (const auto& [key, value] : headers.fields()) {
      if (!has_prefix(key, prefix)) continue;
      std::string name = lower(std::string_view(key).substr(prefix.size()));
      auto decoded = net::percent_decode(name);
      user.extra[decoded.ok() ? *decoded : name].push_back(value);
      taken.push_back(key);
    }
  for (const std::vector<std::string>* names : {&options.username_headers, &options.group_headers, &std::as_const(taken)})
    for (const std::string& name : *names) headers.remove(name);
  return user;
}

struct RequestHeaderAuthenticator::Impl {
  Store store;
  RequestHeaderOptions options;
  // What was found of certificates seen lately, by their bytes: most requests come over few connections.
  static constexpr size_t kMaxSeen = 256;
  static constexpr Duration kSeenFor = std::chrono::seconds(60);
  struct Seen {
    std::string problem;  // "" = it is a proxy's
    MonoTime until;
  };
  std::mutex mutex;
  StringMap<Seen> seen;  // guarded by mutex

  std::string problem_of(const std::vector<std::string>& shown) const {
    Certificate leaf = parse(shown[0]);
    if (!leaf) return "x509: malformed certificate";
    Chain others(sk_X509_new_null());
    for (size_t i = 1; i < shown.size(); ++i)
      if (Certificate other = parse(shown[i])) sk_X509_push(others.get(), other.release());
    std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
    if (!context || X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), others.get()) != 1) return "x509: no memory";
    X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
    if (X509_verify_cert(context.get()) != 1) return std::string("x509: ") + X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
    std::string name = common_name(leaf.get());
    const auto& allowed = options.allowed_names;
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), name) == allowed.end())
      return "x509: subject with cn=" + name + " is not in the allowed list";
    return "";
  }

  std::string problem(const std::vector<std::string>& shown) {
    MonoTime now = Clock::real().mono();
    {
      std::lock_guard lock(mutex);
      auto at = seen.find(shown[0]);
      if (at != seen.end() && now < at->second.until) return at->second.problem;
    }
    std::string found = problem_of(shown);
    std::lock_guard lock(mutex);
    if (seen.size() >= kMaxSeen) seen.clear();
    seen.insert_or_assign(shown[0], Seen{found, now + kSeenFor});
    return found;
  }
};

RequestHeaderAuthenticator::RequestHeaderAuthenticator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RequestHeaderAuthenticator::~RequestHeaderAuthenticator() = default;

Result<std::unique_ptr<RequestHeaderAuthenticator>> RequestHeaderAuthenticator::make(const std::string& ca_file, RequestHeaderOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->store.reset(X509_STORE_new());
  if (X509_STORE_load_file(impl->store.get(), ca_file.c_str()) != 1) return Status::error("no CA certificate could be read from " + ca_file);
  return std::unique_ptr<RequestHeaderAuthenticator>(new RequestHeaderAuthenticator(std::move(impl)));
}

Result<std::optional<User>> RequestHeaderAuthenticator::authenticate(net::Request& request) {
  if (request.peer == nullptr || request.peer->certificates.empty()) return std::optional<User>();
  std::string problem = impl_->problem(request.peer->certificates);
  if (!problem.empty()) return unauthorized(problem);
  return take_header_user(impl_->options, request.headers);
}

}  // namespace knarr::apiserver::authn
