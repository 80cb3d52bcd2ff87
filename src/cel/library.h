// SPDX-License-Identifier: Apache-2.0
// The functions and operators of the language: one table, which the checker, the estimate of costs
// and the evaluation read.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cel/type.h"
#include "cel/value.h"

namespace knarr::cel {

// RE2, whose syntax and meaning Go's regexp shares. Bounded memory, linear time.
class Regex {
 public:
  // Null and Go's message ("error parsing regexp: missing closing ): `(`") when the pattern is
  // none.
  static std::shared_ptr<const Regex> compile(std::string_view pattern, std::string& error);
  virtual ~Regex() = default;
  virtual bool matches(std::string_view text) const = 0;
  virtual bool find(std::string_view text, std::string_view& out) const = 0;
  // At most `limit` matches, all when negative.
  virtual std::vector<std::string_view> find_all(std::string_view text, int64_t limit) const = 0;
};

struct Call {
  std::string_view function;
  std::span<const Value> args;  // none of them an error
  Arena& arena;
  const Regex* regex;  // of a constant pattern
  bool& pending;       // set when an authorizer has no answer yet
};
using Implementation = Value (*)(const Call& call);

// What an application costs, at run time (run_cost) and as an estimate (cost.h). From kNominal on
// the function decides, and before that the overload, when there is only one that fits.
enum class Cost : uint8_t {
  kUnit,
  kScanFirst,
  kStringToBytes,
  kBytesToString,
  kInList,
  kCompare,
  kEqual,
  kConcat,
  kAddList,
  kMatches,
  kContains,
  kLogical,
  kConditional,
  kIndexList,
  kIndexMap,
  kNominal,
  kCheck,
  kTraverse,
  kScan,
  kReplace,
  kSplit,
  kJoin,
  kFind,
};
uint64_t run_cost(Cost cost, std::span<const Value> args, Arena& arena);
// join is the one function that pays for its result.
uint64_t run_cost_of_result(Cost cost, const Value& result);

enum class Library : uint8_t {
  kStandard,
  kStrings,
  kUrls,
  kRegex,
  kLists,
  kAuthorizer,
  kQuantity,
  kOptional
};

struct Overload {
  enum Flag : uint8_t {
    kMember = 1,
    kGuarded = 2,      // the values' types must be those of the signature; standard functions find
                       // their way themselves
    kCrossNumber = 4,  // compares numbers of different types
  };
  std::string_view id;
  std::vector<const Type*> params;
  const Type* result;
  uint32_t type_variables;  // how many the signature has, numbered from 0
  Cost cost;
  Implementation call;
  uint8_t flags;
  Library library;

  bool is_member() const { return flags & kMember; }
};

// How the evaluation treats a function.
enum class Special : uint8_t {
  kNone,
  kAnd,
  kOr,
  kConditional,
  kNotStrictlyFalse,
  kEqual,
  kNotEqual,
  kIndex,
  kOptionalIndex,
  kOptionalSelect,
  kOptionalOr,
  kOptionalOrValue,
  kConversion,
  kRegex,
};

struct Function {
  std::string_view name;
  std::vector<Overload> overloads;
  Special special = Special::kNone;
};

// Null when there is none of that name.
const Function* find_function(std::string_view name);
// Calls the function by the run-time types; `resolved` when the checker found the only overload.
Value dispatch(const Function& function, const Overload* resolved, uint32_t libraries,
               const Call& call);

// "no such overload: f", or without the name for receivers of methods, as cel-go words it.
Value no_such_overload(const Call& call);

Value make_optional(const Value& v, Arena& arena);

// Opaque values.
Value opaque_equals(const Value& a, const Value& b);
std::string opaque_text(const Value& v);

// --- The implementations, by file
// ----------------------------------------------------------------------------------------

namespace functions {
// library_standard.cc
Value logical_not(const Call&), less(const Call&), less_equal(const Call&), greater(const Call&),
    greater_equal(const Call&), add(const Call&), subtract(const Call&), multiply(const Call&),
    divide(const Call&), modulo(const Call&), negate(const Call&), size(const Call&),
    in(const Call&), contains(const Call&), starts_with(const Call&), ends_with(const Call&),
    to_dyn(const Call&), to_int(const Call&), to_uint(const Call&), to_double(const Call&),
    to_bool(const Call&), to_string(const Call&), to_bytes(const Call&), to_duration(const Call&),
    to_timestamp(const Call&), to_type(const Call&);
// library_time.cc
Value get_full_year(const Call&), get_month(const Call&), get_day_of_year(const Call&),
    get_day_of_month(const Call&), get_date(const Call&), get_day_of_week(const Call&),
    get_hours(const Call&), get_minutes(const Call&), get_seconds(const Call&),
    get_milliseconds(const Call&);
// library_strings.cc
Value char_at(const Call&), index_of(const Call&), last_index_of(const Call&),
    lower_ascii(const Call&), upper_ascii(const Call&), replace(const Call&), split(const Call&),
    substring(const Call&), trim(const Call&), join(const Call&);
// library_regex.cc
Value matches(const Call&), find(const Call&), find_all(const Call&);
// library_lists.cc
Value is_sorted(const Call&), sum_int(const Call&), sum_uint(const Call&), sum_double(const Call&),
    sum_duration(const Call&), list_min(const Call&), list_max(const Call&),
    list_index_of(const Call&), list_last_index_of(const Call&);
// library_urls.cc
Value url(const Call&), is_url(const Call&), get_scheme(const Call&), get_host(const Call&),
    get_hostname(const Call&), get_port(const Call&), get_escaped_path(const Call&),
    get_query(const Call&);
// library_authorizer.cc
Value authorizer_path(const Call&), authorizer_group(const Call&),
    authorizer_service_account(const Call&), check_resource(const Call&),
    check_subresource(const Call&), check_namespace(const Call&), check_name(const Call&),
    check(const Call&), decision_errored(const Call&), decision_error(const Call&),
    decision_allowed(const Call&), decision_reason(const Call&);
// library_quantity.cc
Value quantity(const Call&), is_quantity(const Call&), quantity_sign(const Call&),
    quantity_is_greater(const Call&), quantity_is_less(const Call&), quantity_compare(const Call&),
    quantity_as_float(const Call&), quantity_as_int(const Call&), quantity_is_int(const Call&),
    quantity_add(const Call&), quantity_sub(const Call&);
// library_optional.cc
Value optional_of(const Call&), optional_of_non_zero(const Call&), optional_none(const Call&),
    optional_value(const Call&), optional_has_value(const Call&);
}  // namespace functions

}  // namespace knarr::cel
