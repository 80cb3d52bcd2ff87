// SPDX-License-Identifier: Apache-2.0
// Events about objects, as client-go's recorder writes them: core/v1 Events named OBJECT.HEX, similar ones counted up on one Event,
// bursts dropped (25 an object, refilled one each 5 minutes). Fire and forget; one executor.
#pragma once

#include <memory>
#include <string>

#include "api/core_v1.h"
#include "client/client.h"

namespace knarr::client {

class EventRecorder {
 public:
  // component and host go to Event.source; reportingComponent is the component.
  EventRecorder(Client& client, Executor executor, std::string component, std::string host = {});
  ~EventRecorder();
  // type is "Normal" or "Warning".
  void event(const api::core_v1::ObjectReference& about, std::string type, std::string reason, std::string message);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// apiVersion, kind, namespace, name, uid, resourceVersion of an object.
template <class T>
api::core_v1::ObjectReference reference_to(const T& object) {
  api::core_v1::ObjectReference reference;
  reference.api_version = T::kind_info().api_version;
  reference.kind = T::kind_info().kind;
  reference.namespace_ = object.metadata.namespace_;
  reference.name = object.metadata.name;
  reference.uid = object.metadata.uid;
  reference.resource_version = object.metadata.resource_version;
  return reference;
}

}  // namespace knarr::client
