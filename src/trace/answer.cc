// SPDX-License-Identifier: Apache-2.0
#include "trace/answer.h"

#include "net/http.h"
#include "schema/json.h"
#include "trace/timeline.h"

namespace knarr::trace {
namespace {

int64_t nanos(WallTime time) { return time.time_since_epoch().count(); }

Status malformed(std::string_view what) { return Status::make(400, "BadRequest", "not an answer of " + std::string(kPath) + ": " + std::string(what)); }

Result<WallTime> read_time(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  if (value == nullptr || !value->is_int() || value->as_int() < 0) return malformed("no time \"" + std::string(name) + "\"");
  return WallTime(Duration(value->as_int()));
}

std::string read_text(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value == nullptr ? std::string() : value->as_string();
}

}  // namespace

Result<std::string> answer_query(const Ring& ring, std::string_view query) {
  TRY_ASSIGN(net::QueryParams params, net::parse_query(query));
  std::vector<std::string> uids;
  for (auto& [name, value] : params)
    if (name == "uid" && !value.empty()) uids.push_back(std::move(value));
  if (uids.empty()) return Status::make(400, "BadRequest", "the query must name a pod by its uid");
  return write_answer(ring.find(uids));
}

std::string write_answer(const Answer& answer) {
  json::Value value = json::Value::object();
  value["parts"] = json::Value::array();
  for (const std::string& part : answer.parts) value["parts"].push_back(part);
  value["now"] = nanos(answer.now);
  value["since"] = nanos(answer.since);
  json::Value spans = json::Value::array();
  for (const Span& span : answer.spans) {
    json::Value item = json::Value::object();
    item["step"] = step_info(span.step).name;
    item["start"] = nanos(span.start);
    item["end"] = nanos(span.end);
    if (!span.detail.empty()) item["detail"] = span.detail;
    spans.push_back(std::move(item));
  }
  value["spans"] = std::move(spans);
  return json::to_string(value);
}

Result<Answer> parse_answer(std::string_view text) {
  TRY_ASSIGN(json::Value value, json::parse(text));
  const json::Value *parts = value.find("parts"), *spans = value.find("spans");
  if (parts == nullptr || !parts->is_array() || spans == nullptr || !spans->is_array()) return malformed("no parts or no spans");
  Answer answer;
  for (const json::Value& part : parts->items()) answer.parts.push_back(part.as_string());
  TRY_ASSIGN(answer.now, read_time(value, "now"));
  TRY_ASSIGN(answer.since, read_time(value, "since"));
  for (const json::Value& item : spans->items()) {
    Span span;
    TRY_ASSIGN(span.start, read_time(item, "start"));
    TRY_ASSIGN(span.end, read_time(item, "end"));
    if (span.end < span.start) return malformed("a step ends before it starts");
    std::optional<Step> step = find_step(read_text(item, "step"));
    if (!step) continue;
    span.step = *step;
    span.detail = read_text(item, "detail");
    answer.spans.push_back(std::move(span));
  }
  return answer;
}

}  // namespace knarr::trace
