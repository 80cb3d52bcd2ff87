// SPDX-License-Identifier: Apache-2.0
#include "trace/ring.h"

#include <algorithm>
#include <cstring>

namespace knarr::trace {
namespace {

int64_t nanos(WallTime time) { return time.time_since_epoch().count(); }
WallTime wall(int64_t nanos) { return WallTime(Duration(nanos)); }

}  // namespace

Ring::Ring(size_t slots, const Clock& clock)
    : clock_(clock), size_(slots), started_(clock.now()), slots_(std::make_unique_for_overwrite<Slot[]>(slots)) {}

void Ring::add_part(std::string name) {
  std::lock_guard lock(mutex_);
  parts_.push_back(std::move(name));
}

void Ring::add_now(std::string_view uid, Step step, std::string_view detail) {
  WallTime now = clock_.now();
  add(uid, step, now, now, detail);
}

void Ring::add(std::string_view uid, Step step, WallTime start, WallTime end, std::string_view detail) {
  std::lock_guard lock(mutex_);
  Slot& slot = slots_[written_ % size_];
  if (written_ >= size_) forgotten_ = std::max(forgotten_, wall(slot.end));
  ++written_;
  slot.start = nanos(start);
  slot.end = nanos(std::max(start, end));
  slot.step = step;
  slot.uid_size = static_cast<uint8_t>(std::min(uid.size(), sizeof slot.uid));
  std::memcpy(slot.uid, uid.data(), slot.uid_size);
  slot.detail_size = static_cast<uint8_t>(std::min(detail.size(), sizeof slot.detail));
  std::memcpy(slot.detail, detail.data(), slot.detail_size);
  if (detail.size() > sizeof slot.detail) std::memcpy(slot.detail + sizeof slot.detail - 3, "...", 3);
}

Answer Ring::find(const std::vector<std::string>& uids) const {
  Answer answer;
  answer.now = clock_.now();
  std::lock_guard lock(mutex_);
  answer.parts = parts_;
  answer.since = std::max(started_, forgotten_);
  for (uint64_t at = written_ > size_ ? written_ - size_ : 0; at < written_; ++at) {
    const Slot& slot = slots_[at % size_];
    std::string_view uid(slot.uid, slot.uid_size);
    bool asked = std::any_of(uids.begin(), uids.end(), [&](const std::string& each) { return uid == std::string_view(each).substr(0, sizeof slot.uid); });
    if (asked) answer.spans.push_back({slot.step, wall(slot.start), wall(slot.end), std::string(slot.detail, slot.detail_size)});
  }
  return answer;
}

}  // namespace knarr::trace
