// SPDX-License-Identifier: Apache-2.0
// Cells against what upstream's printers make of the same objects (testdata/tables.yaml), and the durations that ages are written in.
#include <gtest/gtest.h>

#include <filesystem>

#include "apiserver/table.h"
#include "apiserver/table/cells.h"
#include "base/files.h"
#include "schema/codec.h"
#include "schema/time.h"

namespace knarr::apiserver {
namespace {

namespace fs = std::filesystem;

std::string test_data() {
  for (fs::path at = fs::current_path(); at.has_relative_path(); at = at.parent_path())
    if (fs::exists(at / "src/apiserver/testdata/tables.yaml")) return (at / "src/apiserver/testdata/tables.yaml").string();
  return "src/apiserver/testdata/tables.yaml";
}

std::string cells_of(const json::Value& document, WallTime now) {
  const std::string& api_version = document.at({"apiVersion"}).as_string();
  const schema::Resource* resource = schema::find_resource_of_kind(api_version, document.at({"kind"}).as_string());
  if (resource == nullptr) return "unknown kind";
  schema::Object object(*resource->type);
  Status decoded = schema::decode_json(json::to_string(document), *resource->type, object.data());
  if (!decoded.ok()) return std::string(decoded.message());
  const void* pointer = object.data();
  RenderedTable table = render_table(TableInput{*resource, {&pointer, 1}, now});
  EXPECT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].size(), table.columns.size());
  std::string text = "[";
  for (const json::Value& cell : table.rows[0]) text += (text.size() > 1 ? ", " : "") + json::to_string(cell);
  return text + "]";
}

TEST(Table, CellsAreThoseOfUpstreamsPrinters) {
  auto text = read_file(test_data());
  ASSERT_TRUE(text.ok()) << text.status().message();
  auto as_json = schema::yaml_to_json(*text);
  ASSERT_TRUE(as_json.ok()) << as_json.status().message();
  auto document = json::parse(*as_json);
  ASSERT_TRUE(document.ok());
  WallTime now = schema::to_wall(*schema::parse_time("2024-06-01T12:00:00Z"));
  const auto& cases = document->at({"cases"}).items();
  ASSERT_GT(cases.size(), 100u);
  for (const json::Value& one : cases) {
    std::string expected = "[";
    for (const json::Value& cell : one.at({"cells"}).items()) expected += (expected.size() > 1 ? ", " : "") + json::to_string(cell);
    expected += "]";
    const json::Value& object = one.at({"object"});
    EXPECT_EQ(cells_of(object, now), expected) << object.at({"apiVersion"}).as_string() << " " << object.at({"kind"}).as_string() << " "
                                               << object.at({"metadata", "name"}).as_string();
  }
}

TEST(Table, EveryServedResourceHasAsManyCellsAsColumns) {
  for (const schema::Resource& resource : schema::builtin_resources()) {
    if (resource.list_type == nullptr) continue;
    schema::Object object(*resource.type);
    const void* pointer = object.data();
    RenderedTable table = render_table(TableInput{resource, {&pointer, 1}, WallTime()});
    ASSERT_EQ(table.rows.size(), 1u) << resource.plural;
    EXPECT_EQ(table.rows[0].size(), table.columns.size()) << resource.plural;
    ASSERT_FALSE(table.columns.empty()) << resource.plural;
  }
}

TEST(Table, DurationsForPeople) {
  const std::pair<int64_t, const char*> cases[] = {
      {-2, "<invalid>"}, {-1, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {599, "9m59s"}, {600, "10m"}, {10799, "179m"}, {10800, "3h"},
      {28799, "7h59m"}, {28800, "8h"}, {172799, "47h"}, {172800, "2d"}, {691199, "7d23h"}, {691200, "8d"}, {63072000, "2y"}, {252288000, "8y"}};
  for (const auto& [seconds, text] : cases) EXPECT_EQ(table::human_duration(seconds), text) << seconds;
}

}  // namespace
}  // namespace knarr::apiserver
