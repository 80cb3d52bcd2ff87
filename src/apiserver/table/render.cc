// SPDX-License-Identifier: Apache-2.0
// The generic part: columns are data (api/columns/), cells are fields of the object or come from the kind's row function.
#include <absl/container/flat_hash_map.h>

#include "apiserver/table.h"
#include "apiserver/table/cells.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

using schema::Field;
using schema::Kind;
using schema::Shape;
using schema::Type;
using table::Row;

constexpr schema::Column kDefaultColumns[] = {
    {"Name", "string", "name", "", 0, ".metadata.name"},
    {"Created At", "date", "", "", 0, ".metadata.creationTimestamp"},
};

json::Value scalar(const schema::Column& column, Kind kind, const void* value, WallTime now) {
  switch (kind) {
    case Kind::kBool: return *static_cast<const bool*>(value);
    case Kind::kInt32: return *static_cast<const int32_t*>(value);
    case Kind::kInt64: return *static_cast<const int64_t*>(value);
    case Kind::kString: return static_cast<const schema::Str*>(value)->view();
    case Kind::kQuantity: return static_cast<const schema::Quantity*>(value)->text.empty() ? std::string_view("0")
                                                                                          : static_cast<const schema::Quantity*>(value)->text.view();
    case Kind::kTime: {
      schema::Time time = *static_cast<const schema::Time*>(value);
      return column.type == "date" ? schema::format_time(time) : table::age(time, now);
    }
    default: return nullptr;
  }
}

// Walks ".a.b.c" from `object`. `count` asks for the number of elements of the last field.
json::Value cell_at(const schema::Column& column, const Type& root, const void* object, WallTime now) {
  std::string_view path = column.path;
  bool count = path.starts_with('#');
  if (count) path.remove_prefix(1);
  const Type* type = &root;
  while (path.starts_with('.')) {
    path.remove_prefix(1);
    size_t dot = path.find('.');
    const Field* field = schema::find_field(*type, path.substr(0, dot));
    if (field == nullptr) return nullptr;
    const void* value = schema::field_at(object, *field);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot);
    if (field->shape == Shape::kOptional) {
      value = schema::optional_value(field->kind, value);
      if (value == nullptr) return field->kind == Kind::kString ? json::Value("") : json::Value(nullptr);
    }
    if (path.empty()) {
      if (count) return static_cast<int64_t>(static_cast<const schema::RawList*>(value)->size());
      return scalar(column, field->kind, value, now);
    }
    if (field->kind != Kind::kStruct) return nullptr;
    type = &schema::field_type(*type, *field);
    object = value;
  }
  return nullptr;
}

using RowFunction = void (*)(const void*, WallTime, Row&);

RowFunction row_function(const Type& type) {
  static const absl::flat_hash_map<const Type*, RowFunction> functions = [] {
    absl::flat_hash_map<const Type*, RowFunction> all;
    for (auto cells : {table::core_cells(), table::workload_cells(), table::other_cells()})
      for (const table::CellsEntry& entry : cells) all.emplace(entry.type, entry.row);
    return all;
  }();
  auto at = functions.find(&type);
  return at == functions.end() ? nullptr : at->second;
}

}  // namespace

RenderedTable render_table(const TableInput& input) {
  const schema::Resource& resource = input.resource;
  std::span<const schema::Column> columns = resource.columns.empty() ? std::span<const schema::Column>(kDefaultColumns) : resource.columns;
  RowFunction function = row_function(*resource.type);
  RenderedTable rendered;
  rendered.columns.assign(columns.begin(), columns.end());
  rendered.rows.reserve(input.objects.size());
  for (const void* object : input.objects) {
    Row row;
    row.reserve(columns.size());
    if (function != nullptr && !resource.columns.empty()) {
      function(object, input.now, row);
    } else {
      for (const schema::Column& column : columns) row.push_back(cell_at(column, *resource.type, object, input.now));
    }
    row.resize(columns.size());
    rendered.rows.push_back(std::move(row));
  }
  return rendered;
}

}  // namespace knarr::apiserver
