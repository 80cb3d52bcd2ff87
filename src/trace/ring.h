// SPDX-License-Identifier: Apache-2.0
// The last steps that pods went through in this process. API server, scheduler and kubelet record here, in one ring when they share a process
// (`knarr up`), else each in its own; whoever may ask reads it at /debug/podtrace (answer.h) and `knarr trace` puts the answers together.
//
// Recording costs a short lock and a copy into a slot: nothing is allocated, and memory that no step has reached yet is not touched.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace knarr::trace {

inline constexpr std::string_view kPath = "/debug/podtrace";

// In the order in which a pod meets them. Names and what each means: step_info().
enum class Step : uint8_t {
  kReceived, kStored,                                                                    // API server: the POST
  kQueued, kTried, kBind,                                                                // scheduler
  kBound,                                                                                // API server: the binding
  kSeen, kCgroup, kVolumes, kSandbox, kImage, kCreate, kStart, kReady, kStatus,          // kubelet
};
inline constexpr size_t kSteps = static_cast<size_t>(Step::kStatus) + 1;

struct Span {
  Step step = Step::kReceived;
  WallTime start{}, end{};   // equal for what has no length
  std::string detail;        // for people: a node, a container and its image, an error
};

// What a ring knows of some pods, and what it could know.
struct Answer {
  std::vector<std::string> parts;   // that record here: "kube-apiserver", "kubelet NODE"
  WallTime now{};                   // the answering host's clock
  WallTime since{};                 // steps that ended before may have been forgotten, or happened before the process began
  std::vector<Span> spans;          // as recorded
};

// Any thread.
class Ring {
 public:
  static constexpr size_t kSlots = 2048;   // 350 KiB; a pod of one container takes about 15
  explicit Ring(size_t slots = kSlots, const Clock& clock = Clock::real());

  void add_part(std::string name);
  // Details longer than a slot's room are cut, which their last three characters then show.
  void add(std::string_view uid, Step step, WallTime start, WallTime end, std::string_view detail);
  // A step that began at `start` and ends now.
  void add_since(std::string_view uid, Step step, WallTime start, std::string_view detail) { add(uid, step, start, clock_.now(), detail); }
  void add_now(std::string_view uid, Step step, std::string_view detail);
  WallTime now() const { return clock_.now(); }

  // Of pods with one of these UIDs (a static pod has two: its own and its mirror's).
  Answer find(const std::vector<std::string>& uids) const;

 private:
  struct Slot {
    int64_t start, end;   // nanoseconds since the epoch
    char uid[36];
    Step step;
    uint8_t uid_size, detail_size;
    char detail[121];
  };
  static_assert(sizeof(Slot) == 176);

  const Clock& clock_;
  const size_t size_;
  const WallTime started_;
  mutable std::mutex mutex_;
  std::unique_ptr<Slot[]> slots_;   // guarded by mutex_, as all below
  uint64_t written_ = 0;            // slots ever; the next goes to written_ % size_
  WallTime forgotten_{};            // latest end of a step that was overwritten
  std::vector<std::string> parts_;
};

}  // namespace knarr::trace
