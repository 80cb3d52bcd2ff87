// SPDX-License-Identifier: Apache-2.0
// Time, injected. Code that decides by the time takes a Clock; only waiting (base/task.h) uses the real one.
#pragma once

#include <chrono>
#include <cstdint>

namespace knarr {

using Duration = std::chrono::nanoseconds;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime now() const = 0;   // civil time, for what is written into objects
  virtual MonoTime mono() const = 0;  // for measuring and deadlines
  static const Clock& real();
};

// A clock that stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start) : wall_(start) {}
  WallTime now() const override { return wall_; }
  MonoTime mono() const override { return mono_; }
  void advance(Duration by) {
    wall_ += by;
    mono_ += by;
  }

 private:
  WallTime wall_;
  MonoTime mono_{};
};

}  // namespace knarr
