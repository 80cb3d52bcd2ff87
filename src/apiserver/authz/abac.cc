// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/abac.h"

#include <algorithm>

#include "api/authorization_v1.h"
#include "base/files.h"
#include "schema/json.h"

namespace knarr::apiserver::authz {
namespace {

constexpr std::string_view kVersion = "abac.authorization.kubernetes.io/v1beta1";

bool is_star_or(std::string_view pattern, std::string_view text) { return pattern == "*" || pattern == text; }

bool subject_matches(const AbacPolicy& policy, const User& user) {
  if (policy.user.empty() && policy.group.empty()) return false;
  if (!policy.user.empty() && !is_star_or(policy.user, user.name)) return false;
  return policy.group.empty() || policy.group == "*" || user.in_group(policy.group);
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (is_star_or(pattern, path)) return true;
  if (!pattern.ends_with('*')) return false;
  while (pattern.ends_with('*')) pattern.remove_suffix(1);
  return path.starts_with(pattern);
}

class Abac final : public Authorizer {
 public:
  explicit Abac(std::vector<AbacPolicy> policies) : policies_(std::move(policies)) {}
  Decision authorize(const Attributes& attributes, std::string* reason) override {
    if (std::any_of(policies_.begin(), policies_.end(), [&](const AbacPolicy& policy) { return abac_allows(policy, attributes); })) return Decision::kAllow;
    if (reason != nullptr) *reason = "No policy matched.";
    return Decision::kNoOpinion;
  }
  void add_rules(const User& user, std::string_view ns, GrantedRules& rules) override {
    for (const AbacPolicy& policy : policies_) {
      if (!subject_matches(policy, user) || !is_star_or(policy.namespace_, ns)) continue;
      schema::List<schema::Str> verbs = {"*"};
      if (policy.readonly) verbs = {"get", "list", "watch"};
      if (!policy.resource.empty()) {
        auto& resources = rules.status.resource_rules.emplace_back();
        resources.verbs = verbs;
        resources.api_groups = {schema::Str(policy.api_group)};
        resources.resources = {schema::Str(policy.resource)};
      }
      if (!policy.non_resource_path.empty()) {
        auto& others = rules.status.non_resource_rules.emplace_back();
        others.verbs = verbs;
        others.non_resource_urls = {schema::Str(policy.non_resource_path)};
      }
    }
  }

 private:
  const std::vector<AbacPolicy> policies_;
};

}  // namespace

bool abac_allows(const AbacPolicy& policy, const Attributes& a) {
  if (!subject_matches(policy, a.user)) return false;
  if (policy.readonly && a.verb != "get" && a.verb != "list" && a.verb != "watch") return false;
  if (!a.is_resource) return path_matches(policy.non_resource_path, a.path);
  return is_star_or(policy.namespace_, a.namespace_) && is_star_or(policy.resource, a.resource) && is_star_or(policy.api_group, a.group);
}

Result<std::vector<AbacPolicy>> parse_abac_policies(std::string_view text) {
  std::vector<AbacPolicy> policies;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    auto parsed = json::parse(line);
    std::string where = "line " + std::to_string(number);
    if (!parsed.ok()) return parsed.status().with_context(where);
    if (parsed->at({"apiVersion"}).as_string() != kVersion || parsed->at({"kind"}).as_string() != "Policy")
      return Status::error(where + ": not a Policy of " + std::string(kVersion));
    auto text_of = [&](std::string_view name) { return parsed->at({"spec", name}).as_string(); };
    policies.push_back({text_of("user"), text_of("group"), text_of("namespace"), text_of("resource"), text_of("apiGroup"), text_of("nonResourcePath"),
                        parsed->at({"spec", "readonly"}).as_bool()});
  }
  return policies;
}

Result<std::unique_ptr<Authorizer>> make_abac_authorizer(const std::string& file) {
  if (file.empty()) return Status::error("authorization-mode ABAC requires --authorization-policy-file to be set");
  TRY_ASSIGN(std::string text, read_file(file));
  auto policies = parse_abac_policies(text);
  if (!policies.ok()) return policies.status().with_context(file);
  return std::unique_ptr<Authorizer>(std::make_unique<Abac>(std::move(*policies)));
}

}  // namespace knarr::apiserver::authz
