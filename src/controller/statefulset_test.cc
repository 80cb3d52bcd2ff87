// SPDX-License-Identifier: Apache-2.0
// What a StatefulSet does about names, claims, revisions and order.
#include <gtest/gtest.h>

#include "controller/claim.h"
#include "controller/statefulset_util.h"
#include "schema/codec.h"

namespace knarr::controller {
namespace {

using Names = std::vector<std::string>;

template <class T>
T parse(const std::string& json) {
  auto value = schema::from_json<T>(json);
  EXPECT_TRUE(value.ok()) << value.status().message() << "\n" << json;
  return value.ok() ? std::move(*value) : T();
}

StatefulSet make_set(const std::string& more = "") {
  return parse<StatefulSet>(R"({"metadata":{"name":"web","namespace":"n","uid":"set"},"spec":{"replicas":3,"serviceName":"svc",
      "selector":{"matchLabels":{"a":"b"}},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":0}},
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x:1"}],"volumes":[{"name":"data","emptyDir":{}},{"name":"other","emptyDir":{}}]}},
      "volumeClaimTemplates":[{"metadata":{"name":"data","labels":{"own":"label"}}}])" + more + "}}");
}

Pod named(const std::string& name) {
  Pod pod;
  pod.metadata.name = name;
  pod.metadata.namespace_ = "n";
  pod.metadata.uid = "pod";
  return pod;
}
PodPtr running(const std::string& name, const std::string& revision, bool ready = true) {
  Pod pod = named(name);
  pod.metadata.labels[kRevisionHashLabel] = revision;
  pod.status.phase = "Running";
  auto& condition = pod.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ready ? "True" : "False";
  condition.last_transition_time = schema::Time::from_unix(1000);
  return std::make_shared<const Pod>(std::move(pod));
}
PodPtr terminating(const std::string& name, const std::string& revision) {
  Pod pod = *running(name, revision);
  pod.metadata.deletion_timestamp = schema::Time::from_unix(1);
  return std::make_shared<const Pod>(std::move(pod));
}
Names names_of(const std::vector<PodPtr>& pods) {
  Names names;
  for (const PodPtr& pod : pods) names.push_back(pod->metadata.name.str());
  return names;
}

// ---- identity

TEST(StatefulIdentityTest, ParentAndOrdinal) {
  using Parts = std::pair<std::string_view, int>;
  EXPECT_EQ(parent_and_ordinal("web-3"), Parts("web", 3));
  EXPECT_EQ(parent_and_ordinal("web-1-20"), Parts("web-1", 20));
  EXPECT_EQ(parent_and_ordinal("web-007"), Parts("web", 7));
  EXPECT_EQ(parent_and_ordinal("web"), Parts("", -1));
  EXPECT_EQ(parent_and_ordinal("web-"), Parts("", -1));
  EXPECT_EQ(parent_and_ordinal("web3"), Parts("", -1));
  EXPECT_EQ(parent_and_ordinal("12"), Parts("", -1));
  EXPECT_EQ(parent_and_ordinal("web-99999999999"), Parts("web", -1));
}

TEST(StatefulIdentityTest, RangeStartsAtTheFirstOrdinal) {
  StatefulSet set = make_set(R"(,"ordinals":{"start":2})");
  for (int i : {2, 3, 4}) EXPECT_TRUE(in_ordinal_range(named("web-" + std::to_string(i)), set)) << i;
  for (const char* name : {"web-1", "web-5", "web"}) EXPECT_FALSE(in_ordinal_range(named(name), set)) << name;
  EXPECT_TRUE(is_member(set, named("web-77")));
  EXPECT_FALSE(is_member(set, named("web-1-0")));
}

