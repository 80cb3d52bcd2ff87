// SPDX-License-Identifier: Apache-2.0
// The volumes of this node's pods: emptyDir, hostPath, configMap, secret, downwardAPI, projected.
//
// prepare() makes them, container_mounts() turns a container's volumeMounts into CRI mounts,
// cleanup() takes everything away. In between, projected content follows its ConfigMaps, Secrets
// and the pod's own metadata by events, and service account tokens are renewed before they expire;
// nothing polls. Paths are upstream's: ROOT/pods/UID/volumes/kubernetes.io~configmap/NAME and so
// on.
//
// One executor; blocking calls run on the pool of run_blocking(). Work on one pod is serialised
// inside. Failures of a volume are written as FailedMount events on the pod, as upstream words
// them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/core_v1.h"
#include "api/cri_v1.h"
#include "client/client.h"
#include "kubelet/volume/mounter.h"
#include "kubelet/volume/object_source.h"

namespace knarr::kubelet {

struct MountedVolume {
  std::string host_path;
  bool read_only =
      false;  // every mount of it is read-only (configMap, secret, downwardAPI, projected)
  bool managed =
      true;  // its content is the kubelet's (not hostPath): SELinux labels may be changed
};
using MountedVolumes = std::map<std::string, MountedVolume, std::less<>>;  // by volume name

using EnvVars = std::vector<std::pair<std::string, std::string>>;

class VolumeManager {
 public:
  struct Config {
    std::string root_dir = "/var/lib/kubelet";
    std::string node_name;
    // Node.status.allocatable, for downward API defaults and memory-backed emptyDirs. May be null
    // (then no default limit).
    std::function<schema::Map<schema::Quantity>()> allocatable;
    // Addresses of the node, for status.hostIP and hostIPs.
    std::function<std::vector<std::string>()> host_ips;
    // Writes an event about the pod (type, reason, message); client::EventRecorder in the program.
    std::function<void(const api::core_v1::Pod& pod, const std::string& type,
                       const std::string& reason, const std::string& message)>
        event;
  };

  virtual ~VolumeManager() = default;

  // Makes every volume that some container mounts. A failing volume gives an event and is tried
  // again: at once when the object that it lacks appears, else after 500 ms doubling to 2 min 2 s.
  // Gives up after 2 min 3 s (reason "Timeout": the caller calls again at its next sync) or when
  // the pod is cleaned up or `release`d meanwhile (reason "Cancelled"). Idempotent: a second call
  // re-projects content and is cheap. Registers the pod with the object source.
  virtual Task<Result<MountedVolumes>> prepare(PodPtr pod) = 0;

  // Tells of a newer version of a prepared pod: downward API files follow its labels and
  // annotations. A pod that was prepared by an earlier run of the kubelet (its folder is there) is
  // taken over: its content is brought up to date and kept so from here on.
  virtual void pod_updated(PodPtr pod) = 0;

  // The pod's containers are all stopped or will never start: no content updates any more, and a
  // prepare() under way ends.
  virtual void release(std::string_view uid) = 0;

  struct ContainerContext {
    PodPtr pod;
    const api::core_v1::Container* container = nullptr;  // in *pod, or alive until the call returns
    MountedVolumes volumes;                              // of prepare()
    EnvVars env;                                         // for subPathExpr
    std::vector<std::string> pod_ips;                    // empty = no hosts file
    std::string hostname, domain;                        // pod_hostname()
  };
  // CRI mounts of one container: volumeMounts with subPaths bound safely, the managed /etc/hosts,
  // and the termination message file is left to the caller. Errors are worded as upstream's (reason
  // CreateContainerConfigError at the caller).
  virtual Task<Result<std::vector<api::cri_v1::Mount>>> container_mounts(
      ContainerContext context) = 0;

  // Unmounts and removes all that lies below ROOT/pods/UID, the folder included, without following
  // symlinks and without entering other file systems. Call when no container of the pod is left.
  // Idempotent.
  virtual Task<Status> cleanup(std::string uid) = 0;

  // Bytes used by the pod's disk-backed emptyDirs, by volume name, for size limits and stats.
  virtual Task<Result<std::map<std::string, int64_t>>> empty_dir_usage(std::string uid) = 0;

  // Pod UIDs that have a folder, for the removal of orphans after a restart.
  virtual std::vector<std::string> pods_on_disk() const = 0;

  virtual std::string pod_dir(std::string_view uid) const = 0;
};

// `client` is for TokenRequest. All references outlive the manager.
std::unique_ptr<VolumeManager> make_volume_manager(client::Client& client, ObjectSource& objects,
                                                   std::shared_ptr<Mounter> mounter,
                                                   Executor executor, VolumeManager::Config config);

}  // namespace knarr::kubelet
