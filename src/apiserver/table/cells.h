// SPDX-License-Identifier: Apache-2.0
// Cells of the kinds whose columns are more than fields: one row function a kind, giving its columns in their order, the wide ones too.
// What they say is what upstream's printers say.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "api/meta_v1.h"
#include "base/clock.h"
#include "schema/json.h"

namespace knarr::apiserver::table {

using Row = std::vector<json::Value>;

struct CellsEntry {
  const schema::Type* type;
  void (*row)(const void* object, WallTime now, Row& row);
};
std::span<const CellsEntry> core_cells();
std::span<const CellsEntry> workload_cells();
std::span<const CellsEntry> other_cells();

// Typed row function -> entry: entry<Pod, &pod_row>().
template <class T, void (*F)(const T&, WallTime, Row&)>
CellsEntry entry() {
  return {&T::table(), [](const void* object, WallTime now, Row& row) { F(*static_cast<const T*>(object), now, row); }};
}

// "5m30s", "3d4h": a duration for people (upstream's duration.HumanDuration).
std::string human_duration(int64_t seconds);
// Since `time`; "<unknown>" for a zero time.
std::string age(schema::Time time, WallTime now);
std::string age(schema::MicroTime time, WallTime now);
inline std::string age_of(const api::meta_v1::ObjectMeta& metadata, WallTime now) { return age(metadata.creation_timestamp, now); }

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string or_none(std::string_view text);   // "<none>" for ""
// "a=b,c=d", "<none>" when empty.
std::string format_labels(const schema::Map<schema::Str>& labels);
std::string format_selector(const schema::Box<api::meta_v1::LabelSelector>& selector);
// Containers and Images columns.
void add_containers(const schema::List<api::core_v1::Container>& containers, Row& row);
std::string access_modes(const schema::List<schema::Str>& modes);
// The first three, then "+ N more...".
std::string first_three(const std::vector<std::string>& all);
std::string quantity_text(const schema::Map<schema::Quantity>& amounts, std::string_view name);  // "0" when absent

}  // namespace knarr::apiserver::table
