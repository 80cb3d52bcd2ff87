// SPDX-License-Identifier: Apache-2.0
// Authentication and authorization of requests to the kubelet: client certificates, TokenReview,
// SubjectAccessReview.
#include <openssl/x509.h>

#include <map>
#include <memory>

#include "api/authentication_v1.h"
#include "api/authorization_v1.h"
#include "kubelet/server/server.h"

namespace knarr::kubelet {
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

// CN is the user, each O a group.
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

class DelegatingAuth final : public ServerAuth {
 public:
  DelegatingAuth(client::Client& client, const Clock& clock, AuthOptions options)
      : client_(client), clock_(clock), options_(std::move(options)) {}

  Task<Result<UserInfo>> authenticate(const net::Request& request) override {
    if (options_.x509 && request.peer != nullptr && request.peer->certificate_verified &&
        !request.peer->certificates.empty()) {
      if (std::optional<UserInfo> user = user_of_certificate(request.peer->certificates.front()))
        co_return std::move(*user);
    }
    std::string_view header = request.headers.get("authorization");
    constexpr std::string_view kBearer = "bearer ";
    bool bearer = header.size() > kBearer.size();
    for (size_t i = 0; bearer && i < kBearer.size(); ++i)
      bearer = (header[i] | 0x20) == (kBearer[i] | 0x20);
    if (options_.webhook && bearer) {
      std::string token(header.substr(kBearer.size()));
      Result<UserInfo> user = co_await review_token(std::move(token));
      co_return user;
    }
    // A token that nobody may check is no anonymous request.
    if (!options_.anonymous || !header.empty()) co_return unauthorized();
    UserInfo anonymous;
    anonymous.name = "system:anonymous";
    anonymous.groups = {"system:unauthenticated"};
    co_return anonymous;
  }

  Task<Status> authorize(UserInfo user, std::string verb, std::string subresource,
                         std::string path) override {
    (void)path;  // every path of the kubelet counts as the node's subresource
    if (options_.always_allow) co_return Status();
    std::string key = user.name + '\0' + user.uid + '\0' + verb + '\0' + subresource;
    for (const std::string& group : user.groups) key += '\0' + group;
    std::string where = "(user=" + user.name + ", verb=" + verb +
                        ", resource=nodes, subresource=" + subresource + ")";
    bool allowed = false;
    if (const bool* known = decisions_.find(key, clock_.mono())) {
      allowed = *known;
    } else {
      Result<bool> answer =
          co_await review_access(std::move(user), std::move(verb), std::move(subresource));
      if (!answer.ok())
        co_return Status::make(500, "InternalError", "Authorization error " + where);
      allowed = *answer;
      decisions_.put(
          key, allowed,
          clock_.mono() + (allowed ? options_.authorized_ttl : options_.unauthorized_ttl));
    }
    if (allowed) co_return Status();
    co_return Status::make(403, "Forbidden", "Forbidden " + where);
  }

 private:
  Task<Result<UserInfo>> review_token(std::string token) {
    if (const UserInfo* known = tokens_.find(token, clock_.mono())) co_return *known;
    api::authentication_v1::TokenReview review;
    review.spec.token = token;
    Result<api::authentication_v1::TokenReview> answer = co_await client_.create(std::move(review));
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
    tokens_.put(token, user, clock_.mono() + options_.token_ttl);
    co_return user;
  }

  Task<Result<bool>> review_access(UserInfo user, std::string verb, std::string subresource) {
    api::authorization_v1::SubjectAccessReview review;
    review.spec.user = user.name;
    review.spec.uid = user.uid;
    for (const std::string& group : user.groups) review.spec.groups.push_back(group);
    for (const auto& [name, values] : user.extra) {
      schema::List<schema::Str>& list = review.spec.extra[name];
      for (const std::string& value : values) list.push_back(value);
    }
    api::authorization_v1::ResourceAttributes attributes;
    attributes.verb = verb;
    attributes.version = "v1";
    attributes.resource = "nodes";
    attributes.subresource = subresource;
    attributes.name = options_.node_name;
    review.spec.resource_attributes = std::move(attributes);
    Result<api::authorization_v1::SubjectAccessReview> answer =
        co_await client_.create(std::move(review));
    if (!answer.ok()) co_return answer.status();
    co_return answer->status.allowed && !answer->status.denied;
  }

  client::Client& client_;
  const Clock& clock_;
  AuthOptions options_;
  Cache<UserInfo> tokens_;
  Cache<bool> decisions_;
};

class AlwaysAllowAuth final : public ServerAuth {
 public:
  Task<Result<UserInfo>> authenticate(const net::Request&) override {
    UserInfo user;
    user.name = "system:anonymous";
    user.groups = {"system:unauthenticated"};
    co_return user;
  }
  Task<Status> authorize(UserInfo, std::string, std::string, std::string) override {
    co_return Status();
  }
};

}  // namespace

std::unique_ptr<ServerAuth> make_delegating_auth(client::Client& client, const Clock& clock,
                                                 AuthOptions options) {
  return std::make_unique<DelegatingAuth>(client, clock, std::move(options));
}
std::unique_ptr<ServerAuth> make_always_allow_auth() { return std::make_unique<AlwaysAllowAuth>(); }

}  // namespace knarr::kubelet
