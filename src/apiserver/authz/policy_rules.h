// SPDX-License-Identifier: Apache-2.0
// What RBAC rules mean: which requests one allows, and whether a set of them covers another (upstream: rbac/v1/evaluation_helpers.go and
// component-helpers/auth/rbac/validation). Pure functions; nothing on the way of a request allocates.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/rbac_v1.h"
#include "apiserver/authz/authorizer.h"

namespace knarr::apiserver::authz {

using api::rbac_v1::PolicyRule;
using PolicyRules = schema::List<PolicyRule>;

bool rule_allows(const PolicyRule& rule, const Attributes& attributes);

// The verbs of a rule or of a request as bits, so that most rules are passed over without looking at their texts. A verb that is not one of the
// usual ones shares a bit with all such.
uint32_t verb_bit(std::string_view verb);
uint32_t verb_bits(const PolicyRule& rule);

// Rules with one verb, one resource, one name each, of `wanted`, that no rule of `owned` covers.
std::vector<PolicyRule> uncovered_rules(const std::vector<const PolicyRule*>& owned, const PolicyRules& wanted);
// The same as lines of text, joined and sorted as upstream prints them: {APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}.
std::string describe_rules(const std::vector<PolicyRule>& rules);

}  // namespace knarr::apiserver::authz
