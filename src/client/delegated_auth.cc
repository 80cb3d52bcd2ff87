// SPDX-License-Identifier: Apache-2.0
#include "client/delegated_auth.h"

#include <openssl/x509.h>

#include <algorithm>
#include <map>

#include "api/authentication_v1.h"
#include "api/authorization_v1.h"

namespace knarr::client {
namespace {

constexpr size_t kMaxCached = 4096;

Status unauthorized() { return Status::make(401, "Unauthorized", "Unauthorized"); }

std::string text_of(const X509_NAME_ENTRY* entry) {
  unsigned char* utf8 = nullptr;
  int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

// Answers that stay good for a while. Bounded: when full, it begins anew.
template <class Value>
class Cache {
 public:
  const Value* find(const std::string& key, MonoTime now) const {
    auto at = entries_.find(key);
    return at == entries_.end() || now >= at->second.until ? nullptr : &at->second.value;
  }
  void put(const std::string& key, Value value, MonoTime until) {
    if (entries_.size() >= kMaxCached) entries_.clear();
    entries_[key] = {std::move(value), until};
  }

 private:
  struct Entry {
    Value value;
    MonoTime until;
  };
  std::map<std::string, Entry> entries_;
};

// The token of "Bearer TOKEN", the scheme in any case.
std::string bearer_token(std::string_view header) {
  constexpr std::string_view kBearer = "bearer ";
  if (header.size() <= kBearer.size()) return {};
  for (size_t i = 0; i < kBearer.size(); ++i)
    if ((header[i] | 0x20) != (kBearer[i] | 0x20)) return {};
  return std::string(header.substr(kBearer.size()));
}

api::authorization_v1::SubjectAccessReview review_of(const UserInfo& user, const AccessQuestion& question) {
  api::authorization_v1::SubjectAccessReview review;
  review.spec.user = user.name;
  review.spec.uid = user.uid;
  for (const std::string& group : user.groups) review.spec.groups.push_back(group);
  for (const auto& [name, values] : user.extra) {
    schema::List<schema::Str>& list = review.spec.extra[name];
    for (const std::string& value : values) list.push_back(value);
  }
  if (question.resource.empty()) {
    api::authorization_v1::NonResourceAttributes attributes;
    attributes.verb = question.verb;
    attributes.path = question.path;
    review.spec.non_resource_attributes = std::move(attributes);
    return review;
  }
  api::authorization_v1::ResourceAttributes attributes;
  attributes.verb = question.verb;
  attributes.group = question.group;
  attributes.version = question.version;
  attributes.resource = question.resource;
  attributes.subresource = question.subresource;
  attributes.name = question.name;
  review.spec.resource_attributes = std::move(attributes);
  return review;
}

}  // namespace

std::optional<UserInfo> user_of_certificate(const std::string& der) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  std::unique_ptr<X509, decltype(&X509_free)> certificate(
      d2i_X509(nullptr, &data, static_cast<long>(der.size())), X509_free);
  if (certificate == nullptr) return std::nullopt;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  UserInfo user;
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid == NID_commonName) user.name = text_of(entry);
    if (nid == NID_organizationName) user.groups.push_back(text_of(entry));
  }
  if (user.name.empty()) return std::nullopt;
  user.groups.emplace_back("system:authenticated");
  return user;
}

struct DelegatedAuth::Impl {
  Client* client;
  const Clock& clock;
  const DelegatedAuthOptions options;
  Cache<UserInfo> tokens;
  Cache<bool> decisions;

  static Task<Result<UserInfo>> review_token(Impl* self, std::string token) {
    if (const UserInfo* known = self->tokens.find(token, self->clock.mono())) co_return *known;
    if (self->client == nullptr) co_return unauthorized();
    api::authentication_v1::TokenReview review;
    review.spec.token = token;
    auto answer = co_await self->client->create(std::move(review));
    if (!answer.ok() || !answer->status.authenticated) co_return unauthorized();
    UserInfo user;
    user.name = answer->status.user.username.str();
    user.uid = answer->status.user.uid.str();
    for (const schema::Str& group : answer->status.user.groups) user.groups.push_back(group.str());
    for (const auto& entry : answer->status.user.extra) {
      std::vector<std::string> values;
      for (const schema::Str& value : entry.value) values.push_back(value.str());
      user.extra.emplace_back(entry.key.str(), std::move(values));
    }
    self->tokens.put(token, user, self->clock.mono() + self->options.token_ttl);
    co_return user;
  }
};

DelegatedAuth::DelegatedAuth(Client* client, const Clock& clock, DelegatedAuthOptions options)
    : impl_(new Impl{client, clock, std::move(options), {}, {}}) {}
DelegatedAuth::~DelegatedAuth() = default;

Task<Result<UserInfo>> DelegatedAuth::authenticate(const net::Request& request) {
  const DelegatedAuthOptions& options = impl_->options;
  if (options.x509 && request.peer != nullptr && request.peer->certificate_verified && !request.peer->certificates.empty()) {
    if (std::optional<UserInfo> user = user_of_certificate(request.peer->certificates.front())) co_return std::move(*user);
  }
  std::string_view header = request.headers.get("authorization");
  std::string token = bearer_token(header);
  if (options.token_review && !token.empty()) {
    Result<UserInfo> user = co_await Impl::review_token(impl_.get(), std::move(token));
    co_return user;
  }
  // A token that nobody may check is no anonymous request.
  if (!options.anonymous || !header.empty()) co_return unauthorized();
  UserInfo anonymous;
  anonymous.name = "system:anonymous";
  anonymous.groups = {"system:unauthenticated"};
  co_return anonymous;
}

Task<Result<bool>> DelegatedAuth::is_allowed(UserInfo user, AccessQuestion question) {
  for (const std::string& group : impl_->options.privileged_groups)
    if (std::find(user.groups.begin(), user.groups.end(), group) != user.groups.end()) co_return true;
  if (impl_->client == nullptr) co_return false;
  std::string key = user.name;
  for (const std::string* part : {&user.uid, &question.verb, &question.path, &question.resource, &question.subresource, &question.name})
    key += '\0' + *part;
  for (const std::string& group : user.groups) key += '\0' + group;
  if (const bool* known = impl_->decisions.find(key, impl_->clock.mono())) co_return *known;
  auto review = review_of(user, question);
  auto answer = co_await impl_->client->create(std::move(review));
  if (!answer.ok()) co_return answer.status();
  bool allowed = answer->status.allowed && !answer->status.denied;
  impl_->decisions.put(key, allowed, impl_->clock.mono() + (allowed ? impl_->options.authorized_ttl : impl_->options.unauthorized_ttl));
  co_return allowed;
}

}  // namespace knarr::client
