// SPDX-License-Identifier: Apache-2.0
// Authentication and authorization of requests to the kubelet: every path is a subresource of its node.
#include <memory>

#include "client/delegated_auth.h"
#include "kubelet/server/server.h"

namespace knarr::kubelet {
namespace {

client::DelegatedAuthOptions delegated(const AuthOptions& options) {
  client::DelegatedAuthOptions made;
  made.anonymous = options.anonymous;
  made.x509 = options.x509;
  made.token_review = options.webhook;
  made.token_ttl = options.token_ttl;
  made.authorized_ttl = options.authorized_ttl;
  made.unauthorized_ttl = options.unauthorized_ttl;
  return made;
}

class DelegatingAuth final : public ServerAuth {
 public:
  DelegatingAuth(client::Client& client, const Clock& clock, AuthOptions options)
      : options_(std::move(options)), auth_(&client, clock, delegated(options_)) {}

  Task<Result<UserInfo>> authenticate(const net::Request& request) override { return auth_.authenticate(request); }

  Task<Status> authorize(UserInfo user, std::string verb, std::string subresource, std::string path) override {
    (void)path;
    if (options_.always_allow) co_return Status();
    std::string where = "(user=" + user.name + ", verb=" + verb + ", resource=nodes, subresource=" + subresource + ")";
    client::AccessQuestion question;
    question.verb = std::move(verb);
    question.version = "v1";
    question.resource = "nodes";
    question.subresource = std::move(subresource);
    question.name = options_.node_name;
    auto allowed = co_await auth_.is_allowed(std::move(user), std::move(question));
    if (!allowed.ok()) co_return Status::make(500, "InternalError", "Authorization error " + where);
    if (*allowed) co_return Status();
    co_return Status::make(403, "Forbidden", "Forbidden " + where);
  }

 private:
  const AuthOptions options_;
  client::DelegatedAuth auth_;
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
