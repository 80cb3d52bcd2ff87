// SPDX-License-Identifier: Apache-2.0
#include "trace/timeline.h"

#include <algorithm>
#include <set>

#include "schema/time.h"

namespace knarr::trace {
namespace {

constexpr std::string_view kApiServer = "kube-apiserver", kScheduler = "kube-scheduler", kKubelet = "kubelet";

constexpr StepInfo kInfo[kSteps] = {
    {"received", kApiServer, "API server: access, admission, validation", "before"},
    {"stored", kApiServer, "API server: store", "API server: before the store"},
    {"queued", kScheduler, "scheduler: queueing", "on its way to the scheduler"},
    {"tried", kScheduler, "scheduler: choosing a node", "in the scheduler's queue"},
    {"bind", kScheduler, "scheduler: binding, on the wire", "scheduler: before binding"},
    {"bound", kApiServer, "API server: store the binding", "until the binding arrived"},
    {"seen", kKubelet, "kubelet: first look", "on its way to the kubelet"},
    {"cgroup", kKubelet, "kubelet: cgroup", "kubelet: admission and first status"},
    {"volumes", kKubelet, "kubelet: volumes", "kubelet: before the volumes", true},
    {"sandbox", kKubelet, "runtime: sandbox and network", "kubelet: before the sandbox"},
    {"image", kKubelet, "runtime: image", "kubelet: between the steps"},
    {"create", kKubelet, "runtime: create the container", "kubelet: environment and mounts"},
    {"start", kKubelet, "runtime: start the container", "kubelet: before the start"},
    {"ready", kKubelet, "ready", "kubelet: probes and the runtime's word"},
    {"status", kKubelet, "kubelet: status", "kubelet: before the status", true},
};

bool by_start(const Entry& a, const Entry& b) {
  if (a.span.start != b.span.start) return a.span.start < b.span.start;
  return a.span.step < b.span.step;
}

// The step that an instant belongs to: of those under way the one that began last, and one beside the others only when there is no other.
const Entry* under_way(const std::vector<Entry>& entries, WallTime from, WallTime to) {
  const Entry* best = nullptr;
  for (const Entry& entry : entries) {
    if (entry.coarse || entry.span.start > from || entry.span.end < to) continue;
    bool aside = step_info(entry.span.step).aside, best_aside = best != nullptr && step_info(best->span.step).aside;
    if (best == nullptr || (best_aside && !aside) || (best_aside == aside && !by_start(entry, *best))) best = &entry;
  }
  return best;
}

const Entry* next_step(const std::vector<Entry>& entries, WallTime from) {
  for (const Entry& entry : entries)
    if (!entry.coarse && entry.span.start >= from && !step_info(entry.span.step).aside) return &entry;
  return nullptr;
}

std::string text_of(Duration duration) { return schema::format_duration(std::chrono::duration_cast<std::chrono::microseconds>(duration).count() * 1000); }

// Clocks of hosts differ, and a pod's steps are dated by all of them.
void note_clocks(const std::vector<Source>& sources, std::vector<std::string>& notes) {
  const Source* first = nullptr;
  for (const Source& source : sources) {
    if (!source.problem.empty() || !source.through.empty()) continue;
    if (first == nullptr) {
      first = &source;
      continue;
    }
    Duration ahead = source.ahead - first->ahead;
    if (std::chrono::abs(ahead) <= source.uncertain + first->uncertain + std::chrono::milliseconds(1)) continue;
    notes.push_back("the clock of " + source.name + " is " + text_of(std::chrono::abs(ahead)) + (ahead > Duration::zero() ? " ahead of " : " behind ") +
                    first->name + "'s; times are as each clock told them");
  }
}

}  // namespace

const StepInfo& step_info(Step step) { return kInfo[static_cast<size_t>(step)]; }

std::optional<Step> find_step(std::string_view name) {
  for (size_t i = 0; i < kSteps; ++i)
    if (kInfo[i].name == name) return static_cast<Step>(i);
  return std::nullopt;
}

void add_sources(std::vector<Source>& sources, const std::string& asked, Answer answer, const Exchange& exchange, WallTime created) {
  Duration trip = exchange.heard - exchange.asked;
  for (const std::string& part : answer.parts) {
    Source source{part, part == asked ? "" : asked, ""};
    source.since = answer.since;
    source.ahead = answer.now - (exchange.asked + trip / 2);
    source.uncertain = trip / 2;
    for (const Span& span : answer.spans)
      if (step_info(span.step).part == std::string_view(part).substr(0, part.find(' '))) source.spans.push_back(span);
    if (source.spans.empty()) {
      source.problem = "recorded nothing of this pod";
      if (answer.since > created) source.problem += ": its record begins at " + schema::format_nano_time(answer.since);
    }
    sources.push_back(std::move(source));
  }
}

std::vector<Share> share_out(const std::vector<Entry>& entries, WallTime start, WallTime end) {
  if (end <= start) return {};
  std::set<WallTime> edges = {start, end};
  for (const Entry& entry : entries)
    for (WallTime at : {entry.span.start, entry.span.end})
      if (!entry.coarse && at > start && at < end) edges.insert(at);
  std::vector<Share> shares;
  for (auto at = edges.begin(), next = std::next(at); next != edges.end(); ++at, ++next) {
    const Entry* entry = under_way(entries, *at, *next);
    std::string_view what = "after the last step";
    if (entry != nullptr) {
      what = step_info(entry->span.step).meaning;
    } else if (const Entry* coming = next_step(entries, *next)) {
      what = step_info(coming->span.step).before;
    }
    auto known = std::find_if(shares.begin(), shares.end(), [what](const Share& share) { return share.what == what; });
    if (known == shares.end()) known = shares.insert(shares.end(), {std::string(what), Duration::zero()});
    known->time += *next - *at;
  }
  return shares;
}

Timeline merge(const std::vector<Source>& sources, std::vector<Entry> coarse) {
  Timeline timeline;
  std::set<std::string_view> recorded;
  WallTime last{};
  for (const Source& source : sources) {
    for (const Span& span : source.spans) {
      recorded.insert(step_info(span.step).part);
      timeline.entries.push_back({source.name, span, false});
    }
  }
  for (Entry& entry : coarse)
    if (!recorded.contains(step_info(entry.span.step).part)) timeline.entries.push_back(std::move(entry));
  std::stable_sort(timeline.entries.begin(), timeline.entries.end(), by_start);
  const Entry* first = nullptr;
  for (const Entry& entry : timeline.entries) {
    if (entry.coarse) continue;
    if (first == nullptr) first = &entry;
    last = std::max(last, entry.span.end);
    if (entry.span.step == Step::kReady && !timeline.ready) timeline.ready = entry.span.start;
  }
  if (first != nullptr) {
    timeline.start = first->span.start;
    timeline.shares = share_out(timeline.entries, timeline.start, timeline.ready.value_or(last));
  } else if (!timeline.entries.empty()) {
    timeline.start = timeline.entries.front().span.start;
  }
  for (const Source& source : sources)
    if (!source.problem.empty()) timeline.notes.push_back(source.name + ": " + source.problem);
  note_clocks(sources, timeline.notes);
  return timeline;
}

}  // namespace knarr::trace
