// SPDX-License-Identifier: Apache-2.0
// Time zones of the system's database (/usr/share/zoneinfo), by the names and with the errors of Go's time.LoadLocation.
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"

namespace knarr::schema {

// Immutable; copies share the zone. Any thread.
class TimeZone {
 public:
  // "" and "UTC" are UTC, "Local" is the zone of this process. 400 for names that nobody knows.
  static Result<TimeZone> load(std::string_view name);
  static TimeZone local();
  // Seconds east of UTC at that moment.
  int offset_at(int64_t unix_seconds) const;

 private:
  struct Impl;
  explicit TimeZone(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace knarr::schema
