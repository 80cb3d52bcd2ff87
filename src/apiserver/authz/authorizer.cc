// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/authorizer.h"

#include <algorithm>

#include "api/authorization_v1.h"

namespace knarr::apiserver::authz {
namespace {

class AlwaysAllow final : public Authorizer {
 public:
  Decision authorize(const Attributes&, std::string*) override { return Decision::kAllow; }
  void add_rules(const User&, std::string_view, GrantedRules& rules) override {
    auto& resources = rules.status.resource_rules.emplace_back();
    resources.verbs = {"*"};
    resources.api_groups = {"*"};
    resources.resources = {"*"};
    auto& others = rules.status.non_resource_rules.emplace_back();
    others.verbs = {"*"};
    others.non_resource_urls = {"*"};
  }
};

class AlwaysDeny final : public Authorizer {
 public:
  Decision authorize(const Attributes&, std::string* reason) override {
    if (reason != nullptr) *reason = "Everything is forbidden.";
    return Decision::kNoOpinion;
  }
};

class PrivilegedGroup final : public Authorizer {
 public:
  Decision authorize(const Attributes& attributes, std::string*) override {
    return attributes.user.in_group("system:masters") ? Decision::kAllow : Decision::kNoOpinion;
  }
};

class Union final : public Authorizer {
 public:
  explicit Union(std::vector<std::unique_ptr<Authorizer>> members) : members_(std::move(members)) {}

  Decision authorize(const Attributes& attributes, std::string* reason) override {
    std::string reasons, said;
    for (const auto& member : members_) {
      said.clear();
      Decision decision = member->authorize(attributes, reason == nullptr ? nullptr : &said);
      if (decision != Decision::kNoOpinion) {
        if (reason != nullptr) *reason = std::move(said);
        return decision;
      }
      append(reasons, said, "\n");
    }
    if (reason != nullptr) *reason = std::move(reasons);
    return Decision::kNoOpinion;
  }

  Task<Verdict> ask(Attributes attributes) override {
    Verdict all;
    std::vector<std::string> errors;
    for (const auto& member : members_) {
      Verdict one = co_await decide(*member, attributes);
      if (!one.error.empty()) errors.push_back(std::move(one.error));
      if (one.decision != Decision::kNoOpinion) {
        one.error.clear();
        co_return one;
      }
      append(all.reason, one.reason, "\n");
    }
    all.error = aggregate(errors);
    co_return all;
  }

  void add_rules(const User& user, std::string_view ns, GrantedRules& rules) override {
    for (const auto& member : members_) member->add_rules(user, ns, rules);
  }

 private:
  static void append(std::string& all, const std::string& one, std::string_view separator) {
    if (one.empty()) return;
    if (!all.empty()) all += separator;
    all += one;
  }
  const std::vector<std::unique_ptr<Authorizer>> members_;
};

}  // namespace

std::string aggregate(const std::vector<std::string>& errors) {
  std::vector<std::string_view> once;
  for (const std::string& error : errors)
    if (std::find(once.begin(), once.end(), error) == once.end()) once.push_back(error);
  if (once.size() == 1) return std::string(once[0]);
  std::string text;
  for (std::string_view error : once) text.append(text.empty() ? "[" : ", ").append(error);
  return text.empty() ? text : text + "]";
}

Task<Verdict> Authorizer::ask(Attributes attributes) {
  Verdict verdict;
  verdict.decision = authorize(attributes, &verdict.reason);
  co_return verdict;
}

void Authorizer::add_rules(const User&, std::string_view, GrantedRules&) {}

Task<Verdict> decide(Authorizer& authorizer, Attributes attributes) {
  Verdict verdict;
  verdict.decision = authorizer.authorize(attributes, &verdict.reason);
  if (verdict.decision == Decision::kPending) verdict = co_await authorizer.ask(attributes);
  co_return verdict;
}

std::unique_ptr<Authorizer> make_always_allow_authorizer() { return std::make_unique<AlwaysAllow>(); }
std::unique_ptr<Authorizer> make_always_deny_authorizer() { return std::make_unique<AlwaysDeny>(); }
std::unique_ptr<Authorizer> make_privileged_group_authorizer() { return std::make_unique<PrivilegedGroup>(); }
std::unique_ptr<Authorizer> make_union_authorizer(std::vector<std::unique_ptr<Authorizer>> members) {
  return std::make_unique<Union>(std::move(members));
}

}  // namespace knarr::apiserver::authz
