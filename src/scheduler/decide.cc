// SPDX-License-Identifier: Apache-2.0
// One scheduling cycle, without effects.
#include <algorithm>
#include <map>

#include "scheduler/scheduler.h"

namespace knarr::scheduler {
namespace {

constexpr size_t kMinFeasible = 100;
constexpr int kMinPercentage = 5;

// Large clusters are not searched to the end: enough good nodes are good enough.
size_t feasible_to_find(size_t nodes, int percentage) {
  if (nodes < kMinFeasible) return nodes;
  if (percentage == 0) percentage = std::max(50 - static_cast<int>(nodes / 125), kMinPercentage);
  return std::max(nodes * static_cast<size_t>(percentage) / 100, kMinFeasible);
}

uint64_t next_random(uint64_t* state) {
  // xorshift64*: equal nodes need no better dice.
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 0x2545F4914F6CDD1DULL;
}

class Search {
 public:
  Search(Handle& handle, const PodInfo& pod) : handle_(handle), cycle_(handle, pod), plugins_(plugin_table()) {}

  // False: a plugin refused every node at once; the decision is complete.
  bool pre_filter(Decision* decision) {
    for (size_t i = 0; i < plugins_.size(); ++i) {
      active_[i] = plugins_[i].filter != nullptr;
      if (plugins_[i].pre_filter == nullptr) continue;
      PreFilter result = plugins_[i].pre_filter(cycle_, i);
      if (!result.verdict.ok()) {
        decision->message = head() + " " + result.verdict.reasons.front() + ".";
        decision->wake_events = plugins_[i].events;
        return false;
      }
      if (result.skip) active_[i] = false;
      if (result.narrowed) narrow(result.nodes);
    }
    return true;
  }

  void filter(int percentage, size_t* start_at, Decision* decision) {
    std::vector<NodeInfo*> picked;
    if (narrowed_) {
      for (const std::string& name : only_)
        if (NodeInfo* node = handle_.cache.find(name)) picked.push_back(node);
      refuse_others(picked.size(), decision);
    }
    const std::vector<NodeInfo*>& nodes = narrowed_ ? picked : handle_.cache.nodes();
    size_t wanted = feasible_to_find(nodes.size(), percentage);
    size_t looked_at = 0;
    for (; looked_at < nodes.size() && feasible_.size() < wanted; ++looked_at) {
      NodeInfo* node = nodes[(*start_at + looked_at) % nodes.size()];
      if (passes(*node, decision)) feasible_.push_back(node);
    }
    if (!nodes.empty()) *start_at = (*start_at + looked_at) % nodes.size();
    decision->evaluated = static_cast<int>(looked_at);
    decision->feasible = static_cast<int>(feasible_.size());
  }

  NodeInfo* best(uint64_t* random) {
    if (feasible_.size() <= 1) return feasible_.empty() ? nullptr : feasible_.front();
    std::vector<int64_t> totals(feasible_.size(), 0), scores(feasible_.size());
    for (size_t i = 0; i < plugins_.size(); ++i) {
      const Plugin& plugin = plugins_[i];
      if (plugin.score == nullptr) continue;
      if (plugin.pre_score != nullptr && plugin.pre_score(cycle_, feasible_, i)) continue;
      for (size_t n = 0; n < feasible_.size(); ++n) scores[n] = plugin.score(cycle_, *feasible_[n], i);
      if (plugin.normalize != nullptr) plugin.normalize(cycle_, scores, i);
      for (size_t n = 0; n < feasible_.size(); ++n) totals[n] += scores[n] * plugin.weight;
    }
    // Each of the k best so far is kept with chance 1/k, so that equals are chosen evenly.
    size_t chosen = 0;
    uint64_t equals = 1;
    for (size_t n = 1; n < totals.size(); ++n) {
      if (totals[n] > totals[chosen]) {
        chosen = n;
        equals = 1;
      } else if (totals[n] == totals[chosen] && next_random(random) % ++equals == 0) {
        chosen = n;
      }
    }
    return feasible_[chosen];
  }

  std::string failure() const {
    std::vector<std::string> parts;
    for (const auto& [reason, count] : reasons_) parts.push_back(std::to_string(count) + " " + reason);
    std::sort(parts.begin(), parts.end());
    std::string text = head();
    for (size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? " " : ", ") + parts[i];
    return parts.empty() ? text : text + ".";
  }

 private:
  std::string head() const { return "0/" + std::to_string(handle_.cache.nodes().size()) + " nodes are available:"; }

  void narrow(const std::vector<std::string>& nodes) {
    std::vector<std::string> kept;
    for (const std::string& name : nodes) {
      bool allowed = !narrowed_ || std::find(only_.begin(), only_.end(), name) != only_.end();
      if (allowed && std::find(kept.begin(), kept.end(), name) == kept.end()) kept.push_back(name);
    }
    only_ = std::move(kept);
    narrowed_ = true;
  }

  // Nodes that were never looked at, because a plugin named the only ones that could do.
  void refuse_others(size_t picked, Decision* decision) {
    size_t others = handle_.cache.nodes().size() - picked;
    if (others == 0) return;
    reasons_["node(s) didn't satisfy plugin(s) [NodeAffinity]"] += static_cast<int>(others);
    for (const Plugin& plugin : plugins_)
      if (plugin.name == "NodeAffinity") decision->wake_events |= plugin.events;
  }

  bool passes(const NodeInfo& node, Decision* decision) {
    for (size_t i = 0; i < plugins_.size(); ++i) {
      if (!active_[i]) continue;
      Verdict verdict = plugins_[i].filter(cycle_, node, i);
      if (verdict.ok()) continue;
      decision->wake_events |= plugins_[i].events;
      for (std::string& reason : verdict.reasons) ++reasons_[std::move(reason)];
      return false;
    }
    return true;
  }

  Handle& handle_;
  Cycle cycle_;
  std::span<const Plugin> plugins_;
  std::array<bool, kMaxPlugins> active_{};
  bool narrowed_ = false;
  std::vector<std::string> only_;
  std::vector<NodeInfo*> feasible_;
  std::map<std::string, int> reasons_;
};

}  // namespace

Decision decide(Handle& handle, const PodInfo& pod, int percentage_of_nodes_to_score, size_t* start_at, uint64_t* random) {
  Decision decision;
  if (handle.cache.nodes().empty()) {
    decision.message = "no nodes available to schedule pods";
    decision.wake_events = kNodeAdd;
    return decision;
  }
  Search search(handle, pod);
  if (!search.pre_filter(&decision)) return decision;
  search.filter(percentage_of_nodes_to_score, start_at, &decision);
  decision.node = search.best(random);
  if (decision.node == nullptr) decision.message = search.failure();
  return decision;
}

}  // namespace knarr::scheduler
