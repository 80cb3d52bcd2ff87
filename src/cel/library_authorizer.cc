// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cel/authorizer.h"
#include "cel/library.h"

namespace knarr::cel {
namespace {

constexpr const char* kAuthorizer = "kubernetes.authorization.Authorizer";
constexpr const char* kPathCheck = "kubernetes.authorization.PathCheck";
constexpr const char* kGroupCheck = "kubernetes.authorization.GroupCheck";
constexpr const char* kResourceCheck = "kubernetes.authorization.ResourceCheck";
constexpr const char* kDecision = "kubernetes.authorization.Decision";

// An authorizer, or a question to it as far as it has been asked.
struct Question : Opaque {
  Authorizer* authorizer;
  AccessCheck check;
};

struct Answer : Opaque {
  bool allowed;
  std::string_view reason, error;
};

Value question(Arena& arena, const char* type, Authorizer* authorizer, const AccessCheck& check) {
  return Value::opaque(new (arena.allocate(sizeof(Question))) Question{{type}, authorizer, check});
}

const Question& asked(const Call& call) {
  return *static_cast<const Question*>(call.args[0].as_opaque());
}
const Answer& answered(const Call& call) {
  return *static_cast<const Answer*>(call.args[0].as_opaque());
}

bool is_blank(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
}

// The question with one part more.
Value with(const Call& call, const char* type, std::string_view AccessCheck::*part) {
  AccessCheck check = asked(call).check;
  check.*part = call.args[1].text();
  return question(call.arena, type, asked(call).authorizer, check);
}

bool is_label(std::string_view text, bool dots) {
  auto is_alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || !is_alnum(text.front()) || !is_alnum(text.back())) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_alnum(text[i]) || text[i] == '-') continue;
    if (!dots || text[i] != '.' || !is_alnum(text[i - 1]) || !is_alnum(text[i + 1])) return false;
  }
  return true;
}

}  // namespace

Value authorizer_value(Authorizer& authorizer, Arena& arena) {
  return question(arena, kAuthorizer, &authorizer, {});
}
Value resource_check_value(Authorizer& authorizer, const AccessCheck& request, Arena& arena) {
  AccessCheck check = request;
  check.is_resource = true;
  return question(arena, kResourceCheck, &authorizer, check);
}

namespace functions {

Value authorizer_path(const Call& call) {
  return is_blank(call.args[1].text()) ? Value::error("path must not be empty")
                                       : with(call, kPathCheck, &AccessCheck::path);
}
Value authorizer_group(const Call& call) { return with(call, kGroupCheck, &AccessCheck::group); }

Value authorizer_service_account(const Call& call) {
  std::string_view name_space = call.args[1].text(), name = call.args[2].text();
  if (name.size() > 253 || !is_label(name, true))
    return Value::error("Invalid service account name");
  if (name_space.size() > 63 || !is_label(name_space, false))
    return Value::error("Invalid service account namespace");
  AccessCheck check = asked(call).check;
  check.account_namespace = name_space;
  check.account = name;
  return question(call.arena, kAuthorizer, asked(call).authorizer, check);
}

Value check_resource(const Call& call) {
  if (is_blank(call.args[1].text())) return Value::error("resource must not be empty");
  AccessCheck check = asked(call).check;
  check.is_resource = true;
  check.resource = call.args[1].text();
  return question(call.arena, kResourceCheck, asked(call).authorizer, check);
}
Value check_subresource(const Call& call) {
  return with(call, kResourceCheck, &AccessCheck::subresource);
}
Value check_namespace(const Call& call) {
  return with(call, kResourceCheck, &AccessCheck::name_space);
}
Value check_name(const Call& call) { return with(call, kResourceCheck, &AccessCheck::name); }

Value check(const Call& call) {
  AccessCheck check = asked(call).check;
  check.verb = call.args[1].text();
  Authorizer::Decision decision = asked(call).authorizer->check(check);
  call.pending |= decision.pending;
  return Value::opaque(new (call.arena.allocate(sizeof(Answer)))
                           Answer{{kDecision},
                                  decision.allowed,
                                  call.arena.copy(decision.reason),
                                  call.arena.copy(decision.error)});
}

Value decision_errored(const Call& call) { return Value::boolean(!answered(call).error.empty()); }
Value decision_error(const Call& call) { return Value::string(answered(call).error); }
Value decision_allowed(const Call& call) { return Value::boolean(answered(call).allowed); }
Value decision_reason(const Call& call) { return Value::string(answered(call).reason); }

}  // namespace functions
}  // namespace knarr::cel
