// SPDX-License-Identifier: Apache-2.0
#include "apiserver/subresource/doors.h"

#include "apiserver/strategy/pod.h"

namespace knarr::apiserver::subresource {

void prepare_ephemeral_containers(WriteContext&, api::core_v1::Pod& pod, const api::core_v1::Pod& old) {
  auto containers = std::move(pod.spec.ephemeral_containers);
  schema::Str version = pod.metadata.resource_version, uid = pod.metadata.uid;
  pod = old;
  pod.metadata.resource_version = version;
  pod.metadata.uid = uid;
  pod.spec.ephemeral_containers = std::move(containers);
  drop_disabled_pod_fields(pod.spec, &old.spec);
}

}  // namespace knarr::apiserver::subresource
