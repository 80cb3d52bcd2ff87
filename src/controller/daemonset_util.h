// SPDX-License-Identifier: Apache-2.0
// The decisions of the DaemonSet controller, as pure functions: which nodes run a daemon pod, what each node lacks or has too much of, what
// a rolling update replaces now, what the status says.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/apps_v1.h"
#include "base/clock.h"
#include "controller/node_util.h"
#include "controller/pod_util.h"

namespace knarr::controller {

using api::apps_v1::DaemonSet;
using DaemonSetPtr = std::shared_ptr<const DaemonSet>;
// The pods of one DaemonSet by the node that they run or are to run on.
using PodsByNode = std::map<std::string, std::vector<PodPtr>, std::less<>>;

// Where the pods of a set may run. Keeps a reference to the set.
class DaemonPlacement {
 public:
  explicit DaemonPlacement(const DaemonSet& set);
  struct Verdict {
    bool run = false;   // a pod should be there
    bool keep = false;  // one that is there may stay: taints that only keep new pods away do not drive it out
    friend bool operator==(const Verdict&, const Verdict&) = default;
  };
  Verdict on(const Node& node) const;

 private:
  const DaemonSet& set_;
  schema::List<api::core_v1::Toleration> tolerations_;
};

// ---- pods
// Taints that say "not for ordinary pods now" do not keep daemons away.
void add_daemon_tolerations(api::core_v1::PodSpec& pod);
// Pins the pod to a node: required node affinity becomes the name alone, which the scheduler then honours.
void pin_to_node(api::core_v1::PodSpec& pod, std::string_view node);
// The node that a pod runs on or is pinned to.
std::optional<std::string> target_node(const api::core_v1::Pod& pod);
// deprecated.daemonset.template.generation of the set.
std::optional<int64_t> template_generation(const DaemonSet& set);
// The set's template with what every daemon pod has besides: tolerations and the labels of its revision.
api::core_v1::PodTemplateSpec daemon_template(const DaemonSet& set, std::string_view hash);
// Made of the present template, by hash or by template generation.
bool is_pod_updated(const api::core_v1::Pod& pod, std::string_view hash, const std::optional<int64_t>& generation);
bool before_in_line(const PodPtr& a, const PodPtr& b);  // bound ones first, then by age, then by name

// ---- decisions
struct NodeNeeds {
  bool create = false;
  std::vector<PodPtr> remove;
  std::vector<PodPtr> failed, succeeded;  // ended pods: to be removed too, failed ones no faster than their back-off allows
};
// `pods`: null when the node has none at all.
NodeNeeds node_needs(const DaemonSet& set, DaemonPlacement::Verdict verdict, const std::vector<PodPtr>* pods, std::string_view hash,
                     schema::Time now);
// Pods that wait for a node that is gone.
std::vector<PodPtr> pods_without_node(const std::vector<NodePtr>& nodes, const PodsByNode& pods);

struct PodChanges {
  std::vector<std::string> create_on;
  std::vector<PodPtr> remove;
};
// What a rolling update does next. An error when a percentage cannot be read or a node is not known.
Result<PodChanges> rolling_changes(const DaemonSet& set, const DaemonPlacement& placement, const std::vector<NodePtr>& nodes,
                                   const PodsByNode& pods, std::string_view hash, schema::Time now);

struct DaemonCounts {
  int32_t desired = 0, current = 0, misscheduled = 0, ready = 0, updated = 0, available = 0;
  int32_t unavailable() const { return desired - available; }
};
DaemonCounts count_daemons(const DaemonSet& set, const DaemonPlacement& placement, const std::vector<NodePtr>& nodes, const PodsByNode& pods,
                           std::string_view hash, schema::Time now);
bool same_counts(const api::apps_v1::DaemonSetStatus& status, const DaemonCounts& counts);
void set_counts(api::apps_v1::DaemonSetStatus& status, const DaemonCounts& counts);

// How long to wait before the next failed pod of a key is removed: 1 s, doubled each time to 15 min, forgotten after twice that.
class FailedPodBackoff {
 public:
  explicit FailedPodBackoff(const Clock& clock) : clock_(clock) {}
  // Zero when a removal is due, which is then counted; otherwise the wait.
  Duration next(const std::string& key);

 private:
  struct Entry {
    Duration backoff{};
    MonoTime last{};
  };
  const Clock& clock_;
  absl::flat_hash_map<std::string, Entry> entries_;
};

}  // namespace knarr::controller
