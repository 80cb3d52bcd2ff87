// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/policy_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "apiserver/field_errors.h"

namespace knarr::apiserver::authz {
namespace {

using Texts = schema::List<schema::Str>;
using Words = std::vector<std::string_view>;

constexpr std::string_view kVerbs[] = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind", "escalate"};
constexpr uint32_t kOtherVerb = 1U << std::size(kVerbs);
constexpr uint32_t kAllVerbs = ~0U;

bool has(const Texts& texts, std::string_view wanted) {
  return std::any_of(texts.begin(), texts.end(), [&](const schema::Str& text) { return text == wanted; });
}
bool has_or_star(const Texts& texts, std::string_view wanted) {
  return std::any_of(texts.begin(), texts.end(), [&](const schema::Str& text) { return text == "*" || text == wanted; });
}

// "resource/subresource" without putting it together.
bool is_path(std::string_view text, std::string_view resource, std::string_view subresource) {
  if (subresource.empty()) return text == resource;
  return text.size() == resource.size() + 1 + subresource.size() && text.starts_with(resource) && text[resource.size()] == '/' &&
         text.ends_with(subresource);
}

bool resource_matches(const PolicyRule& rule, std::string_view resource, std::string_view subresource) {
  return std::any_of(rule.resources.begin(), rule.resources.end(), [&](std::string_view text) {
    return text == "*" || is_path(text, resource, subresource) || (!subresource.empty() && is_path(text, "*", subresource));
  });
}

bool path_covers(std::string_view owned, std::string_view path) {
  if (owned == path) return true;
  if (!owned.ends_with('*')) return false;
  while (owned.ends_with('*')) owned.remove_suffix(1);
  return path.starts_with(owned);
}

bool resource_covers(const PolicyRule& owned, std::string_view resource) {
  if (has_or_star(owned.resources, resource)) return true;
  size_t slash = resource.find('/');
  return slash != std::string_view::npos && has(owned.resources, "*" + std::string(resource.substr(slash)));
}

// One atom of a rule: what is asked for at the finest grain. A name or a path is absent when null.
struct Atom {
  std::string_view verb;
  const schema::Str *group = nullptr, *resource = nullptr, *name = nullptr, *path = nullptr;
};

bool covers(const PolicyRule& owned, const Atom& atom) {
  if (!has_or_star(owned.verbs, atom.verb)) return false;
  if (atom.path != nullptr)
    return owned.resource_names.empty() && std::any_of(owned.non_resource_urls.begin(), owned.non_resource_urls.end(),
                                                       [&](std::string_view path) { return path_covers(path, *atom.path); });
  if (!has_or_star(owned.api_groups, *atom.group) || !resource_covers(owned, *atom.resource)) return false;
  return owned.resource_names.empty() || (atom.name != nullptr && has(owned.resource_names, *atom.name));
}

template <class Visit>
void break_down(const PolicyRule& rule, Visit visit) {
  for (const auto& group : rule.api_groups)
    for (const auto& resource : rule.resources)
      for (const auto& verb : rule.verbs) {
        if (rule.resource_names.empty()) visit(Atom{verb, &group, &resource, nullptr, nullptr});
        for (const auto& name : rule.resource_names) visit(Atom{verb, &group, &resource, &name, nullptr});
      }
  for (const auto& path : rule.non_resource_urls)
    for (const auto& verb : rule.verbs) visit(Atom{verb, nullptr, nullptr, nullptr, &path});
}

PolicyRule rule_of(const Atom& atom) {
  PolicyRule rule;
  rule.verbs.push_back(atom.verb);
  if (atom.group != nullptr) rule.api_groups.push_back(*atom.group);
  if (atom.resource != nullptr) rule.resources.push_back(*atom.resource);
  if (atom.name != nullptr) rule.resource_names.push_back(*atom.name);
  if (atom.path != nullptr) rule.non_resource_urls.push_back(*atom.path);
  return rule;
}

void add_part(std::string& text, std::string_view name, const Texts& values) {
  if (values.empty()) return;
  if (text.size() > 1) text += ", ";
  text.append(name).append(":[");
  for (size_t i = 0; i < values.size(); ++i) text += (i == 0 ? "" : " ") + quoted(values[i]);
  text += "]";
}

std::string describe(const PolicyRule& rule) {
  std::string text = "{";
  add_part(text, "APIGroups", rule.api_groups);
  add_part(text, "Resources", rule.resources);
  add_part(text, "NonResourceURLs", rule.non_resource_urls);
  add_part(text, "ResourceNames", rule.resource_names);
  add_part(text, "Verbs", rule.verbs);
  return text + "}";
}

}  // namespace

uint32_t verb_bit(std::string_view verb) {
  for (size_t i = 0; i < std::size(kVerbs); ++i)
    if (kVerbs[i] == verb) return 1U << i;
  return kOtherVerb;
}

uint32_t verb_bits(const PolicyRule& rule) {
  uint32_t bits = 0;
  for (const auto& verb : rule.verbs) bits |= verb == "*" ? kAllVerbs : verb_bit(verb);
  return bits;
}

bool rule_allows(const PolicyRule& rule, const Attributes& attributes) {
  if (!has_or_star(rule.verbs, attributes.verb)) return false;
  if (!attributes.is_resource)
    return std::any_of(rule.non_resource_urls.begin(), rule.non_resource_urls.end(),
                       [&](std::string_view path) { return path == "*" || path_covers(path, attributes.path); });
  return has_or_star(rule.api_groups, attributes.group) && resource_matches(rule, attributes.resource, attributes.subresource) &&
         (rule.resource_names.empty() || has(rule.resource_names, attributes.name));
}

std::vector<PolicyRule> uncovered_rules(const std::vector<const PolicyRule*>& owned, const PolicyRules& wanted) {
  std::vector<PolicyRule> missing;
  for (const PolicyRule& rule : wanted)
    break_down(rule, [&](const Atom& atom) {
      bool covered = std::any_of(owned.begin(), owned.end(), [&](const PolicyRule* each) { return covers(*each, atom); });
      if (!covered) missing.push_back(rule_of(atom));
    });
  return missing;
}

std::string describe_rules(const std::vector<PolicyRule>& rules) {
  // Rules that differ by their verb only become one.
  using Key = std::tuple<std::string_view, std::string_view, bool, std::string_view>;
  std::map<Key, PolicyRule> simple;
  std::set<std::string> lines;
  for (const PolicyRule& rule : rules) {
    if (rule.api_groups.size() != 1 || rule.resources.size() != 1 || rule.resource_names.size() > 1 || !rule.non_resource_urls.empty()) {
      lines.insert(describe(rule));
      continue;
    }
    bool named = !rule.resource_names.empty();
    auto [at, fresh] = simple.try_emplace(Key(rule.api_groups[0], rule.resources[0], named, named ? rule.resource_names[0].view() : ""), rule);
    if (fresh) continue;
    for (const auto& verb : rule.verbs) at->second.verbs.push_back(verb);
  }
  for (const auto& [key, rule] : simple) lines.insert(describe(rule));
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace knarr::apiserver::authz
