// SPDX-License-Identifier: Apache-2.0
// Events as the kubelet writes them: about a pod, about one of its containers, about the node.
#pragma once

#include <string>
#include <string_view>

#include "kubelet/types.h"

namespace knarr::kubelet {

class EventSink {
 public:
  virtual ~EventSink() = default;
  // type: "Normal" or "Warning".
  virtual void write(core::ObjectReference about, std::string type, std::string reason, std::string message) = 0;

  void pod(const core::Pod& pod, std::string_view type, std::string_view reason, std::string message);
  // The event's field path names the container. `id`, when given, is replaced in the message by the container's name, so that
  // events about successive instances count as one.
  void container(const core::Pod& pod, std::string_view container, std::string_view type, std::string_view reason, std::string message,
                 std::string_view id = {});
};

}  // namespace knarr::kubelet
