// SPDX-License-Identifier: Apache-2.0
// For tests of the embedded store: a directory that goes away, and a clock that any thread may
// read.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <string>

#include "base/clock.h"

namespace knarr::store {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/knarr-store-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class SharedFakeClock final : public Clock {
 public:
  WallTime now() const override { return WallTime(Duration(1'700'000'000'000'000'000 + ns_)); }
  MonoTime mono() const override { return MonoTime(Duration(ns_)); }
  void advance(Duration by) { ns_ += by.count(); }

 private:
  std::atomic<int64_t> ns_{1'000'000'000};
};

}  // namespace knarr::store
