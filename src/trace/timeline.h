// SPDX-License-Identifier: Apache-2.0
// One pod's way, put together from what each part recorded, and where its time went. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "trace/ring.h"

namespace knarr::trace {

struct StepInfo {
  std::string_view name;       // "sandbox"
  std::string_view part;       // who takes it: "kube-apiserver", "kube-scheduler", "kubelet"
  std::string_view meaning;    // of its time, as the sum says it
  std::string_view before;     // what passes between the step before and this one
  bool aside = false;          // happens beside what the pod waits for
};
const StepInfo& step_info(Step step);
std::optional<Step> find_step(std::string_view name);

// A part that was asked, and what came of it.
struct Source {
  std::string name;            // "kube-apiserver", "kube-scheduler", "kubelet NODE"
  std::string through;         // another part that answered for it, being of the same process; "" = itself
  std::string problem;         // why there is no answer; "" = there is one
  std::vector<Span> spans;
  WallTime since{};
  // The other host's clock minus ours, and by how much that may be wrong.
  Duration ahead{}, uncertain{};
};

// When a question was asked and when its answer was there, by our clock.
struct Exchange {
  WallTime asked{}, heard{};
};
// One source for each part that an answer speaks of; `asked` is the part that was asked. A part that recorded nothing of a pod created at `created`
// has a problem, which says whether it could have.
void add_sources(std::vector<Source>& sources, const std::string& asked, Answer answer, const Exchange& exchange, WallTime created);

struct Entry {
  std::string who;             // the source's name
  Span span;
  bool coarse = false;         // not recorded by the part: from the object or an event, to the second
};

// Time that passed in one way, between acceptance and readiness.
struct Share {
  std::string what;
  Duration time{};
};

struct Timeline {
  std::vector<Entry> entries;  // by start
  WallTime start{};            // of the first recorded step
  std::optional<WallTime> ready;
  std::vector<Share> shares;   // in order of first appearance; their sum is ready (or the last step's end) minus start. Without coarse entries
  std::vector<std::string> notes;
};

// `coarse`: what the object and its events tell; used for the steps of parts that recorded nothing.
Timeline merge(const std::vector<Source>& sources, std::vector<Entry> coarse);

std::vector<Share> share_out(const std::vector<Entry>& entries, WallTime start, WallTime end);

}  // namespace knarr::trace