TEST(StatefulIdentityTest, MadePodsMatch) {
  StatefulRound round;
  auto set = std::make_shared<const StatefulSet>(make_set());
  round.set = set;
  round.current = round.update = *set;
  round.current_revision = "web-old";
  round.update_revision = "web-new";
  PodPtr pod = round.make_pod(1);
  EXPECT_EQ(pod->metadata.name, "web-1");
  EXPECT_EQ(pod->metadata.generate_name, "web-");
  EXPECT_EQ(pod->spec.hostname, "web-1");
  EXPECT_EQ(pod->spec.subdomain, "svc");
  EXPECT_EQ(schema::get_or_empty(pod->metadata.labels, kPodNameLabel), "web-1");
  EXPECT_EQ(schema::get_or_empty(pod->metadata.labels, kPodIndexLabel), "1");
  EXPECT_EQ(revision_of(*pod), "web-new");
  EXPECT_TRUE(identity_matches(*set, *pod));
  EXPECT_TRUE(storage_matches(*set, *pod));
  // The claim's volume replaces the template's of the same name.
  ASSERT_EQ(pod->spec.volumes.size(), 2u);
  EXPECT_EQ(pod->spec.volumes[0].volume_source.persistent_volume_claim->claim_name, "data-web-1");
  EXPECT_EQ(pod->spec.volumes[1].name, "other");
  Pod broken = *pod;
  broken.metadata.labels.erase(kPodNameLabel);
  EXPECT_FALSE(identity_matches(*set, broken));
  set_identity(*set, broken);
  EXPECT_TRUE(identity_matches(*set, broken));
  broken.spec.volumes.clear();
  EXPECT_FALSE(storage_matches(*set, broken));
  set_storage(*set, broken);
  EXPECT_TRUE(storage_matches(*set, broken));
}

TEST(StatefulIdentityTest, BelowThePartitionTheCurrentRevision) {
  StatefulRound round;
  auto set = std::make_shared<const StatefulSet>(make_set(R"(,"ordinals":{"start":5})"));
  round.set = set;
  round.current = round.update = *set;
  round.current.spec.update_strategy.rolling_update->partition = 2;
  round.current_revision = "old";
  round.update_revision = "new";
  EXPECT_EQ(revision_of(*round.make_pod(6)), "old");
  EXPECT_EQ(revision_of(*round.make_pod(7)), "new");
  round.current.spec.update_strategy.rolling_update.reset();
  round.current.status.current_replicas = 1;
  EXPECT_EQ(revision_of(*round.make_pod(5)), "old");
  EXPECT_EQ(revision_of(*round.make_pod(6)), "new");
}

// ---- claims

TEST(StatefulClaimTest, NamesAndLabels) {
  auto claims = claims_of(make_set(), 2);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].metadata.name, "data-web-2");
  EXPECT_EQ(claims[0].metadata.namespace_, "n");
  EXPECT_EQ(schema::get_or_empty(claims[0].metadata.labels, "own"), "label");
  EXPECT_EQ(schema::get_or_empty(claims[0].metadata.labels, "a"), "b");
}

TEST(StatefulClaimTest, OwnersByPolicy) {
  struct Case {
    const char *when_deleted, *when_scaled, *pod;
    bool set_owns, pod_owns;
  };
  const Case cases[] = {
      {"Retain", "Retain", "web-0", false, false}, {"Retain", "Retain", "web-9", false, false},
      {"Delete", "Retain", "web-0", true, false},  {"Delete", "Retain", "web-9", true, false},
      {"Retain", "Delete", "web-0", false, false}, {"Retain", "Delete", "web-9", false, true},
      {"Delete", "Delete", "web-0", true, false},  {"Delete", "Delete", "web-9", false, true},
  };
  for (const Case& c : cases) {
    StatefulSet set = make_set(fmt::format(R"(,"persistentVolumeClaimRetentionPolicy":{{"whenDeleted":"{}","whenScaled":"{}"}})", c.when_deleted,
                                           c.when_scaled));
    Pod pod = named(c.pod);
    for (bool set_owns : {false, true}) {
      for (bool pod_owns : {false, true}) {
        PersistentVolumeClaim claim;
        claim.metadata.owner_references.emplace_back().uid = "stranger";
        if (set_owns) claim.metadata.owner_references.emplace_back().uid = "set";
        if (pod_owns) claim.metadata.owner_references.emplace_back().uid = "pod";
        bool right = set_owns == c.set_owns && pod_owns == c.pod_owns;
        EXPECT_EQ(owners_match(claim, set, pod), right) << c.when_deleted << c.when_scaled << c.pod;
        EXPECT_EQ(set_owners(claim, set, pod), !right);
        EXPECT_TRUE(owners_match(claim, set, pod));
        EXPECT_EQ(claim.metadata.owner_references.size(), 1u + c.set_owns + c.pod_owns);
        EXPECT_FALSE(set_owners(claim, set, pod));
      }
    }
  }
}

