// SPDX-License-Identifier: Apache-2.0
// A document and a patch, parted by a zero byte, through the three kinds of patch; single texts
// through the small parsers.
#include <cstdlib>

#include "api/core_v1.h"
#include "schema/field_set.h"
#include "schema/patch.h"
#include "schema/quantity.h"
#include "schema/selector.h"
#include "schema/structured_merge.h"
#include "schema/time.h"

using namespace knarr;          // NOLINT
using namespace knarr::schema;  // NOLINT

namespace {

void check(bool condition) {
  if (!condition) std::abort();
}

void check_texts(std::string_view text) {
  if (Result<std::string> canonical = canonical_quantity(text); canonical.ok())
    check(canonical_quantity(*canonical).ok());
  if (Result<QuantityValue> value = QuantityValue::parse(text); value.ok()) {
    (void)value->value();
    check(QuantityValue::parse(value->to_string()).value() == *value);
  }
  if (Result<LabelSelector> selector = LabelSelector::parse(text); selector.ok())
    check(LabelSelector::parse(selector->to_string()).value().to_string() == selector->to_string());
  if (Result<FieldSelector> selector = FieldSelector::parse(text); selector.ok())
    check(FieldSelector::parse(selector->to_string()).ok());
  if (Result<Time> time = parse_time(text); time.ok())
    check(*parse_time(format_time(*time)) == *time);
  if (Result<MicroTime> time = parse_micro_time(text); time.ok())
    check(*parse_micro_time(format_micro_time(*time)) == *time);
  if (Result<int64_t> duration = parse_duration(text); duration.ok())
    check(*parse_duration(format_duration(*duration)) == *duration);
  (void)parse_nano_time(text);
  Arena arena;
  if (Result<FieldSet> set = FieldSet::parse(text, arena); set.ok()) {
    std::string written;
    set->write(written);
    check(*FieldSet::parse(written, arena) == *set);
    check(set->subtract(*set, arena).empty() && set->unite(*set, arena) == *set && set->intersect(*set, arena) == *set);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t cut = text.find('\0');
  if (cut == std::string_view::npos) {
    check_texts(text);
    return 0;
  }
  Result<json::Value> doc = json::parse(text.substr(0, cut)),
                      patch = json::parse(text.substr(cut + 1));
  if (!doc.ok() || !patch.ok()) return 0;
  (void)apply_json_patch(*doc, *patch);
  (void)apply_strategic_patch(*doc, *patch, api::core_v1::Pod::table());
  const Type& pod = api::core_v1::Pod::table();
  (void)check_document(pod, *patch);
  if (auto fields = fields_of(pod, *patch); fields.ok()) {
    (void)remove_fields(pod, *doc, with_named_fields(pod, *fields));
    (void)compare_fields(pod, *doc, *patch);
    (void)merge_documents(pod, *doc, *patch);
  }
  json::Value merged = apply_merge_patch(*doc, *patch);
  if (!doc->is_object() || !patch->is_object()) return 0;
  // Applied again it changes nothing more, but for nulls inside lists, which upstream prunes only
  // when the list replaces a non-object.
  json::Value twice = apply_merge_patch(merged, *patch);
  check(apply_merge_patch(twice, *patch) == twice);
  return 0;
}
