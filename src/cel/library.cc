// SPDX-License-Identifier: Apache-2.0
// The table of functions, and what can be read from it.
#include "cel/library.h"

#include <cmath>

#include "base/string_map.h"

namespace knarr::cel {
namespace {

using namespace functions;  // NOLINT: the table below is a list of their names
using enum Cost;
using enum Library;

constexpr uint8_t kMember = Overload::kMember, kGuarded = Overload::kGuarded,
                  kMethod = kMember | kGuarded, kCross = Overload::kCrossNumber;

// A signature is a list of types, ":" and the type of the result. b bool, i int, u uint, d double,
// s string, y bytes, t timestamp, r duration, D dyn, A B type variables, L list of, M map of, T
// type of, O optional of, X and a letter one of Kubernetes' own types.
struct Row {
  const char* function;
  const char* id;
  const char* signature;
  Cost cost = kUnit;
  Implementation call = nullptr;
  uint8_t flags = 0;
  Library library = kStandard;
};

// clang-format off: a row is a line
constexpr Row kRows[] = {
    {"_?_:_", "conditional", "bAA:A", kConditional},
    {"_&&_", "logical_and", "bb:b", kLogical},
    {"_||_", "logical_or", "bb:b", kLogical},
    {"!_", "logical_not", "b:b", kUnit, logical_not},
    {"@not_strictly_false", "not_strictly_false", "b:b", kUnit},
    {"_==_", "equals", "AA:b", kEqual},
    {"_!=_", "not_equals", "AA:b", kEqual},

    {"_-_", "subtract_int64", "ii:i", kUnit, subtract},
    {"_-_", "subtract_uint64", "uu:u", kUnit, subtract},
    {"_-_", "subtract_double", "dd:d", kUnit, subtract},
    {"_-_", "subtract_timestamp_timestamp", "tt:r", kUnit, subtract},
    {"_-_", "subtract_timestamp_duration", "tr:t", kUnit, subtract},
    {"_-_", "subtract_duration_duration", "rr:r", kUnit, subtract},
    {"_*_", "multiply_int64", "ii:i", kUnit, multiply},
    {"_*_", "multiply_uint64", "uu:u", kUnit, multiply},
    {"_*_", "multiply_double", "dd:d", kUnit, multiply},
    {"_/_", "divide_int64", "ii:i", kUnit, divide},
    {"_/_", "divide_uint64", "uu:u", kUnit, divide},
    {"_/_", "divide_double", "dd:d", kUnit, divide},
    {"_%_", "modulo_int64", "ii:i", kUnit, modulo},
    {"_%_", "modulo_uint64", "uu:u", kUnit, modulo},
    {"_+_", "add_int64", "ii:i", kUnit, add},
    {"_+_", "add_uint64", "uu:u", kUnit, add},
    {"_+_", "add_double", "dd:d", kUnit, add},
    {"_+_", "add_string", "ss:s", kConcat, add},
    {"_+_", "add_bytes", "yy:y", kConcat, add},
    {"_+_", "add_list", "LALA:LA", kAddList, add},
    {"_+_", "add_timestamp_duration", "tr:t", kUnit, add},
    {"_+_", "add_duration_timestamp", "rt:t", kUnit, add},
    {"_+_", "add_duration_duration", "rr:r", kUnit, add},
    {"-_", "negate_int64", "i:i", kUnit, negate},
    {"-_", "negate_double", "d:d", kUnit, negate},

    {"_[_]", "index_list", "LAi:A", kIndexList},
    {"_[_]", "index_map", "MABA:B", kIndexMap},
    {"_[_]", "optional_list_index_int", "OLAi:OA", kUnit, nullptr, 0, kOptional},
    {"_[_]", "optional_map_index_optional_value", "OMABA:OB", kUnit, nullptr, 0, kOptional},

    {"size", "string_size", "s:i", kUnit, size, kMember},
    {"size", "bytes_size", "y:i", kUnit, size, kMember},
    {"size", "list_size", "LA:i", kUnit, size, kMember},
    {"size", "map_size", "MAB:i", kUnit, size, kMember},
    {"size", "size_string", "s:i", kUnit, size},
    {"size", "size_bytes", "y:i", kUnit, size},
    {"size", "size_list", "LA:i", kUnit, size},
    {"size", "size_map", "MAB:i", kUnit, size},
    {"@in", "in_list", "ALA:b", kInList, in},
    {"@in", "in_map", "AMAB:b", kUnit, in},
    {"in", "in_list", "ALA:b", kInList, in},
    {"in", "in_map", "AMAB:b", kUnit, in},

    {"type", "type", "A:TA", kUnit, to_type},
    {"int", "int64_to_int64", "i:i", kUnit, to_int},
    {"int", "uint64_to_int64", "u:i", kUnit, to_int},
    {"int", "double_to_int64", "d:i", kUnit, to_int},
    {"int", "string_to_int64", "s:i", kUnit, to_int},
    {"int", "timestamp_to_int64", "t:i", kUnit, to_int},
    {"int", "duration_to_int64", "r:i", kUnit, to_int},
    {"uint", "uint64_to_uint64", "u:u", kUnit, to_uint},
    {"uint", "int64_to_uint64", "i:u", kUnit, to_uint},
    {"uint", "double_to_uint64", "d:u", kUnit, to_uint},
    {"uint", "string_to_uint64", "s:u", kUnit, to_uint},
    {"double", "double_to_double", "d:d", kUnit, to_double},
    {"double", "int64_to_double", "i:d", kUnit, to_double},
    {"double", "uint64_to_double", "u:d", kUnit, to_double},
    {"double", "string_to_double", "s:d", kUnit, to_double},
    {"bool", "bool_to_bool", "b:b", kUnit, to_bool},
    {"bool", "string_to_bool", "s:b", kUnit, to_bool},
    {"string", "string_to_string", "s:s", kUnit, functions::to_string},
    {"string", "bool_to_string", "b:s", kUnit, functions::to_string},
    {"string", "int64_to_string", "i:s", kUnit, functions::to_string},
    {"string", "uint64_to_string", "u:s", kUnit, functions::to_string},
    {"string", "double_to_string", "d:s", kUnit, functions::to_string},
    {"string", "bytes_to_string", "y:s", kBytesToString, functions::to_string},
    {"string", "timestamp_to_string", "t:s", kUnit, functions::to_string},
    {"string", "duration_to_string", "r:s", kUnit, functions::to_string},
    {"bytes", "bytes_to_bytes", "y:y", kUnit, to_bytes},
    {"bytes", "string_to_bytes", "s:y", kStringToBytes, to_bytes},
    {"timestamp", "timestamp_to_timestamp", "t:t", kUnit, to_timestamp},
    {"timestamp", "string_to_timestamp", "s:t", kUnit, to_timestamp},
    {"timestamp", "int64_to_timestamp", "i:t", kUnit, to_timestamp},
    {"duration", "duration_to_duration", "r:r", kUnit, to_duration},
    {"duration", "string_to_duration", "s:r", kUnit, to_duration},
    {"duration", "int64_to_duration", "i:r", kUnit, to_duration},
    {"dyn", "to_dyn", "A:D", kUnit, to_dyn},

    {"contains", "contains_string", "ss:b", kContains, contains, kMember},
    {"endsWith", "ends_with_string", "ss:b", kScanFirst, ends_with, kMember},
    {"matches", "matches", "ss:b", kUnit, matches},
    {"matches", "matches_string", "ss:b", kMatches, matches, kMember},
    {"startsWith", "starts_with_string", "ss:b", kScanFirst, starts_with, kMember},

#define KNARR_CEL_TIME(name, year, call)                                \
  {name, "timestamp_to_" year, "t:i", kUnit, call, kMethod}, {          \
    name, "timestamp_to_" year "_with_tz", "ts:i", kUnit, call, kMethod \
  }
    KNARR_CEL_TIME("getFullYear", "year", get_full_year),
    KNARR_CEL_TIME("getMonth", "month", get_month),
    KNARR_CEL_TIME("getDayOfYear", "day_of_year", get_day_of_year),
    KNARR_CEL_TIME("getDayOfMonth", "day_of_month", get_day_of_month),
    KNARR_CEL_TIME("getDate", "day_of_month_1_based", get_date),
    KNARR_CEL_TIME("getDayOfWeek", "day_of_week", get_day_of_week),
    KNARR_CEL_TIME("getHours", "hours", get_hours),
    {"getHours", "duration_to_hours", "r:i", kUnit, get_hours, kMethod},
    KNARR_CEL_TIME("getMinutes", "minutes", get_minutes),
    {"getMinutes", "duration_to_minutes", "r:i", kUnit, get_minutes, kMethod},
    KNARR_CEL_TIME("getSeconds", "seconds", get_seconds),
    {"getSeconds", "duration_to_seconds", "r:i", kUnit, get_seconds, kMethod},
    KNARR_CEL_TIME("getMilliseconds", "milliseconds", get_milliseconds),
    {"getMilliseconds", "duration_to_milliseconds", "r:i", kUnit, get_milliseconds, kMethod},
#undef KNARR_CEL_TIME

// An order of every pair of numbers, and of what has an order at all.
#define KNARR_CEL_ORDER(name, id, call)                                                          \
  {name, id "_bool", "bb:b", kUnit, call}, {name, id "_int64", "ii:b", kUnit, call},             \
      {name, id "_int64_double", "id:b", kUnit, call, kCross},                                   \
      {name, id "_int64_uint64", "iu:b", kUnit, call, kCross},                                   \
      {name, id "_uint64", "uu:b", kUnit, call},                                                 \
      {name, id "_uint64_double", "ud:b", kUnit, call, kCross},                                  \
      {name, id "_uint64_int64", "ui:b", kUnit, call, kCross},                                   \
      {name, id "_double", "dd:b", kUnit, call},                                                 \
      {name, id "_double_int64", "di:b", kUnit, call, kCross},                                   \
      {name, id "_double_uint64", "du:b", kUnit, call, kCross},                                  \
      {name, id "_string", "ss:b", kCompare, call}, {name, id "_bytes", "yy:b", kCompare, call}, \
      {name, id "_timestamp", "tt:b", kUnit, call}, {                                            \
    name, id "_duration", "rr:b", kUnit, call                                                    \
  }
    KNARR_CEL_ORDER("_<_", "less", less),
    KNARR_CEL_ORDER("_<=_", "less_equals", less_equal),
    KNARR_CEL_ORDER("_>_", "greater", greater),
    KNARR_CEL_ORDER("_>=_", "greater_equals", greater_equal),
#undef KNARR_CEL_ORDER

    {"charAt", "string_char_at_int", "si:s", kUnit, char_at, kMethod, kStrings},
    {"indexOf", "string_index_of_string", "ss:i", kTraverse, index_of, kMethod, kStrings},
    {"indexOf", "string_index_of_string_int", "ssi:i", kTraverse, index_of, kMethod, kStrings},
    {"indexOf", "list_a_index_of_int", "LAA:i", kTraverse, list_index_of, kMethod, kLists},
    {"lastIndexOf", "string_last_index_of_string", "ss:i", kTraverse, last_index_of, kMethod,
     kStrings},
    {"lastIndexOf", "string_last_index_of_string_int", "ssi:i", kTraverse, last_index_of, kMethod,
     kStrings},
    {"lastIndexOf", "list_a_last_index_of_int", "LAA:i", kTraverse, list_last_index_of, kMethod,
     kLists},
    {"lowerAscii", "string_lower_ascii", "s:s", kScan, lower_ascii, kMethod, kStrings},
    {"upperAscii", "string_upper_ascii", "s:s", kScan, upper_ascii, kMethod, kStrings},
    {"replace", "string_replace_string_string", "sss:s", kReplace, replace, kMethod, kStrings},
    {"replace", "string_replace_string_string_int", "sssi:s", kReplace, replace, kMethod, kStrings},
    {"split", "string_split_string", "ss:Ls", kSplit, split, kMethod, kStrings},
    {"split", "string_split_string_int", "ssi:Ls", kSplit, split, kMethod, kStrings},
    {"substring", "string_substring_int", "si:s", kScan, substring, kMethod, kStrings},
    {"substring", "string_substring_int_int", "sii:s", kScan, substring, kMethod, kStrings},
    {"trim", "string_trim", "s:s", kScan, trim, kMethod, kStrings},
    {"join", "list_join", "Ls:s", kJoin, join, kMethod, kStrings},
    {"join", "list_join_string", "Lss:s", kJoin, join, kMethod, kStrings},

    {"find", "string_find_string", "ss:s", kFind, find, kMethod, kRegex},
    {"findAll", "string_find_all_string", "ss:Ls", kFind, find_all, kMethod, kRegex},
    {"findAll", "string_find_all_string_int", "ssi:Ls", kFind, find_all, kMethod, kRegex},

    {"isSorted", "list_int_is_sorted_bool", "Li:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_uint_is_sorted_bool", "Lu:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_double_is_sorted_bool", "Ld:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_bool_is_sorted_bool", "Lb:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_duration_is_sorted_bool", "Lr:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_timestamp_is_sorted_bool", "Lt:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_string_is_sorted_bool", "Ls:b", kTraverse, is_sorted, kMethod, kLists},
    {"isSorted", "list_bytes_is_sorted_bool", "Ly:b", kTraverse, is_sorted, kMethod, kLists},
    {"sum", "list_int_sum_int", "Li:i", kTraverse, sum_int, kMethod, kLists},
    {"sum", "list_uint_sum_uint", "Lu:u", kTraverse, sum_uint, kMethod, kLists},
    {"sum", "list_double_sum_double", "Ld:d", kTraverse, sum_double, kMethod, kLists},
    {"sum", "list_duration_sum_duration", "Lr:r", kTraverse, sum_duration, kMethod, kLists},
#define KNARR_CEL_EXTREME(name, call)                                                        \
  {name, "list_int_" name "_int", "Li:i", kTraverse, call, kMethod, kLists},                 \
      {name, "list_uint_" name "_uint", "Lu:u", kTraverse, call, kMethod, kLists},           \
      {name, "list_double_" name "_double", "Ld:d", kTraverse, call, kMethod, kLists},       \
      {name, "list_bool_" name "_bool", "Lb:b", kTraverse, call, kMethod, kLists},           \
      {name, "list_duration_" name "_duration", "Lr:r", kTraverse, call, kMethod, kLists},   \
      {name, "list_timestamp_" name "_timestamp", "Lt:t", kTraverse, call, kMethod, kLists}, \
      {name, "list_string_" name "_string", "Ls:s", kTraverse, call, kMethod, kLists}, {     \
    name, "list_bytes_" name "_bytes", "Ly:y", kTraverse, call, kMethod, kLists              \
  }
    KNARR_CEL_EXTREME("max", list_max),
    KNARR_CEL_EXTREME("min", list_min),
#undef KNARR_CEL_EXTREME

    {"url", "string_to_url", "s:Xu", kScan, url, kGuarded, kUrls},
    {"isURL", "is_url_string", "s:b", kUnit, is_url, kGuarded, kUrls},
    {"getScheme", "url_get_scheme", "Xu:s", kUnit, get_scheme, kMethod, kUrls},
    {"getHost", "url_get_host", "Xu:s", kUnit, get_host, kMethod, kUrls},
    {"getHostname", "url_get_hostname", "Xu:s", kUnit, get_hostname, kMethod, kUrls},
    {"getPort", "url_get_port", "Xu:s", kUnit, get_port, kMethod, kUrls},
    {"getEscapedPath", "url_get_escaped_path", "Xu:s", kUnit, get_escaped_path, kMethod, kUrls},
    {"getQuery", "url_get_query", "Xu:MsLs", kUnit, get_query, kMethod, kUrls},

    {"path", "authorizer_path", "Xas:Xp", kNominal, authorizer_path, kMethod, kAuthorizer},
    {"group", "authorizer_group", "Xas:Xg", kNominal, authorizer_group, kMethod, kAuthorizer},
    {"serviceAccount", "authorizer_serviceaccount", "Xass:Xa", kNominal, authorizer_service_account,
     kMethod, kAuthorizer},
    {"resource", "groupcheck_resource", "Xgs:Xr", kNominal, check_resource, kMethod, kAuthorizer},
    {"subresource", "resourcecheck_subresource", "Xrs:Xr", kNominal, check_subresource, kMethod,
     kAuthorizer},
    {"namespace", "resourcecheck_namespace", "Xrs:Xr", kNominal, check_namespace, kMethod,
     kAuthorizer},
    {"name", "resourcecheck_name", "Xrs:Xr", kNominal, check_name, kMethod, kAuthorizer},
    {"check", "pathcheck_check", "Xps:Xd", kCheck, check, kMethod, kAuthorizer},
    {"check", "resourcecheck_check", "Xrs:Xd", kCheck, check, kMethod, kAuthorizer},
    {"errored", "decision_errored", "Xd:b", kNominal, decision_errored, kMethod, kAuthorizer},
    {"error", "decision_error", "Xd:s", kNominal, decision_error, kMethod, kAuthorizer},
    {"allowed", "decision_allowed", "Xd:b", kNominal, decision_allowed, kMethod, kAuthorizer},
    {"reason", "decision_reason", "Xd:s", kNominal, decision_reason, kMethod, kAuthorizer},

    {"quantity", "string_to_quantity", "s:Xq", kUnit, quantity, kGuarded, kQuantity},
    {"isQuantity", "is_quantity_string", "s:b", kUnit, is_quantity, kGuarded, kQuantity},
    {"sign", "quantity_sign", "Xq:i", kUnit, quantity_sign, kGuarded, kQuantity},
    {"isGreaterThan", "quantity_is_greater_than", "XqXq:b", kUnit, quantity_is_greater, kMethod,
     kQuantity},
    {"isLessThan", "quantity_is_less_than", "XqXq:b", kUnit, quantity_is_less, kMethod, kQuantity},
    {"compareTo", "quantity_compare_to", "XqXq:i", kUnit, quantity_compare, kMethod, kQuantity},
    {"asApproximateFloat", "quantity_get_float", "Xq:d", kUnit, quantity_as_float, kMethod,
     kQuantity},
    {"asInteger", "quantity_get_int", "Xq:i", kUnit, quantity_as_int, kMethod, kQuantity},
    {"isInteger", "quantity_is_integer", "Xq:b", kUnit, quantity_is_int, kMethod, kQuantity},
    {"add", "quantity_add", "XqXq:Xq", kUnit, quantity_add, kMethod, kQuantity},
    {"add", "quantity_add_int", "Xqi:Xq", kUnit, quantity_add, kMethod, kQuantity},
    {"sub", "quantity_sub", "XqXq:Xq", kUnit, quantity_sub, kMethod, kQuantity},
    {"sub", "quantity_sub_int", "Xqi:Xq", kUnit, quantity_sub, kMethod, kQuantity},

    {"optional.of", "optional_of", "A:OA", kUnit, optional_of, kGuarded, kOptional},
    {"optional.ofNonZeroValue", "optional_ofNonZeroValue", "A:OA", kUnit, optional_of_non_zero,
     kGuarded, kOptional},
    {"optional.none", "optional_none", ":OA", kUnit, optional_none, kGuarded, kOptional},
    {"value", "optional_value", "OA:A", kUnit, optional_value, kMethod, kOptional},
    {"hasValue", "optional_hasValue", "OA:b", kUnit, optional_has_value, kMethod, kOptional},
    {"or", "optional_or_optional", "OAOA:OA", kUnit, nullptr, kMethod, kOptional},
    {"orValue", "optional_orValue_value", "OAA:A", kUnit, nullptr, kMethod, kOptional},
    {"_?._", "select_optional_field", "Ds:OA", kUnit, nullptr, 0, kOptional},
    {"_[?_]", "list_optindex_optional_int", "LAi:OA", kUnit, nullptr, 0, kOptional},
    {"_[?_]", "optional_list_optindex_optional_int", "OLAi:OA", kUnit, nullptr, 0, kOptional},
    {"_[?_]", "map_optindex_optional_value", "MABA:OB", kUnit, nullptr, 0, kOptional},
    {"_[?_]", "optional_map_optindex_optional_value", "OMABA:OB", kUnit, nullptr, 0, kOptional},
};

// clang-format on

constexpr std::pair<std::string_view, Special> kSpecials[] = {
    {"_&&_", Special::kAnd},
    {"_||_", Special::kOr},
    {"_?_:_", Special::kConditional},
    {"@not_strictly_false", Special::kNotStrictlyFalse},
    {"_==_", Special::kEqual},
    {"_!=_", Special::kNotEqual},
    {"_[_]", Special::kIndex},
    {"_[?_]", Special::kOptionalIndex},
    {"_?._", Special::kOptionalSelect},
    {"or", Special::kOptionalOr},
    {"orValue", Special::kOptionalOrValue},
    {"bool", Special::kConversion},
    {"bytes", Special::kConversion},
    {"double", Special::kConversion},
    {"duration", Special::kConversion},
    {"dyn", Special::kConversion},
    {"int", Special::kConversion},
    {"string", Special::kConversion},
    {"timestamp", Special::kConversion},
    {"type", Special::kConversion},
    {"uint", Special::kConversion},
    {"matches", Special::kRegex},
    {"find", Special::kRegex},
    {"findAll", Special::kRegex},
};

class Registry {
 public:
  Registry() {
    for (const Row& row : kRows) add(row);
    for (const auto& [name, special] : kSpecials) functions_.at(name).special = special;
  }
  const Function* find(std::string_view name) const {
    auto found = functions_.find(name);
    return found == functions_.end() ? nullptr : &found->second;
  }

