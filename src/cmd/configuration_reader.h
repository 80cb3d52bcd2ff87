// SPDX-License-Identifier: Apache-2.0
// Reading of components' configuration files.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/status.h"
#include "schema/codec.h"
#include "schema/json.h"
#include "schema/quantity.h"
#include "schema/time.h"

namespace knarr::cmd {

// Reads members of one JSON object, remembering the first that has the wrong type.
class ConfigurationReader {
 public:
  explicit ConfigurationReader(const json::Value& object) : object_(object) {}
  Status status;

  // Empty texts, like zero durations, ask for the default.
  void text(std::string_view name, std::string& out) {
    const json::Value* value = member(name, &json::Value::is_string);
    if (value != nullptr && !value->as_string().empty()) out = value->as_string();
  }
  void bytes(std::string_view name, int64_t& out) {
    std::string given;
    text(name, given);
    if (given.empty()) return;
    auto quantity = schema::QuantityValue::parse(given);
    if (!quantity.ok()) return fail(name, quantity.status().message());
    out = quantity->value();
  }
  void flag(std::string_view name, bool& out) {
    if (const json::Value* value = member(name, &json::Value::is_bool)) out = value->as_bool();
  }
  template <class Number>
  void number(std::string_view name, Number& out) {
    if (const json::Value* value = member(name, &json::Value::is_number)) out = static_cast<Number>(value->as_int());
  }
  void duration(std::string_view name, Duration& out) {
    std::string given;
    text(name, given);
    if (given.empty()) return;
    Result<int64_t> nanos = schema::parse_duration(given);
    if (!nanos.ok()) return fail(name, nanos.status().message());
    if (*nanos > 0) out = Duration(*nanos);
  }
  // The same where zero has a meaning.
  void duration_or_zero(std::string_view name, Duration& out) {
    std::string given;
    text(name, given);
    if (given.empty()) return;
    Result<int64_t> nanos = schema::parse_duration(given);
    if (!nanos.ok()) return fail(name, nanos.status().message());
    out = Duration(*nanos);
  }
  void texts(std::string_view name, std::vector<std::string>& out) {
    const json::Value* value = member(name, &json::Value::is_array);
    if (value == nullptr) return;
    out.clear();
    for (const json::Value& item : value->items()) out.push_back(item.as_string());
  }
  void text_map(std::string_view name, std::map<std::string, std::string>& out) {
    const json::Value* value = member(name, &json::Value::is_object);
    if (value == nullptr) return;
    out.clear();
    for (const auto& [key, item] : value->members()) out[std::string(key)] = item.as_string();
  }
  const json::Value* array(std::string_view name) { return member(name, &json::Value::is_array); }
  const json::Value* object(std::string_view name) { return member(name, &json::Value::is_object); }

 private:
  const json::Value* member(std::string_view name, bool (json::Value::*is)() const) {
    const json::Value* value = object_.find(name);
    if (value == nullptr || value->is_null()) return nullptr;
    if ((value->*is)()) return value;
    fail(name, "has the wrong type");
    return nullptr;
  }
  void fail(std::string_view name, std::string_view why) {
    if (status.ok()) status = Status::error(std::string(name) + ": " + std::string(why));
  }
  const json::Value& object_;
};

// The document in a YAML or JSON file that has to be of this kind.
inline Result<json::Value> read_configuration(const std::string& file, std::string_view kind) {
  TRY_ASSIGN(std::string yaml, read_file(file));
  Result<std::string> as_json = schema::yaml_to_json(yaml);
  if (!as_json.ok()) return as_json.status().with_context(file);
  TRY_ASSIGN(json::Value document, json::parse(*as_json));
  if (document.at({"kind"}).as_string() != kind) return Status::error(file + ": kind must be " + std::string(kind));
  return document;
}

}  // namespace knarr::cmd
