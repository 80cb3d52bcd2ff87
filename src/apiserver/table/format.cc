// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "apiserver/table/cells.h"
#include "schema/selector.h"

namespace knarr::apiserver::table {

std::string human_duration(int64_t seconds) {
  auto text = [](int64_t n, const char* unit) { return std::to_string(n) + unit; };
  auto pair = [&](int64_t big, const char* big_unit, int64_t small, const char* small_unit) {
    return small == 0 ? text(big, big_unit) : text(big, big_unit) + text(small, small_unit);
  };
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60 * 2) return text(seconds, "s");
  int64_t minutes = seconds / 60;
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (minutes < 60 * 3) return text(minutes, "m");
  int64_t hours = minutes / 60;
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return text(hours, "h");
  int64_t days = hours / 24;
  if (hours < 24 * 8) return pair(days, "d", hours % 24, "h");
  if (hours < 24 * 365 * 2) return text(days, "d");
  if (hours < 24 * 365 * 8) return pair(days / 365, "y", days % 365, "d");
  return text(days / 365, "y");
}

namespace {
int64_t unix_seconds(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count(); }
}  // namespace

std::string age(schema::Time time, WallTime now) {
  return time.is_zero() ? "<unknown>" : human_duration(unix_seconds(now) - time.unix_seconds());
}
std::string age(schema::MicroTime time, WallTime now) {
  return time.is_zero() ? "<unknown>" : human_duration(unix_seconds(now) - time.unix_micros() / 1000000);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string or_none(std::string_view text) { return text.empty() ? "<none>" : std::string(text); }

std::string format_labels(const schema::Map<schema::Str>& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(key.str() + "=" + value.str());
  return or_none(join(parts, ","));
}

std::string format_selector(const schema::Box<api::meta_v1::LabelSelector>& selector) {
  Result<schema::LabelSelector> parsed = schema::LabelSelector::from(selector.get());
  if (!parsed.ok()) return "<error>";
  return or_none(parsed->to_string());
}

void add_containers(const schema::List<api::core_v1::Container>& containers, Row& row) {
  std::vector<std::string> names, images;
  for (const auto& container : containers) {
    names.push_back(container.name.str());
    images.push_back(container.image.str());
  }
  row.emplace_back(join(names, ","));
  row.emplace_back(join(images, ","));
}

std::string access_modes(const schema::List<schema::Str>& modes) {
  static constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  std::vector<std::string> parts;
  for (const auto& [name, text] : kShort)
    if (std::find(modes.begin(), modes.end(), name) != modes.end()) parts.emplace_back(text);
  return join(parts, ",");
}

std::string first_three(const std::vector<std::string>& all) {
  constexpr size_t kMax = 3;
  if (all.empty()) return "<none>";
  std::vector<std::string> shown(all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), kMax)));
  std::string text = join(shown, ",");
  return all.size() > kMax ? text + " + " + std::to_string(all.size() - kMax) + " more..." : text;
}

std::string quantity_text(const schema::Map<schema::Quantity>& amounts, std::string_view name) {
  const schema::Quantity* amount = amounts.find(name);
  return amount == nullptr || amount->text.empty() ? "0" : amount->text.str();
}

}  // namespace knarr::apiserver::table
