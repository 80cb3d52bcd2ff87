// SPDX-License-Identifier: Apache-2.0
#include "kubelet/event_sink.h"

#include "client/events.h"

namespace knarr::kubelet {

void EventSink::pod(const core::Pod& pod, std::string_view type, std::string_view reason, std::string message) {
  write(client::reference_to(pod), std::string(type), std::string(reason), std::move(message));
}

void EventSink::container(const core::Pod& pod, std::string_view container, std::string_view type, std::string_view reason, std::string message,
                          std::string_view id) {
  core::ObjectReference about = client::reference_to(pod);
  about.field_path = container_field_path(pod, container);
  if (!id.empty()) {
    for (size_t at = message.find(id); at != std::string::npos; at = message.find(id, at + container.size())) message.replace(at, id.size(), container);
  }
  write(std::move(about), std::string(type), std::string(reason), std::move(message));
}

}  // namespace knarr::kubelet
