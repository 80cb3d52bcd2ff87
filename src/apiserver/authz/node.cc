// SPDX-License-Identifier: Apache-2.0
#include "apiserver/authz/node.h"

#include <algorithm>
#include <shared_mutex>

#include "api/authorization_v1.h"
#include "api/storage_v1.h"
#include "apiserver/authz/node_graph.h"
#include "apiserver/authz/policy_rules.h"
#include "apiserver/bootstrap/bootstrap.h"
#include "apiserver/core.h"
#include "apiserver/field_errors.h"
#include "apiserver/storage/cache_follower.h"

namespace knarr::apiserver::authz {
namespace {

using Kind = NodeGraph::Kind;

constexpr std::string_view kPrefix = "system:node:", kGroup = "system:nodes", kLeases = "kube-node-lease";

// The graph, kept in step with what it is made of.
class LiveGraph {
 public:
  explicit LiveGraph(Core& core) : pods_(*this), volumes_(*this), attachments_(*this) {
    follow(core, "", "pods", pods_);
    follow(core, "", "persistentvolumes", volumes_);
    follow(core, "storage.k8s.io", "volumeattachments", attachments_);
  }
  bool reaches(std::string_view node, Kind kind, std::string_view ns, std::string_view name) {
    catch_up();
    std::shared_lock lock(mutex_);
    return graph_.reaches(node, kind, ns, name);
  }

 private:
  struct Sink : CacheFollower::Sink {
    explicit Sink(LiveGraph& l) : live(l) {}
    LiveGraph& live;
  };
  struct Pods final : Sink {
    using Sink::Sink;
    void clear() override { live.graph_.clear_pods(); }
    void put(const CachedObject& object) override { live.graph_.put_pod(*object.object()->as<api::core_v1::Pod>()); }
    void remove(const CachedObject& object) override { live.graph_.remove_pod(object.namespace_(), object.name()); }
  };
  struct Volumes final : Sink {
    using Sink::Sink;
    void clear() override { live.graph_.clear_volumes(); }
    void put(const CachedObject& object) override { live.graph_.put_volume(*object.object()->as<api::core_v1::PersistentVolume>()); }
    void remove(const CachedObject& object) override { live.graph_.remove_volume(object.name()); }
  };
  struct Attachments final : Sink {
    using Sink::Sink;
    void clear() override { live.graph_.clear_attachments(); }
    void put(const CachedObject& object) override {
      live.graph_.put_attachment(object.name(), object.object()->as<api::storage_v1::VolumeAttachment>()->spec.node_name);
    }
    void remove(const CachedObject& object) override { live.graph_.remove_attachment(object.name()); }
  };

  void follow(Core& core, std::string_view group, std::string_view plural, Sink& sink) {
    WatchCache* cache = core.cache(group, plural);
    if (cache != nullptr) followers_.emplace_back(std::make_unique<CacheFollower>(cache->shared_from_this(), core.executor()), &sink);
  }
  void catch_up() {
    if (std::none_of(followers_.begin(), followers_.end(), [](const auto& each) { return each.first->behind(); })) return;
    std::unique_lock lock(mutex_);
    for (auto& [follower, sink] : followers_)
      if (follower->behind()) follower->pull(*sink);
  }

  std::shared_mutex mutex_;
  NodeGraph graph_;  // guarded by mutex_
  Pods pods_;
  Volumes volumes_;
  Attachments attachments_;
  std::vector<std::pair<std::unique_ptr<CacheFollower>, Sink*>> followers_;  // pulled with mutex_ held alone
};

bool one_of(std::string_view verb, std::initializer_list<std::string_view> verbs) { return std::find(verbs.begin(), verbs.end(), verb) != verbs.end(); }

class NodeAuthorizer final : public Authorizer {
 public:
  explicit NodeAuthorizer(Core& core) : graph_(core), rules_(bootstrap::cluster_role_rules("system:node")) {}

  Decision authorize(const Attributes& a, std::string* reason) override {
    auto node = node_of(a.user);
    if (!node.has_value()) return Decision::kNoOpinion;
    if (node->empty()) return no(reason, [&] { return "unknown node for user " + quoted(a.user.name); });
    if (a.is_resource && a.group.empty()) {
      if (a.resource == "secrets") return read_namespaced(*node, Kind::kSecret, a, reason);
      if (a.resource == "configmaps") return read_namespaced(*node, Kind::kConfigMap, a, reason);
      if (a.resource == "persistentvolumeclaims")
        return a.subresource == "status" ? update_status(*node, Kind::kClaim, a, reason) : get(*node, Kind::kClaim, a, reason);
      if (a.resource == "persistentvolumes") return get(*node, Kind::kVolume, a, reason);
      if (a.resource == "serviceaccounts") return create_token(*node, a, reason);
    }
    if (a.is_resource && a.group == "storage.k8s.io") {
      if (a.resource == "volumeattachments") return get(*node, Kind::kAttachment, a, reason);
      if (a.resource == "csinodes") return own_csi_node(*node, a, reason);
    }
    if (a.is_resource && a.group == "coordination.k8s.io" && a.resource == "leases") return own_lease(*node, a, reason);
    bool allowed = std::any_of(rules_.begin(), rules_.end(), [&](const PolicyRule& rule) { return rule_allows(rule, a); });
    return allowed ? Decision::kAllow : Decision::kNoOpinion;
  }