TEST(StatefulClaimTest, StaleOwnerIsAnEarlierPodOfTheName) {
  PersistentVolumeClaim claim;
  auto& owner = claim.metadata.owner_references.emplace_back();
  owner.name = "web-0";
  owner.uid = "earlier";
  EXPECT_TRUE(has_stale_owner(claim, named("web-0")));
  EXPECT_FALSE(has_stale_owner(claim, named("web-1")));
  owner.uid = "pod";
  EXPECT_FALSE(has_stale_owner(claim, named("web-0")));
}

// ---- revisions

TEST(RevisionTest, DataIsUpstreamsToTheByte) {
  // As upstream's controller wrote it for the same template (its defaults filled in by the API server).
  auto pod_template = parse<api::core_v1::PodTemplateSpec>(
      R"({"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"image":"x:1","name":"c","resources":{},"args":["<&>"],"ports":[{"containerPort":80,"protocol":"TCP"}]}],"restartPolicy":"Always"}})");
  EXPECT_EQ(template_patch(pod_template),
            R"({"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"a"}},"spec":{"containers":[{"args":["\u003c\u0026\u003e"],"image":"x:1","name":"c","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{}}],"restartPolicy":"Always"}}}})");
}

TEST(RevisionTest, HashAndName) {
  // FNV-1 of nothing is its offset basis, 2166136261.
  EXPECT_EQ(revision_hash("", {}), safe_encode("2166136261"));
  EXPECT_NE(revision_hash("a", 0), revision_hash("a", 1));
  EXPECT_NE(revision_hash("a", 0), revision_hash("a", {}));
  EXPECT_EQ(revision_name("web", "h"), "web-h");
  EXPECT_EQ(revision_name(std::string(300, 'x'), "h").size(), 225u);
}

TEST(RevisionTest, SpacingDoesNotMatter) {
  ControllerRevision revision;
  revision.data.bytes = R"({"b": [1, 2], "a": null})";
  EXPECT_TRUE(has_data(revision, R"({"a":null,"b":[1,2]})"));
  EXPECT_FALSE(has_data(revision, R"({"a":null,"b":[2,1]})"));
  EXPECT_FALSE(has_data(revision, "broken"));
}

TEST(RevisionTest, GoingBackRestoresTheTemplateOnly) {
  StatefulSet before = make_set();
  ControllerRevision revision = new_revision(before, 1, 0);
  EXPECT_EQ(schema::get_or_empty(revision.metadata.labels, kHistoryHashLabel), revision_hash(revision.data.bytes, 0));
  StatefulSet after = before;
  after.spec.replicas = 7;
  after.spec.template_.spec.containers[0].image = "x:2";
  after.spec.template_.metadata.labels["more"] = "labels";
  after.spec.template_.spec.node_selector["k"] = "v";
  auto restored = at_revision(after, revision);
  ASSERT_TRUE(restored.ok()) << restored.status().message();
  EXPECT_EQ(restored->spec.template_, before.spec.template_);
  EXPECT_EQ(wanted(*restored), 7);
  auto present = at_revision(after, new_revision(after, 2, 0));
  ASSERT_TRUE(present.ok());
  EXPECT_EQ(*present, after);
}

TEST(RevisionTest, OrderByNumberAgeName) {
  auto make = [](int64_t number, int64_t time, const char* name) {
    ControllerRevision revision;
    revision.revision = number;
    revision.metadata.creation_timestamp = schema::Time::from_unix(time);
    revision.metadata.name = name;
    return std::make_shared<const ControllerRevision>(std::move(revision));
  };
  EXPECT_TRUE(older_revision(make(1, 9, "b"), make(2, 1, "a")));
  EXPECT_TRUE(older_revision(make(1, 1, "b"), make(1, 2, "a")));
  EXPECT_TRUE(older_revision(make(1, 1, "a"), make(1, 1, "b")));
  EXPECT_FALSE(older_revision(make(1, 1, "a"), make(1, 1, "a")));
}

// ---- a round

StatefulRound make_round(StatefulSet set, const std::vector<PodPtr>& pods) {
  StatefulRound round;
  round.set = std::make_shared<const StatefulSet>(std::move(set));
  round.current = round.update = *round.set;
  round.current_revision = "old";
  round.update_revision = "new";
  round.sort_pods(pods);
  return round;
}

TEST(StatefulRoundTest, SortsReplicasAndCondemned) {
  StatefulRound round = make_round(make_set(), {running("web-4", "old"), running("web-1", "old"), running("web-7", "old", false), running("web-x", "old")});
  EXPECT_EQ(names_of(round.replicas), (Names{"web-0", "web-1", "web-2"}));
  EXPECT_FALSE(is_created(*round.replicas[0]));
  EXPECT_EQ(names_of(round.condemned), (Names{"web-7", "web-4"}));
  EXPECT_EQ(round.first_unhealthy, round.replicas[0]);
  round = make_round(make_set(), {running("web-0", "old"), running("web-1", "old"), running("web-2", "old"), running("web-4", "old", false),
                                  running("web-5", "old", false)});
  EXPECT_EQ(round.first_unhealthy->metadata.name, "web-4") << "the lowest of those to go";
}

TEST(StatefulRoundTest, Counts) {
  StatefulSet set = make_set();
  set.spec.min_ready_seconds = 10;
  StatefulRound round = make_round(std::move(set), {running("web-0", "old"), running("web-1", "new", false), terminating("web-2", "new"), running("web-3", "new")});
  round.count({round.replicas, round.condemned}, schema::Time::from_unix(1011));
  EXPECT_EQ(round.status.replicas, 4);
  EXPECT_EQ(round.status.ready_replicas, 3);
  EXPECT_EQ(round.status.available_replicas, 3);
  EXPECT_EQ(round.status.current_replicas, 1);
  EXPECT_EQ(round.status.updated_replicas, 2);
  round.count({round.replicas, round.condemned}, schema::Time::from_unix(1010));
  EXPECT_EQ(round.status.available_replicas, 0);
}

TEST(StatefulRoundTest, UpdatesFromTheTopOneByOne) {
  auto next = [](std::vector<PodPtr> pods, int partition = 0, const char* type = "RollingUpdate") -> std::string {
    StatefulSet set = make_set();
    set.spec.update_strategy.type = type;
    set.spec.update_strategy.rolling_update->partition = partition;
    PodPtr pod = next_to_update(make_round(std::move(set), pods));
    return pod == nullptr ? "" : pod->metadata.name.str();
  };
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), running("web-2", "old")}), "web-2");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), running("web-2", "new")}), "web-1");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), running("web-2", "new", false)}), "");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), terminating("web-2", "old")}), "");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "new"), running("web-2", "new")}, 1), "");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), running("web-2", "old")}, 5), "");
  EXPECT_EQ(next({running("web-0", "old"), running("web-1", "old"), running("web-2", "old")}, 0, "OnDelete"), "");
}

