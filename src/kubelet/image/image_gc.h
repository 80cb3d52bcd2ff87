// SPDX-License-Identifier: Apache-2.0
// Removes images that nobody uses when their file system is nearly full: from 85 % down to 80 %, the longest unused first, none younger than
// two minutes. Looks each five minutes, as upstream. One executor.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kubelet/context.h"

namespace knarr::kubelet {

struct ImageGcPolicy {
  int high_percent = 85, low_percent = 80;
  Duration min_age = std::chrono::minutes(2);
  std::string sandbox_image = "registry.k8s.io/pause:3.9";
};

// When images were seen and used. Pure.
class ImageAges {
 public:
  // What is there at the first look counts as old.
  void look(const std::vector<cri::Image>& images, const std::set<std::string, std::less<>>& used, MonoTime now);
  struct Candidate {
    std::string id;
    int64_t size = 0;
  };
  // Unused, unpinned, old enough at `now`; the longest unused first.
  std::vector<Candidate> removable(MonoTime now, Duration min_age) const;
  void forget(const std::string& id) { records_.erase(id); }

 private:
  struct Record {
    MonoTime first_seen{}, last_used{};
    int64_t size = 0;
    bool pinned = false, used = false;
  };
  std::map<std::string, Record, std::less<>> records_;
  bool looked_ = false;
};

class ImageGc {
 public:
  ImageGc(Context& context, ImageGcPolicy policy);
  ~ImageGc();
  void start();
  void stop();
  // All that nobody uses, whatever the disk's state (eviction).
  Task<void> delete_unused();
  // Where images are kept; "" while that is not known.
  Task<std::string> mount_point();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Bytes to free; 0 = below the mark.
int64_t bytes_to_free(int64_t capacity, int64_t available, const ImageGcPolicy& policy);

}  // namespace knarr::kubelet