  void add_rules(const User& user, std::string_view, GrantedRules& rules) override {
    if (!node_of(user).has_value()) return;
    rules.status.incomplete = true;
    rules.errors.emplace_back("node authorizer does not support user rule resolution");
  }

 private:
  template <class Text>
  static Decision no(std::string* reason, Text text) {
    if (reason != nullptr) *reason = text();
    return Decision::kNoOpinion;
  }
  static Decision say_no(std::string* reason, std::string_view text) {
    if (reason != nullptr) *reason = text;
    return Decision::kNoOpinion;
  }

  Decision if_related(std::string_view node, Kind kind, const Attributes& a, std::string* reason) {
    std::string_view ns = kind == Kind::kVolume || kind == Kind::kAttachment ? std::string_view() : a.namespace_;
    if (graph_.reaches(node, kind, ns, a.name)) return Decision::kAllow;
    return no(reason, [&] { return "no relationship found between node '" + std::string(node) + "' and this object"; });
  }
  Decision if_named_and_related(std::string_view node, Kind kind, const Attributes& a, std::string* reason) {
    return a.name.empty() ? say_no(reason, "No Object name found") : if_related(node, kind, a, reason);
  }

  Decision read_namespaced(std::string_view node, Kind kind, const Attributes& a, std::string* reason) {
    if (!one_of(a.verb, {"get", "list", "watch"})) return say_no(reason, "can only read resources of this type");
    if (!a.subresource.empty()) return say_no(reason, "cannot read subresource");
    if (a.namespace_.empty()) return say_no(reason, "can only read namespaced object of this type");
    return if_named_and_related(node, kind, a, reason);
  }
  Decision get(std::string_view node, Kind kind, const Attributes& a, std::string* reason) {
    if (a.verb != "get") return say_no(reason, "can only get individual resources of this type");
    if (!a.subresource.empty()) return say_no(reason, "cannot get subresource");
    return if_named_and_related(node, kind, a, reason);
  }
  Decision update_status(std::string_view node, Kind kind, const Attributes& a, std::string* reason) {
    if (!one_of(a.verb, {"update", "patch"})) return say_no(reason, "can only get/update/patch this type");
    return if_named_and_related(node, kind, a, reason);
  }
  Decision create_token(std::string_view node, const Attributes& a, std::string* reason) {
    if (a.verb != "create" || a.name.empty()) return say_no(reason, "can only create tokens for individual service accounts");
    if (a.subresource != "token") return say_no(reason, "can only create token subresource of serviceaccount");
    return if_related(node, Kind::kServiceAccount, a, reason);
  }
  // On create the name is not known yet: NodeRestriction looks at it.
  static Decision own_lease(std::string_view node, const Attributes& a, std::string* reason) {
    if (!one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
      return say_no(reason, "can only get, create, update, patch, or delete a node lease");
    if (a.namespace_ != kLeases) return no(reason, [] { return "can only access leases in the " + quoted(kLeases) + " system namespace"; });
    if (a.verb != "create" && a.name != node) return say_no(reason, "can only access node lease with the same name as the requesting node");
    return Decision::kAllow;
  }
  static Decision own_csi_node(std::string_view node, const Attributes& a, std::string* reason) {
    if (!one_of(a.verb, {"get", "create", "update", "patch", "delete"}))
      return say_no(reason, "can only get, create, update, patch, or delete a CSINode");
    if (!a.subresource.empty()) return say_no(reason, "cannot authorize CSINode subresources");
    if (a.verb != "create" && a.name != node) return say_no(reason, "can only access CSINode with the same name as the requesting node");
    return Decision::kAllow;
  }

  LiveGraph graph_;
  const PolicyRules rules_;
};

}  // namespace

std::optional<std::string_view> node_of(const User& user) {
  std::string_view name = user.name;
  if (!name.starts_with(kPrefix) || !user.in_group(kGroup)) return std::nullopt;
  return name.substr(kPrefix.size());
}

std::unique_ptr<Authorizer> make_node_authorizer(Core& core) { return std::make_unique<NodeAuthorizer>(core); }

}  // namespace knarr::apiserver::authz
