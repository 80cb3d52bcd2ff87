// SPDX-License-Identifier: Apache-2.0
#include "schema/time_zone.h"

#include <absl/time/time.h>

#include <string>

namespace knarr::schema {

struct TimeZone::Impl {
  absl::TimeZone zone;
};

namespace {

Status bad_zone(std::string_view message) { return Status::make(400, "BadRequest", message); }

// Names that mean something to the library, but are no files of the database.
bool is_special(std::string_view name) {
  return name == "localtime" || name.starts_with("Fixed/UTC") || name.starts_with("file:") || name.starts_with("libc:");
}

}  // namespace

TimeZone TimeZone::local() { return TimeZone(std::make_shared<Impl>(Impl{absl::LocalTimeZone()})); }

Result<TimeZone> TimeZone::load(std::string_view name) {
  if (name.empty() || name == "UTC") return TimeZone(std::make_shared<Impl>(Impl{absl::UTCTimeZone()}));
  if (name == "Local") return local();
  bool leaves_database = name.find("..") != std::string_view::npos || name[0] == '/' || name[0] == '\\';
  if (leaves_database || name.find('\0') != std::string_view::npos) return bad_zone("time: invalid location name");
  absl::TimeZone zone;
  if (is_special(name) || !absl::LoadTimeZone(std::string(name), &zone)) return bad_zone("unknown time zone " + std::string(name));
  return TimeZone(std::make_shared<Impl>(Impl{zone}));
}

int TimeZone::offset_at(int64_t unix_seconds) const { return impl_->zone.At(absl::FromUnixSeconds(unix_seconds)).offset; }

}  // namespace knarr::schema