 private:
  void add(const Row& row) {
    Function& function = functions_[row.function];
    function.name = row.function;
    Overload& made = function.overloads.emplace_back();
    made.id = row.id;
    made.cost = row.cost;
    made.call = row.call;
    made.flags = row.flags;
    made.library = row.library;
    made.type_variables = 0;
    const char* at = row.signature;
    while (*at != ':') made.params.push_back(type(at, made.type_variables));
    ++at;
    made.result = type(at, made.type_variables);
  }

  const Type* type(const char*& at, uint32_t& variables) {
    switch (*at++) {
      case 'b':
        return &types::kBool;
      case 'i':
        return &types::kInt;
      case 'u':
        return &types::kUint;
      case 'd':
        return &types::kDouble;
      case 's':
        return &types::kString;
      case 'y':
        return &types::kBytes;
      case 't':
        return &types::kTimestamp;
      case 'r':
        return &types::kDuration;
      case 'D':
        return &types::kDyn;
      case 'L':
        return pool_.list(type(at, variables));
      case 'T':
        return pool_.type_of(type(at, variables));
      case 'O':
        return pool_.optional(type(at, variables));
      case 'M': {
        const Type* key = type(at, variables);
        return pool_.map(key, type(at, variables));
      }
      case 'X':
        return opaque(*at++);
      default: {
        auto number = static_cast<uint32_t>(at[-1] - 'A');
        variables = std::max(variables, number + 1);
        return pool_.var(number);
      }
    }
  }

