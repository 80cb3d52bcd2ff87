// SPDX-License-Identifier: Apache-2.0
// How long kubelets may keep ConfigMaps and Secrets: longer in larger clusters.
#pragma once

namespace knarr::controller {

// Steps with an overlap, so that a cluster at a boundary does not flutter.
class TtlSteps {
 public:
  void add_node();
  void remove_node();
  int seconds() const;

 private:
  int nodes_ = 0;
  int step_ = 0;
};

}  // namespace knarr::controller