TEST(StatefulRoundTest, AFinishedRolloutMovesTheCurrentRevision) {
  StatefulSet set = make_set();
  StatefulSetStatus status;
  status.replicas = status.ready_replicas = status.updated_replicas = 3;
  status.current_revision = "old";
  status.update_revision = "new";
  StatefulSetStatus unready = status;
  unready.ready_replicas = 2;
  complete_rollout(set, unready);
  EXPECT_EQ(unready.current_revision, "old");
  complete_rollout(set, status);
  EXPECT_EQ(status.current_revision, "new");
  EXPECT_EQ(status.current_replicas, 3);
  EXPECT_TRUE(status_differs(unready, status));
  EXPECT_FALSE(status_differs(status, status));
}

// ---- ownership

TEST(ClaimTest, Verdicts) {
  api::meta_v1::ObjectMeta orphan, owned, foreign, going;
  auto own = [](api::meta_v1::ObjectMeta& metadata, const char* uid) {
    auto& reference = metadata.owner_references.emplace_back();
    reference.uid = uid;
    reference.controller = true;
  };
  own(owned, "u");
  own(foreign, "other");
  going.deletion_timestamp = schema::Time::from_unix(1);
  EXPECT_EQ(claim_verdict(owned, "u", false, true), Claim::kKeep);
  EXPECT_EQ(claim_verdict(owned, "u", true, true), Claim::kKeep);
  EXPECT_EQ(claim_verdict(owned, "u", false, false), Claim::kRelease);
  EXPECT_EQ(claim_verdict(owned, "u", true, false), Claim::kIgnore);
  EXPECT_EQ(claim_verdict(foreign, "u", false, true), Claim::kIgnore);
  EXPECT_EQ(claim_verdict(orphan, "u", false, true), Claim::kAdopt);
  EXPECT_EQ(claim_verdict(orphan, "u", false, false), Claim::kIgnore);
  EXPECT_EQ(claim_verdict(orphan, "u", true, true), Claim::kIgnore);
  EXPECT_EQ(claim_verdict(going, "u", false, true), Claim::kIgnore);
}

}  // namespace
}  // namespace knarr::controller
