// SPDX-License-Identifier: Apache-2.0
// Makes sure that a container's image is on the node, by its pull policy, with back-off after failures (10 s to 5 min for each pod and image)
// and the events that go with it. One executor; with serialised pulls one pull at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kubelet/context.h"
#include "kubelet/runtime/security_context.h"
#include "kubelet/task_group.h"

namespace knarr::kubelet {

class ImagePuller {
 public:
  explicit ImagePuller(Context& context);

  struct Outcome {
    std::string image_ref;           // what containers are created from
    ImageUser user;
    std::string failure, message;    // waiting reason: ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName, ImageInspectError
    Duration retry_after{};          // of a back-off
    bool pulled = false;             // else it was there
    bool ok() const { return failure.empty(); }
  };
  // `container` lives until the call returns.
  Task<Outcome> ensure(PodPtr pod, const core::Container* container, cri::PodSandboxConfig sandbox);

 private:
  Task<Result<std::string>> pull(PodPtr pod, std::string image, cri::ImageSpec spec, cri::PodSandboxConfig sandbox);

  Context& context_;
  AsyncMutex one_at_a_time_;
};

}  // namespace knarr::kubelet