  static const Type* opaque(char letter) {
    switch (letter) {
      case 'u':
        return &types::kUrl;
      case 'q':
        return &types::kQuantity;
      case 'a':
        return &types::kAuthorizer;
      case 'p':
        return &types::kPathCheck;
      case 'g':
        return &types::kGroupCheck;
      case 'r':
        return &types::kResourceCheck;
      default:
        return &types::kDecision;
    }
  }

  TypePool pool_;
  StringMap<Function> functions_;
};

// Whether a value may stand for a parameter; of lists and maps the first element decides.
bool fits(const Type& type, const Value& value, Arena& arena) {
  using Kind = Type::Kind;
  constexpr std::pair<Kind, Value::Kind> kPlain[] = {{Kind::kNull, Value::Kind::kNull},
                                                     {Kind::kBool, Value::Kind::kBool},
                                                     {Kind::kInt, Value::Kind::kInt},
                                                     {Kind::kUint, Value::Kind::kUint},
                                                     {Kind::kDouble, Value::Kind::kDouble},
                                                     {Kind::kString, Value::Kind::kString},
                                                     {Kind::kBytes, Value::Kind::kBytes},
                                                     {Kind::kDuration, Value::Kind::kDuration},
                                                     {Kind::kTimestamp, Value::Kind::kTimestamp},
                                                     {Kind::kType, Value::Kind::kType},
                                                     {Kind::kOptional, Value::Kind::kOptional}};
  if (type.is_dyn() || type.kind == Kind::kVar) return true;
  for (const auto& [kind, value_kind] : kPlain)
    if (kind == type.kind) return value.is(value_kind);
  if (type.kind == Kind::kList)
    return value.is(Value::Kind::kList) &&
           (list_size(value) == 0 || fits(*type.params[0], list_at(value, 0, arena), arena));
  if (type.kind == Kind::kMap) return value.is(Value::Kind::kMap);
  return value.is(Value::Kind::kOpaque) && value.type_name() == type.name;
}

bool fits(const Overload& overload, const Call& call) {
  if (overload.params.size() != call.args.size()) return false;
  for (size_t i = 0; i < call.args.size(); ++i)
    if (!fits(*overload.params[i], call.args[i], call.arena)) return false;
  return true;
}

}  // namespace

const Function* find_function(std::string_view name) {
  static const Registry registry;
  return registry.find(name);
}

Value dispatch(const Function& function, const Overload* resolved, uint32_t libraries,
               const Call& call) {
  if (!(function.overloads[0].flags & kGuarded)) return function.overloads[0].call(call);
  for (const Overload& overload : function.overloads) {
    if (resolved != nullptr && &overload != resolved) continue;
    if ((libraries >> static_cast<unsigned>(overload.library) & 1) && overload.call != nullptr &&
        fits(overload, call))
      return overload.call(call);
  }
  std::string types;
  for (const Value& arg : call.args)
    types += (types.empty() ? "" : ", ") + std::string(arg.type_name());
  return Value::error(call.arena,
                      "no such overload: " + std::string(function.name) + "(" + types + ")");
}

Value no_such_overload(const Call& call) {
  Value::Kind kind = call.args[0].kind();
  if (kind == Value::Kind::kString || kind == Value::Kind::kDuration ||
      kind == Value::Kind::kTimestamp)
    return no_such_overload();
  return Value::error(call.arena, "no such overload: " + std::string(call.function));
}

// --- Costs
// -----------------------------------------------------------------------------------------------------------------

namespace {

uint64_t tenth(double n) { return static_cast<uint64_t>(std::ceil(n * 0.1)); }

// Of looking at everything in a value. Bytes count here, where elsewhere code points do.
uint64_t traversal(const Value& v, Arena& arena) {
  switch (v.kind()) {
    case Value::Kind::kString:
    case Value::Kind::kBytes:
      return static_cast<uint64_t>(static_cast<double>(v.text().size()) * 0.1);
    case Value::Kind::kList: {
      uint64_t sum = 0;
      for (size_t i = 0, n = list_size(v); i < n; ++i)
        sum += traversal(list_at(v, i, arena), arena);
      return sum;
    }
    case Value::Kind::kMap: {
      uint64_t sum = 0;
      Value keys = map_keys(v, arena);
      for (size_t i = 0, n = list_size(keys); i < n; ++i) {
        Value key = list_at(keys, i, arena), member;
        (void)map_find(v, key, arena, member);
        sum += traversal(key, arena) + traversal(member, arena);
      }
      return sum;
    }
    default:
      return 1;
  }
}

}  // namespace

uint64_t run_cost(Cost cost, std::span<const Value> args, Arena& arena) {
  auto size = [&](size_t i) { return static_cast<double>(cost_size(args[i])); };
  switch (cost) {
    case kScanFirst:
    case kStringToBytes:
    case kBytesToString:
    case kScan:
      return tenth(size(0));
    case kInList:
      return cost_size(args[1]);
    case kCompare:
    case kEqual:
      return tenth(std::min(size(0), size(1)));
    case kConcat:
      return tenth(size(0) + size(1));
    case kMatches:
    case kFind:
      return tenth(1 + size(0)) * static_cast<uint64_t>(std::ceil(size(1) * 0.25));
    case kContains:
      return tenth(size(0)) * tenth(size(1));
    case kCheck:
      return 350000;
    case kTraverse:
      return traversal(args[0], arena);
    case kReplace:
    case kSplit:
      return static_cast<uint64_t>(std::ceil(size(0) * 2 * 0.1));
    case kJoin:
    case kLogical:
    case kConditional:
      return 0;
    default:
      return 1;
  }
}

uint64_t run_cost_of_result(Cost cost, const Value& result) {
  return cost == kJoin
             ? static_cast<uint64_t>(std::ceil(static_cast<double>(cost_size(result)) * 2 * 0.1))
             : 0;
}

}  // namespace knarr::cel
