// SPDX-License-Identifier: Apache-2.0
#include "trace/render.h"

#include <fmt/core.h>

#include <algorithm>

#include "schema/json.h"
#include "schema/time.h"

namespace knarr::trace {
namespace {

double millis(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// "15:04:05.000000", and of what is known to the second "15:04:05".
std::string time_of_day(WallTime time, bool coarse) { return schema::format_nano_time(time).substr(11, coarse ? 8 : 15); }

std::string took(const Span& span) { return span.end == span.start ? std::string() : fmt::format("{:.1f} ms", millis(span.end - span.start)); }

std::string headline(const Subject& subject, const Timeline& timeline) {
  std::string out = fmt::format("pod {}/{}, uid {}, ", subject.namespace_, subject.name, subject.uid);
  out += subject.node.empty() ? "on no node yet\n" : "on node " + subject.node + "\n";
  if (timeline.entries.empty()) return out;
  std::string_view first = step_info(timeline.entries.front().span.step).name;
  out += fmt::format("{} at {}, ", first, schema::format_nano_time(timeline.start));
  if (timeline.ready) return out + fmt::format("ready {:.1f} ms later\n", millis(*timeline.ready - timeline.start));
  return out + (subject.phase == "Succeeded" || subject.phase == "Failed" ? subject.phase + "\n" : "not ready\n");
}

void write_steps(std::string& out, const Timeline& timeline) {
  size_t widest = 3;
  for (const Entry& entry : timeline.entries) widest = std::max(widest, entry.who.size());
  out += fmt::format("\n{:<15}  {:>11}  {:>11}  {:<{}}  {:<8}  {}\n", "TIME", "AT", "TOOK", "WHO", widest, "STEP", "DETAIL");
  for (const Entry& entry : timeline.entries) {
    const Span& span = entry.span;
    std::string at = entry.coarse ? "~" : fmt::format("{:.1f} ms", millis(span.start - timeline.start));
    std::string line = fmt::format("{:<15}  {:>11}  {:>11}  {:<{}}  {:<8}  {}", time_of_day(span.start, entry.coarse), at, took(span), entry.who, widest,
                                   step_info(span.step).name, span.detail);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
}

void write_shares(std::string& out, const Timeline& timeline) {
  if (timeline.shares.empty()) return;
  Duration sum{};
  for (const Share& share : timeline.shares) sum += share.time;
  out += "\nwhere the time went\n";
  for (const Share& share : timeline.shares)
    out += fmt::format("  {:<52} {:>11.1f} ms {:>6.1f} %\n", share.what, millis(share.time), 100.0 * millis(share.time) / millis(sum));
  out += fmt::format("  {:<52} {:>11.1f} ms\n", timeline.ready ? "from the first step to ready" : "from the first step to the last", millis(sum));
}

json::Value json_of(const Entry& entry, WallTime start) {
  json::Value item = json::Value::object();
  item["step"] = step_info(entry.span.step).name;
  item["who"] = entry.who;
  item["start"] = schema::format_nano_time(entry.span.start);
  item["end"] = schema::format_nano_time(entry.span.end);
  item["atMillis"] = millis(entry.span.start - start);
  item["tookMillis"] = millis(entry.span.end - entry.span.start);
  if (!entry.span.detail.empty()) item["detail"] = entry.span.detail;
  if (entry.coarse) item["coarse"] = true;
  return item;
}

}  // namespace

std::string to_text(const Subject& subject, const Timeline& timeline) {
  std::string out = headline(subject, timeline);
  write_steps(out, timeline);
  write_shares(out, timeline);
  bool coarse = std::any_of(timeline.entries.begin(), timeline.entries.end(), [](const Entry& entry) { return entry.coarse; });
  if (coarse || !timeline.notes.empty()) out += "\n";
  if (coarse) out += "~ not recorded by the part itself: from the pod's status and its events, to the second\n";
  for (const std::string& note : timeline.notes) out += note + "\n";
  return out;
}

std::string to_json_text(const Subject& subject, const Timeline& timeline, const std::vector<Source>& sources) {
  json::Value value = json::Value::object();
  json::Value& pod = value["pod"];
  pod["namespace"] = subject.namespace_;
  pod["name"] = subject.name;
  pod["uid"] = subject.uid;
  if (!subject.node.empty()) pod["node"] = subject.node;
  pod["phase"] = subject.phase;
  value["start"] = schema::format_nano_time(timeline.start);
  if (timeline.ready) value["readyMillis"] = millis(*timeline.ready - timeline.start);
  value["steps"] = json::Value::array();
  for (const Entry& entry : timeline.entries) value["steps"].push_back(json_of(entry, timeline.start));
  value["shares"] = json::Value::array();
  for (const Share& share : timeline.shares) {
    json::Value item = json::Value::object();
    item["what"] = share.what;
    item["millis"] = millis(share.time);
    value["shares"].push_back(std::move(item));
  }
  value["sources"] = json::Value::array();
  for (const Source& source : sources) {
    json::Value item = json::Value::object();
    item["name"] = source.name;
    if (!source.through.empty()) item["through"] = source.through;
    if (!source.problem.empty()) item["problem"] = source.problem;
    value["sources"].push_back(std::move(item));
  }
  value["notes"] = json::Value::array();
  for (const std::string& note : timeline.notes) value["notes"].push_back(note);
  return json::to_pretty(value) + "\n";
}

}  // namespace knarr::trace
